"""Which server, key, workspace and project a command means.

Flags win over RUNDIAL_* variables, which win over the profile; then the server is asked: a key
that sees one workspace means that one, a workspace with one project means that one. Nothing is
created by asking.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.failure import CommandError
from rundial.cli.options import Flags, flags_of
from rundial.cli.output import Output
from rundial.settings import DEFAULT_ENDPOINT

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.profiles import Profile, Profiles


@dataclass(frozen=True, slots=True)
class Target:
    """What the flags, the environment and the profile say, before the server is asked.

    Attributes:
        endpoint: The server's address, normalised.
        profile: The profile that was looked at, or None when there is none.
        workspace: Slug, or None when nothing names one.
        project: Slug, or None when nothing names one.
    """

    endpoint: str
    profile: Profile | None
    workspace: str | None
    project: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace and a project by slug."""

    workspace: str
    project: str

    def slugs(self) -> dict[str, Any]:
        """Return both as the client's methods call them."""
        return {"workspace_slug": self.workspace, "project_slug": self.project}


@dataclass(frozen=True, slots=True)
class Session:
    """One invocation: how it prints, where it goes."""

    flags: Flags
    output: Output
    profiles: Profiles
    target: Target

    def client(self, *, timeout_s: float = 10.0) -> Client:
        """Return a client for the target, with the key that belongs to its endpoint."""
        from rundial.api.client import Client

        key, token = self.credentials()
        return Client(
            self.target.endpoint, api_key=key, session_token=token, request_timeout_seconds=timeout_s
        )

    def credentials(self) -> tuple[str | None, str | None]:
        """Return the key and the session that this command would show; at most one of them is not None.

        Raises:
            ConfigError: The keyring that holds it does not open.
        """
        key, token = _env("RUNDIAL_API_KEY"), _env("RUNDIAL_SESSION_TOKEN")
        if key or token:
            return key, None if key else token
        profile = self.target.profile.name if self.target.profile else None
        key = self.profiles.key_for(self.target.endpoint, profile=profile)
        return key, None if key else self.profiles.session_for(self.target.endpoint, profile=profile)

    @property
    def can_ask(self) -> bool:
        """Whether there is a person who answers."""
        return not self.flags.non_interactive and sys.stdin.isatty()

    def workspace(self, client: Client) -> str:
        """Return the workspace, asking the server when nothing names one."""
        return self.target.workspace or _only(
            "workspace", [str(row.get("workspaceSlug")) for row in client.list_workspaces()]
        )

    def place(self, client: Client) -> Place:
        """Return the workspace and project, asking the server for what nothing names."""
        workspace = self.workspace(client)
        project = self.target.project or _only(
            "project", [str(row.get("projectSlug")) for row in client.list_projects(workspace_slug=workspace)]
        )
        return Place(workspace, project)


def output_of(ctx: click.Context, *, default_format: str = "human") -> Output:
    """Return how this invocation prints.

    Args:
        ctx: Any context of it.
        default_format: The profile's wish, when no flag says.
    """
    flags = flags_of(ctx)
    wanted = "json" if flags.json_output else flags.output_format or default_format
    return Output(is_json=wanted == "json", is_quiet=flags.quiet, has_color=not flags.no_color)


def session_of(
    ctx: click.Context,
    *,
    workspace: str | None = None,
    project: str | None = None,
    makes_profile: bool = False,
) -> Session:
    """Return the session of a command that talks to a server.

    Args:
        ctx: The command's context.
        workspace: The command's own `--workspace`.
        project: The command's own `--project`.
        makes_profile: A `--profile` that does not exist yet is no error.

    Raises:
        ConfigError: The profile file is broken, or the profile or address is wrong.
    """
    from rundial import profiles

    flags = flags_of(ctx)
    known = profiles.load()
    if flags.profile and makes_profile:
        profile = known.by_name.get(flags.profile)
    else:
        profile = known.named(flags.profile) if flags.profile else known.active
    stored = (profile.endpoint, profile.workspace, profile.project) if profile else (None, None, None)
    endpoint = flags.endpoint or _env("RUNDIAL_ENDPOINT") or stored[0] or DEFAULT_ENDPOINT
    target = Target(
        endpoint=profiles.normalise(endpoint),
        profile=profile,
        workspace=workspace or _env("RUNDIAL_WORKSPACE") or stored[1],
        project=project or _env("RUNDIAL_PROJECT") or stored[2],
    )
    output = output_of(ctx, default_format=profile.default_format if profile else "human")
    if flags.verbose:
        click.echo(f"server {target.endpoint}, profile {profile.name if profile else 'none'}", err=True)
    return Session(flags=flags, output=output, profiles=known, target=target)


def _env(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _only(what: str, slugs: list[str]) -> str:
    """Return the only one there is; several or none is an error that says what to do."""
    if len(slugs) == 1:
        return slugs[0]
    if not slugs:
        raise CommandError(
            f"there is no {what} that this key can see", f"Log a run first, or name one: --{what} NAME"
        )
    shown = ", ".join(sorted(slugs)[:8]) + (", …" if len(slugs) > 8 else "")
    raise CommandError(
        f"this key sees {len(slugs)} {what}s: {shown}",
        f"Name one: --{what}, or set RUNDIAL_{what.upper()}",
    )
