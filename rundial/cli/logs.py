"""`rundial logs`: the last lines of a run's text."""

from __future__ import annotations

from typing import Any

import click

from rundial.cli.follow import looks
from rundial.cli.options import Group
from rundial.cli.output import Output, shown, when
from rundial.cli.target import session_of
from rundial.signals import semconv
from rundial.signals.consoleline import plain

LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
LEVEL_COLORS = {"WARN": "yellow", "ERROR": "red", "FATAL": "red", "DEBUG": "dim", "TRACE": "dim"}

group = Group("logs", help="Read a run's text.")

Rows = list[dict[str, Any]]


@group.command("tail")
@click.argument("run_id")
@click.option("--workspace", metavar="SLUG", help="Workspace; the profile's, else the key's only one.")
@click.option("--project", metavar="SLUG", help="Project; the profile's, else the workspace's only one.")
@click.option(
    "--min-level", type=click.Choice(LEVELS), default="trace", show_default=True, help="Least level."
)
@click.option("--text", metavar="TEXT", help="Only lines that contain this.")
@click.option("--lines", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most lines.")
@click.option("--follow", is_flag=True, help="Go on printing new lines until the run is over.")
@click.option(
    "--interval-seconds",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    help="Time between two looks while following.",
)
@click.pass_context
def tail(
    ctx: click.Context,
    /,
    run_id: str,
    workspace: str | None,
    project: str | None,
    **options: Any,
) -> None:
    """Print the last lines of a run's text, the newest last; as JSON, the newest first."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        pace = {"interval_s": options["interval_seconds"], "is_following": options["follow"]}
        seen: set[tuple[object, ...]] = set()
        for turn, project_id in enumerate(looks(client, place, run_id, **pace)):
            found = client.query_logs(
                project_id=project_id,
                run_id=run_id,
                limit=options["lines"],
                min_level=options["min_level"],
                text=options["text"],
            )
            rows = [row for row in found.get("rows") or [] if isinstance(row, dict)]
            fresh = [row for row in rows if _identity(row) not in seen]
            if fresh or turn == 0:
                _print(session.output, run_id, fresh)
            # Only the last look: what has left the window does not come back into it.
            seen = {_identity(row) for row in rows}


def _identity(row: dict[str, Any]) -> tuple[object, ...]:
    return row.get("timestampMs"), row.get("sequence"), row.get("message")


def _print(output: Output, run_id: str, rows: Rows) -> None:
    def human() -> list[str]:
        if not rows:
            return [f"no text of {shown(run_id)} yet"]
        return [_line(output, row) for row in reversed(folded(rows))]

    output.result({"logs": rows}, human)


def folded(rows: Rows) -> Rows:
    """Return the rows, newest first, with the last state alone of each line that was rewritten."""
    seen: set[tuple[object, object]] = set()
    out: Rows = []
    for row in rows:
        attributes = row.get("attributes") or {}
        number = attributes.get(semconv.LINE)
        state = (number, attributes.get(semconv.LOG_IOSTREAM))
        if number is None or state not in seen:
            out.append(row)
            seen.add(state)
    return out


def _line(output: Output, row: dict[str, Any]) -> str:
    level = shown(row.get("level")).upper()
    mark = " …" if row.get("truncated") else ""
    padded = output.paint(level.ljust(5), LEVEL_COLORS.get(level, ""))
    return f"{when(row.get('timestampMs'))}  {padded}  {shown(plain(str(row.get('message'))))}{mark}"
