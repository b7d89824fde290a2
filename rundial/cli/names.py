"""Names that a shell offers while a person types: profiles, workspaces, projects, runs.

They are looked up as Tab is pressed, so nothing here may fail loudly or take long: what cannot be had in a
second is not offered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rundial.api.client import Client
    from rundial.cli.target import Session

TIMEOUT_S = 1.0
MAX_NAMES = 50


def profile_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of profiles that begin so."""
    del ctx, param

    def read() -> list[str]:
        from rundial import profiles

        return sorted(profiles.load().by_name)

    return _offered(read, incomplete)


def run_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Ids of the latest runs that begin so."""
    del param

    def read() -> list[str]:
        with _opened(ctx) as (session, client):
            place = session.place(client)
            found = client.query_runs(
                workspace_slug=place.workspace,
                project_slug=place.project,
                search=incomplete or None,
                limit=MAX_NAMES,
            )
        return [str(row.get("runId")) for row in found["runs"]]

    return _offered(read, incomplete)


def project_slugs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Projects of the workspace that begin so."""
    del param

    def read() -> list[str]:
        with _opened(ctx) as (session, client):
            found = client.list_projects(workspace_slug=session.workspace(client))
        return [str(row.get("projectSlug")) for row in found]

    return _offered(read, incomplete)


def workspace_slugs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Workspaces that begin so."""
    del param

    def read() -> list[str]:
        with _opened(ctx) as (_, client):
            return [str(row.get("workspaceSlug")) for row in client.list_workspaces()]

    return _offered(read, incomplete)


class _Opened:
    """A session with its client, of a command line that is still being typed."""

    def __init__(self, session: Session, client: Client) -> None:
        self._pair = session, client

    def __enter__(self) -> tuple[Session, Client]:
        return self._pair

    def __exit__(self, *error: object) -> None:
        self._pair[1].close()


def _opened(ctx: click.Context) -> _Opened:
    from rundial.cli.target import session_of

    given = ctx.params
    session = session_of(ctx, workspace=given.get("workspace"), project=given.get("project"))
    return _Opened(session, session.client(timeout_s=TIMEOUT_S))


def _offered(read: Callable[[], list[str]], incomplete: str) -> list[str]:
    try:
        return [name for name in read() if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a shell that completes nothing is better than one that prints a traceback
        return []
