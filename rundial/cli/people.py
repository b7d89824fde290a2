"""`rundial server user` and `rundial server key`: who may use a server. Talks to it with the owner's key.

A password is asked for, read from stdin, or taken from RUNDIAL_PASSWORD; never from the command line, which
every program of the machine can read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import click

from rundial.api.calls import paths
from rundial.cli.failure import CommandError
from rundial.cli.names import project_slugs
from rundial.cli.options import Group, in_workspace, words_of
from rundial.cli.output import shown, table, when
from rundial.cli.target import Session, session_of

ROLES = ("owner", "member", "viewer")
PASSWORD = "RUNDIAL_PASSWORD"

users = Group("user", help="Add, list and remove the people of a workspace.")
keys = Group("key", help="Make API keys.")


@users.command("add")
@click.argument("email")
@click.option(
    "--role", type=click.Choice(ROLES), default="member", show_default=True, help="What they may do."
)
@click.option("--name", metavar="TEXT", help="What people call them.")
@click.option("--existing", is_flag=True, help="The account exists: ask for no password.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@in_workspace
@click.pass_context
def add(ctx: click.Context, /, email: str, role: str, workspace: str | None, **wish: Any) -> None:
    """Add a person to a workspace, and make the account when there is none.

    The password of a new account is asked for, or read from stdin or from RUNDIAL_PASSWORD. An account that
    exists keeps its password.
    """
    session = session_of(ctx, workspace=workspace)
    password = None if wish["existing"] else password_of(session, from_stdin=wish["password_stdin"])
    body = {"email": email, "role": role, "name": wish["name"], "password": password}
    with session.client() as client:
        path = f"{paths.workspace(session.workspace(client))}/members"
        found = client.caller.post(
            path, {name: value for name, value in body.items() if value is not None}, what=f"adding {email}"
        )
    kept = (
        "" if found.get("created") or password is None else "; the account was there and keeps its password"
    )
    session.output.result(
        {"member": found}, lambda: [f"{shown(found.get('email'))} is now {shown(found.get('role'))}{kept}"]
    )


@users.command("ls")
@in_workspace
@click.pass_context
def listing(ctx: click.Context, /, workspace: str | None) -> None:
    """List the people of a workspace with their roles."""
    session = session_of(ctx, workspace=workspace)
    with session.client() as client:
        found = _members(client, session.workspace(client))

    def human() -> list[str]:
        if not found:
            return ["nobody yet, only keys; add a person: rundial server user add EMAIL"]
        columns = ("email", "role", "name", "userId")
        return table(columns, [[shown(row.get(name) or None) for name in columns] for row in found])

    session.output.result({"members": found}, human)


@users.command("remove")
@click.argument("email")
@in_workspace
@click.pass_context
def remove(ctx: click.Context, /, email: str, workspace: str | None) -> None:
    """Take a person out of a workspace; the API keys that they made there end too."""
    session = session_of(ctx, workspace=workspace)
    with session.client() as client:
        slug = session.workspace(client)
        member = _member(_members(client, slug), email, slug)
        path = f"{paths.workspace(slug)}/members/{paths.part(str(member['userId']))}/remove"
        found = client.caller.post(path, {}, what=f"removing {email}")
    session.output.result(
        {"member": found}, lambda: [f"{shown(found.get('email'))} is no longer in {shown(slug)}"]
    )


@users.command("password")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@in_workspace
@click.pass_context
def password(ctx: click.Context, /, email: str, workspace: str | None, password_stdin: bool) -> None:
    """Give a person another password; all their sessions end."""
    session = session_of(ctx, workspace=workspace)
    wanted = password_of(session, from_stdin=password_stdin)
    with session.client() as client:
        slug = session.workspace(client)
        member = _member(_members(client, slug), email, slug)
        path = f"/api/v1/users/{paths.part(str(member['userId']))}/password"
        found = client.caller.post(path, {"password": wanted}, what=f"setting the password of {email}")
    session.output.result({"user": found}, lambda: [f"{shown(email)} has another password"])


@keys.command("create")
@click.option(
    "--project",
    metavar="SLUG",
    help="Project that the key opens; without one, the whole workspace.",
    shell_complete=project_slugs,
)
@click.option("--scope", "scopes", multiple=True, help="What it may do; repeatable, or a,b.")
@click.option("--label", metavar="TEXT", help="What people call it.")
@click.option(
    "--expires-in-days", type=click.IntRange(1, 36_500), help="When it ends; never, when not given."
)
@in_workspace
@click.pass_context
def create(ctx: click.Context, /, workspace: str | None, project: str | None, **wish: Any) -> None:
    """Make an API key and print it, this once.

    Without --scope it may write metrics, logs and traces and read its project. A project that does not exist
    yet is made.
    """
    session = session_of(ctx, workspace=workspace)
    body: dict[str, object] = {"label": wish["label"], "scopes": words_of(wish["scopes"]) or None}
    if wish["expires_in_days"] is not None:
        now_ms = int(datetime.now(tz=timezone.utc).timestamp() * 1000)
        body["expiresAtMs"] = now_ms + wish["expires_in_days"] * 86_400_000
    with session.client() as client:
        place = paths.workspace(session.workspace(client))
        if project is not None:
            target = client.resolve_run_target(workspace=session.workspace(client), project=project)
            place = paths.project(target["workspaceSlug"], target["projectSlug"])
        given = {name: value for name, value in body.items() if value is not None}
        found = client.caller.post(f"{place}/api-keys", given, what="making an API key")
    session.output.result({"apiKey": found}, lambda: _key_lines(found))


def _key_lines(found: Mapping[str, Any]) -> list[str]:
    end = when(found["expiresAtMs"]) if found.get("expiresAtMs") else "never"
    return [
        shown(found.get("key")),
        f"  may {', '.join(map(shown, found.get('scopes') or []))}; ends {end}",
        "  it is not shown again",
    ]


def password_of(session: Session, *, from_stdin: bool) -> str:
    """Return a new password, from stdin, the variable or the terminal.

    Raises:
        CommandError: There is none to be had.
    """
    if from_stdin:
        text = sys.stdin.readline().rstrip("\r\n")
    elif os.environ.get(PASSWORD):
        text = os.environ[PASSWORD]
    elif session.flags.non_interactive or not sys.stdin.isatty():
        raise CommandError("there is no password", f"Pipe it in with --password-stdin, or set {PASSWORD}")
    else:
        text = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not text:
        raise CommandError("the password is empty", "Nothing was changed")
    return text


def _members(client: Any, slug: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.caller.pages(
        f"{paths.workspace(slug)}/members", "members", limit=500, max_pages=100
    )
    return found


def _member(found: list[dict[str, Any]], email: str, slug: str) -> dict[str, Any]:
    wanted = email.strip().lower()
    for row in found:
        if row.get("email") == wanted:
            return row
    raise CommandError(f"there is no {shown(email)} in {shown(slug)}", "See: rundial server user ls")
