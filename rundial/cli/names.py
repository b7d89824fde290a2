"""Names that a shell offers while a person types: profiles, workspaces, projects, runs, and what is in them.

They are looked up as Tab is pressed, so nothing here may fail loudly or take long: what cannot be had in a
second is not offered.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


def workspace_slugs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Workspaces that begin so."""
    del param

    def read() -> list[str]:
        with _Opened(ctx) as (_, client):
            return [str(row.get("workspaceSlug")) for row in client.list_workspaces()]

    return _offered(read, incomplete)


def project_slugs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Projects of the workspace that begin so."""
    del param

    def read() -> list[str]:
        with _Opened(ctx) as (session, client):
            found = client.list_projects(workspace_slug=session.workspace(client))
        return [str(row.get("projectSlug")) for row in found]

    return _offered(read, incomplete)


def agent_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Active agents of the workspace that begin so."""
    del param

    def read() -> list[str]:
        with _Opened(ctx) as (session, client):
            found = client.list_agents(workspace_slug=session.workspace(client), status="active")
        return [str(row.get("name")) for row in found]

    return _offered(read, incomplete)


def run_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Ids of the latest runs that begin so."""
    del param

    def read() -> list[str]:
        with _Opened(ctx) as (session, client):
            found = client.query_runs(
                **session.place(client).slugs(), search=incomplete or None, limit=MAX_NAMES
            )
        return [str(row.get("runId")) for row in found["runs"]]

    return _offered(read, incomplete)


def trace_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Traces of the run that is named before, those that begin so."""
    del param

    def read() -> list[str]:
        # Of a line that ends in an option without its value, click keeps the words, not whose they are.
        run_id = ctx.params.get("run_id") or ctx.args[0]
        with _Opened(ctx) as (session, client):
            roots = client.iter_spans(**session.place(client).slugs(), run_id=run_id, parent="none")
            return [str(row.get("traceId")) for row in islice(roots, MAX_NAMES)]

    return _offered(read, incomplete)


def artifact_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Artifacts that begin so: by name; once a name and a colon are typed, its versions and aliases."""
    del param
    name, colon, _ = incomplete.partition(":")

    def read() -> list[str]:
        with _Opened(ctx) as (session, client):
            found = client.list_artifacts(
                **session.place(client).slugs(), name=name if colon else None, limit=MAX_NAMES
            )
        rows = found["artifacts"]
        if not colon:
            return [str(row["name"]) for row in rows]
        versions = [f"v{row['version']}" for row in rows]
        return [f"{name}:{each}" for each in (*(a for row in rows for a in row["aliases"]), *versions)]

    return _offered(read, incomplete)


def eval_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Evaluation runs that begin so: the last two of each suite by its name, and all by id."""
    del param

    def read() -> list[str]:
        rows = _eval_rows(ctx)
        suites = list(dict.fromkeys(str(row.get("suiteName")) for row in rows))
        ids = [str(row.get("evalRunId")) for row in rows]
        return [f"{suite}@{which}" for suite in suites for which in ("latest", "previous")] + ids

    return _offered(read, incomplete)


def suite_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Suites of the latest evaluation runs that begin so."""
    del param
    return _offered(lambda: [str(row.get("suiteName")) for row in _eval_rows(ctx)], incomplete)


def setting_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Settings of a profile that begin so."""
    del ctx, param

    def read() -> Iterable[str]:
        from rundial import profilechanges

        return profilechanges.SETTABLE

    return _offered(read, incomplete)


def setting_values(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What the setting that is named before may be, where that is a workspace or a project."""
    known = {"workspace": workspace_slugs, "project": project_slugs}.get(str(ctx.params.get("name")))
    return known(ctx, param, incomplete) if known is not None else []


class _Opened:
    """A session with its client, of a command line that is still being typed."""

    def __init__(self, ctx: click.Context) -> None:
        from rundial.cli.target import session_of

        given = ctx.params
        session = session_of(ctx, workspace=given.get("workspace"), project=given.get("project"))
        self._pair = session, session.client(timeout_s=TIMEOUT_S)

    def __enter__(self) -> tuple[Session, Client]:
        return self._pair

    def __exit__(self, *error: object) -> None:
        self._pair[1].close()


def _eval_rows(ctx: click.Context) -> list[dict[str, object]]:
    with _Opened(ctx) as (session, client):
        return [dict(row) for row in client.list_eval_runs(**session.place(client).slugs(), limit=MAX_NAMES)]


def _offered(read: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return [name for name in dict.fromkeys(read()) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a shell that completes nothing is better than one that prints a traceback
        return []
