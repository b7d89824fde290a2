"""`rundial auth`: log in with a key or as a person, see who one is, log out."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from rundial.cli.authagents import agents
from rundial.cli.authaudit import audit
from rundial.cli.authkeys import keys
from rundial.cli.config import name_of
from rundial.cli.failure import UNAUTHORIZED, CommandError
from rundial.cli.options import Group, placed
from rundial.cli.output import facts, shown
from rundial.cli.target import Session, session_of

PASSWORD = "RUNDIAL_PASSWORD"

group = Group("auth", help="Log in and out; make and end keys and agents.")
for below in (keys, agents, audit):
    group.add_command(below)


@dataclass(frozen=True, slots=True)
class Login:
    """Who was let in, and what is to be kept of it.

    Attributes:
        mode: `api_key` or `credentials`.
        whoami: The server's answer.
        kind: `api_key` or `session_token`.
        secret: The key or the session; None where what is stored already was used.
    """

    mode: str
    whoami: Mapping[str, Any]
    kind: str
    secret: str | None

    def __repr__(self) -> str:
        return f"Login({self.mode!r})"


@group.command("login")
@click.option("--api-key", metavar="KEY", help="The key; - reads it from stdin, which no other program sees.")
@click.option("--credentials", is_flag=True, help="Log in with e-mail and password.")
@click.option("--email", metavar="TEXT", help="Whose credentials.")
@placed
@click.pass_context
def login(
    ctx: click.Context,
    /,
    workspace: str | None,
    project: str | None,
    **given: Any,
) -> None:
    """Check a key or credentials with the server and keep them for later commands and runs.

    Without options the key is taken from RUNDIAL_API_KEY or asked for. Secrets are kept in the keyring of the
    operating system; without one, --allow-plaintext-store keeps them in a file of mode 0600.
    """
    session = session_of(ctx, makes_profile=True)
    # A variable is as good as an option here; what is stored is what a person may want to replace.
    key = given["api_key"] or os.environ.get("RUNDIAL_API_KEY", "").strip() or None
    found = log_in(
        session,
        key,
        with_credentials=given["credentials"],
        email=given["email"],
        asks_anew=session.can_ask,
    )
    profile, store = keep(session, found, {"workspace": workspace, "project": project})
    told = {
        "authMode": found.mode,
        "whoami": found.whoami,
        "profile": profile,
        "endpoint": session.target.endpoint,
        "secretStore": store,
    }
    session.output.result(
        told,
        lambda: [f"logged in to {session.target.endpoint} as {name_in(found.whoami)}, profile {profile}"],
    )


@group.command("whoami")
@click.pass_context
def whoami(ctx: click.Context, /) -> None:
    """Show whom the server takes this command for."""
    session = session_of(ctx)
    with session.client() as client:
        found: Mapping[str, Any] = client.whoami()
    profile = session.target.profile.name if session.target.profile else None
    session.output.result(
        {"endpoint": session.target.endpoint, "profile": profile, "whoami": found},
        lambda: facts(_who_lines(session, found)),
    )


@group.command("logout")
@click.pass_context
def logout(ctx: click.Context, /) -> None:
    """End the session and forget the stored key of this server; a key itself stays valid."""
    from rundial import profilechanges

    session = session_of(ctx)
    target = session.target
    profile = name_of(session)
    token = session.profiles.session_for(target.endpoint, profile=profile)
    if token:
        from rundial.api.client import Client

        with Client(target.endpoint, session_token=token, request_timeout_seconds=10.0) as client:
            client.logout_session()
    was_there = profilechanges.forget(profile, target.endpoint)
    if was_there:
        profilechanges.write_fields(profile, {"auth_mode": "none", "secret_store": None})
    said = f"forgot the login of {profile}" if was_there else "nothing was stored for this server"
    session.output.result({"message": said, "profile": profile}, lambda: [said])


def log_in(
    session: Session,
    api_key: str | None,
    *,
    with_credentials: bool,
    email: str | None,
    asks_anew: bool = False,
) -> Login:
    """Have the server let us in, with what is given, stored, or asked for.

    Args:
        session: Of the command.
        api_key: The key, `-` for one on stdin, None for none.
        with_credentials: As a person, with e-mail and password.
        email: Whose.
        asks_anew: What is stored does not count.

    Raises:
        RundialRequestError: It does not.
        CommandError: There is nothing to show, and nobody to ask.
    """
    if with_credentials:
        return _as_person(session, email)
    if api_key is None and not asks_anew and any(session.credentials()):
        with session.client() as client:
            found = client.whoami()
        kind = "api_key" if session.credentials()[0] else "session_token"
        return Login("api_key" if kind == "api_key" else "credentials", found, kind, None)
    key = _key(session, api_key)
    from rundial.api.client import Client

    with Client(session.target.endpoint, api_key=key, request_timeout_seconds=10.0) as client:
        return Login("api_key", client.whoami(), "api_key", key)


def keep(session: Session, login: Login, target: Mapping[str, str | None]) -> tuple[str, str | None]:
    """Store what was shown, and the endpoint, in the profile that it belongs to.

    Returns:
        The profile's name, and where the secret is: `keyring`, `file`, or None where nothing was stored.
    """
    from rundial import profilechanges

    name = _profile_for(session)
    fields: dict[str, object] = {"endpoint": session.target.endpoint, "auth_mode": login.mode}
    fields |= {field: value for field, value in target.items() if value}
    store = None
    if login.secret is not None:
        known = session.profiles.by_name.get(name)
        allowed = session.flags.allow_plaintext_store or _allows_plain(known)
        store = profilechanges.keep(
            name, session.target.endpoint, login.kind, login.secret, allows_plain=allowed
        )
        fields["secret_store"] = store if store == "keyring" else None
        fields["insecure_store"] = True if store == "file" else None
    if session.profiles.active_name is None or session.flags.profile is None:
        _activate(name, fields)
    else:
        profilechanges.write_fields(name, fields)
    return name, store


def name_in(found: Mapping[str, Any]) -> str:
    """Return what people call who is let in."""
    user, key = found.get("user"), found.get("apiKey")
    if isinstance(user, dict):
        return shown(user.get("email"))
    if isinstance(key, dict):
        return f"key {shown(key.get('label') or key.get('keyId'))}"
    return shown(found.get("principal"))


def _activate(name: str, fields: Mapping[str, object]) -> None:
    from rundial import profilechanges

    profilechanges.write_fields(name, fields)
    profilechanges.use(name)


def _allows_plain(known: Any) -> bool:
    return bool(known is not None and (known.fields or {}).get("insecure_store"))


def _profile_for(session: Session) -> str:
    """Return the profile of this server: the one named, else one that has its address, else a new one."""
    if session.flags.profile:
        return session.flags.profile
    endpoint, known = session.target.endpoint, session.profiles
    active = known.active
    if active is not None and active.endpoint in (None, endpoint):
        return active.name
    for name, profile in sorted(known.by_name.items()):
        if profile.endpoint == endpoint:
            return name
    if "default" not in known.by_name:
        return "default"
    # An address of its own gets a profile of its own: another server's key and target stay what they are.
    host = "".join(c if c.isalnum() else "-" for c in endpoint.split("://", 1)[-1]).strip("-")
    return host[:64]


def _key(session: Session, given: str | None) -> str:
    if given == "-":
        given = sys.stdin.readline()
    elif given is None and session.can_ask:
        given = click.prompt("API key", hide_input=True, err=True)
    text = (given or "").strip()
    if not text:
        raise CommandError(
            "there is no API key",
            "Set RUNDIAL_API_KEY, pipe it into --api-key -, or log in with --credentials --email YOU",
            UNAUTHORIZED,
        )
    if not (text.isascii() and text.isprintable()):
        raise CommandError("the API key holds a character that HTTP cannot carry", "Copy it again, whole")
    return text


def _as_person(session: Session, email: str | None) -> Login:
    from rundial.api.client import Client

    if email is None and session.can_ask:
        email = click.prompt("E-mail", err=True)
    if not email:
        raise CommandError("there is no e-mail", "Name it: --email YOU", UNAUTHORIZED)
    password = os.environ.get(PASSWORD)
    if not password and session.can_ask:
        password = click.prompt("Password", hide_input=True, err=True)
    if not password:
        raise CommandError("there is no password", f"Set {PASSWORD}, or run it in a terminal", UNAUTHORIZED)
    with Client(session.target.endpoint, request_timeout_seconds=10.0) as client:
        client.login_credentials(email=email, password=password)
        return Login("credentials", client.whoami(), "session_token", client.session_token)


def _who_lines(session: Session, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = [("endpoint", session.target.endpoint), ("who", name_in(found))]
    key, user = found.get("apiKey"), found.get("user")
    if isinstance(key, dict):
        place = "/".join(shown(key[n]) for n in ("workspaceSlug", "projectSlug") if key.get(n))
        lines += [
            ("role", shown(key.get("role"))),
            ("place", place or "-"),
            ("may", ", ".join(map(shown, key.get("scopes") or [])) or "-"),
        ]
    if isinstance(user, dict):
        for row in user.get("workspaces") or []:
            lines.append((shown(row.get("workspaceSlug")), shown(row.get("role"))))
    return lines
