"""`rundial metrics plot`: a run's series as curves in the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import click

from rundial.cli.curves import plot
from rundial.cli.names import run_ids
from rundial.cli.options import Command, placed, words_of
from rundial.cli.output import shown
from rundial.cli.series import MAX_KEYS, keys_of, name_of
from rundial.cli.target import session_of

# A dot a half column: more points than these cannot be told apart.
_POINTS = 2_000


@click.command("plot", cls=Command)
@click.argument("run_id", shell_complete=run_ids)
@placed
@click.option("--keys", multiple=True, metavar="KEY", help="Series to plot; repeatable, or a,b. At most 8.")
@click.option(
    "--height", type=click.IntRange(2, 200), default=12, show_default=True, help="Lines of a curve."
)
@click.option("--width", type=click.IntRange(24, 1000), help="Columns.  [default: the terminal's]")
@click.pass_context
def plots(
    ctx: click.Context, /, run_id: str, workspace: str | None, project: str | None, **given: Any
) -> None:
    """Draw a run's series against their steps, or against time where they have none."""
    keys = words_of(given["keys"])
    if len(keys) > MAX_KEYS:
        raise click.UsageError(f"{len(keys)} keys were given; {MAX_KEYS} can be drawn at once")
    session = session_of(ctx, workspace=workspace, project=project)
    series: list[dict[str, Any]] = []
    with session.client() as client:
        place = session.place(client)
        details = client.get_run_details(
            workspace_slug=place.workspace, project_slug=place.project, run_id=run_id
        )
        project_id = str(details.get("projectId"))
        keys = keys or keys_of(client, project_id, run_id)
        if keys:
            found = client.query_series(
                project_id=project_id, run_id=run_id, metric_keys=keys, max_points_per_series=_POINTS
            )
            series = [dict(row) for row in found["series"]]
    width = given["width"] or shutil.get_terminal_size().columns

    def human() -> list[str]:
        if not series:
            return [
                f"no points of {shown(run_id)} yet; see what there is: rundial run status {shown(run_id)}"
            ]
        return [
            line
            for row in series
            for line in (*plot(_points(row), width=width, height=given["height"], title=name_of(row)), "")
        ][:-1]

    session.output.result({"runId": run_id, "series": series}, human)


def _points(row: Mapping[str, Any]) -> list[tuple[float, float]]:
    found = []
    for point in row.get("points") or []:
        x = point.get("step") if point.get("step") is not None else point.get("timestampMs")
        if isinstance(x, (int, float)) and isinstance(point.get("value"), (int, float)):
            found.append((float(x), float(point["value"])))
    return found
