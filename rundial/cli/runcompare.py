"""`rundial run compare`: in what runs differ, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from rundial.cli.names import run_ids
from rundial.cli.options import Command, placed
from rundial.cli.output import shown, some, table
from rundial.cli.target import session_of

MAX_RUNS = 20


@click.command("compare", cls=Command)
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...", shell_complete=run_ids)
@placed
@click.option("--all", "shows_all", is_flag=True, help="Also what is the same in all of them.")
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    run_ids: tuple[str, ...],
    workspace: str | None,
    project: str | None,
    *,
    shows_all: bool,
) -> None:
    """Put runs side by side: status, config and summary, those that differ."""
    if not 2 <= len(run_ids) <= MAX_RUNS:
        raise click.UsageError(f"{some(len(run_ids), 'run')} given; 2 to {MAX_RUNS} can be compared")
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        runs: list[Mapping[str, Any]] = [
            client.get_run_details(workspace_slug=place.workspace, project_slug=place.project, run_id=each)
            for each in run_ids
        ]
    found: dict[str, Any] = {
        "runs": [{name: run.get(name) for name in ("runId", "runName", "status", "kind")} for run in runs],
        "config": differing(runs, "config", shows_all=shows_all),
        "summary": differing(runs, "summary", shows_all=shows_all),
    }
    session.output.result(found, lambda: _lines(found))


def differing(runs: list[Mapping[str, Any]], part: str, *, shows_all: bool) -> dict[str, list[object]]:
    """Return by path the values of each run, None where one has none; only paths whose values differ."""
    flats = [dict(_flat(run.get(part))) for run in runs]
    paths = sorted({path for flat in flats for path in flat})
    values = {path: [flat.get(path) for flat in flats] for path in paths}
    return {path: row for path, row in values.items() if shows_all or any(each != row[0] for each in row)}


def _flat(value: object, path: str = "") -> list[tuple[str, object]]:
    if isinstance(value, dict) and value:
        return [
            pair
            for key, below in value.items()
            for pair in _flat(below, f"{path}.{key}" if path else str(key))
        ]
    return [(path, value)] if path else []


def _lines(found: Mapping[str, Any]) -> list[str]:
    runs = found["runs"]
    facts = (("name", "runName"), ("status", "status"))
    rows = [[name, *(shown(run.get(key)) for run in runs)] for name, key in facts]
    for part in ("config", "summary"):
        rows += [[f"{part}.{shown(path)}", *map(shown, values)] for path, values in found[part].items()]
    lines = table(["", *(shown(run["runId"]) for run in runs)], rows, is_raw=True)
    if not found["config"] and not found["summary"]:
        lines.append("config and summary are the same; --all shows them")
    return lines
