"""`rundial config`: what is set, where it comes from, and how to change it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.failure import CommandError, nearest
from rundial.cli.names import setting_names, setting_values
from rundial.cli.options import Group
from rundial.cli.output import facts, shown
from rundial.cli.target import Session, session_of

if TYPE_CHECKING:
    from rundial.profiles import Profile, Profiles

DEFAULT = "default"
RESOLVED = ("endpoint", "workspace", "project")

group = Group("config", help="Show and change what the profile says.")


@group.command("show")
@click.option("--all", "shows_all", is_flag=True, help="Every profile, not only the one in use.")
@click.pass_context
def show(ctx: click.Context, /, *, shows_all: bool) -> None:
    """Show the profile and what counts after flags and environment; never a secret."""
    session = session_of(ctx)
    if shows_all:
        known = session.profiles
        found: dict[str, Any] = {"config": whole(known)}
        session.output.result(found, lambda: _all_lines(known))
        return
    profile = session.target.profile
    found = {
        "profile": None if profile is None else table_of(profile),
        "resolved": {**_resolved(session), "format": "json" if session.output.is_json else "human"},
        "sources": {name: _source(session, name) for name in RESOLVED},
    }
    session.output.result(found, lambda: _lines(session, found))


@group.command("set")
@click.argument("name", shell_complete=setting_names)
@click.argument("value", shell_complete=setting_values)
@click.pass_context
def set_field(ctx: click.Context, /, name: str, value: str) -> None:
    """Set a field of the profile, such as `workspace` or `default_format`."""
    from rundial import profilechanges

    session = session_of(ctx, makes_profile=True)
    _need_setting(name)
    profile = name_of(session)
    is_changed = profilechanges.write_fields(profile, {name: profilechanges.checked(name, value)})
    said = f"{shown(name)} of profile {profile} is set"
    told = said if is_changed else f"{said} so already; nothing was changed"
    _tell(session, profile, name, told, is_changed=is_changed)


@group.command("unset")
@click.argument("name", shell_complete=setting_names)
@click.pass_context
def unset(ctx: click.Context, /, name: str) -> None:
    """Take a field out of the profile."""
    from rundial import profilechanges

    session = session_of(ctx)
    profile = session.target.profile
    if profile is None:
        raise CommandError("there is no profile to change", "Make one: rundial profile create NAME")
    if name not in (profile.fields or {}) and name not in profilechanges.SETTABLE:
        raise CommandError(f"there is no setting {name!r}", f"There are {', '.join(profilechanges.SETTABLE)}")
    is_changed = profilechanges.write_fields(profile.name, {name: None})
    said = f"{shown(name)} of profile {profile.name} is not set"
    told = f"{said} any more" if is_changed else f"{said}; nothing was changed"
    _tell(session, profile.name, name, told, is_changed=is_changed)


def name_of(session: Session) -> str:
    """Return the profile that a change is meant for: the one named, the active one, else `default`."""
    if session.flags.profile:
        return session.flags.profile
    return session.target.profile.name if session.target.profile else DEFAULT


def table_of(profile: Profile) -> dict[str, Any]:
    """Return a profile's table; it holds no secret."""
    return {**(profile.fields or {}), "name": profile.name}


def whole(known: Profiles) -> dict[str, Any]:
    """Return all profiles as they stand in the file."""
    return {
        "active_profile": known.active_name,
        "profiles": {name: dict(profile.fields or {}) for name, profile in known.by_name.items()},
    }


def _tell(session: Session, profile: str, name: str, said: str, *, is_changed: bool) -> None:
    session.output.result(
        {"profile": profile, "field": name, "changed": is_changed, "message": said}, lambda: [said]
    )


def _need_setting(name: str) -> None:
    """Check that there is a setting of this name.

    Raises:
        CommandError: There is none; what to write instead is its next step.
    """
    from rundial import profilechanges

    # A key is told apart: where it is kept is said where it is refused.
    if name not in (*profilechanges.SETTABLE, "api_key"):
        close = nearest(name, profilechanges.SETTABLE)
        known = f"There are {', '.join(profilechanges.SETTABLE)}"
        raise CommandError(
            f"there is no setting {shown(name)!r}", f"Did you mean {close}?" if close else known
        )


def _resolved(session: Session) -> dict[str, str | None]:
    return {name: getattr(session.target, name) for name in RESOLVED}


def _source(session: Session, name: str) -> str:
    """Say where a value comes from."""
    if name == "endpoint" and session.flags.endpoint:
        return "flag"
    if os.environ.get(f"RUNDIAL_{name.upper()}", "").strip():
        return "environment"
    if session.target.profile is not None and getattr(session.target.profile, name):
        return "profile"
    return "default"


def _lines(session: Session, found: Mapping[str, Any]) -> list[str]:
    from rundial import profiles

    profile = session.target.profile
    pairs = [("profile", shown(profile.name if profile else None)), ("file", profiles.config_path())]
    for name, value in found["resolved"].items():
        source = found["sources"].get(name)
        pairs.append((name, shown(value) + (f"  ({source})" if source else "")))
    return facts(pairs)


def _all_lines(known: Profiles) -> list[str]:
    if not known.by_name:
        return ["there are no profiles; make one: rundial profile create NAME"]
    lines = []
    for name, profile in sorted(known.by_name.items()):
        mark = "  (active)" if name == known.active_name else ""
        lines.append(f"{name}{mark}")
        lines += [f"  {line}" for line in facts((k, shown(v)) for k, v in (profile.fields or {}).items())]
    return lines
