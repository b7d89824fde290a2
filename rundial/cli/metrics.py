"""`rundial metrics`: the last points of a run's series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rundial.cli.follow import looks
from rundial.cli.options import Group, words_of
from rundial.cli.output import Output, shown, table, when
from rundial.cli.target import session_of

if TYPE_CHECKING:
    from rundial.api.client import Client

MAX_KEYS = 8
# A server thins a long series out to the number that is asked for, and thinned points are not the
# last ones. So a series is read whole and cut here: first as far as most series go, then as far as
# a server goes.
_READ_POINTS = (2_000, 100_000)

group = Group("metrics", help="Read a run's series.")

Series = list[dict[str, Any]]


@group.command("tail")
@click.argument("run_id")
@click.option("--workspace", metavar="SLUG", help="Workspace; the profile's, else the key's only one.")
@click.option("--project", metavar="SLUG", help="Project; the profile's, else the workspace's only one.")
@click.option("--keys", multiple=True, metavar="KEY", help="Series to read; repeatable, or a,b. At most 8.")
@click.option(
    "--points", type=click.IntRange(1, 1000), default=10, show_default=True, help="Points a series."
)
@click.option("--follow", is_flag=True, help="Go on printing new points until the run is over.")
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
    """Print the last points of a run's series."""
    keys = words_of(options["keys"])
    if len(keys) > MAX_KEYS:
        raise click.UsageError(f"{len(keys)} keys were given; {MAX_KEYS} can be read at once")
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        pace = {"interval_s": options["interval_seconds"], "is_following": options["follow"]}
        before: Series = []
        for turn, project_id in enumerate(looks(client, place, run_id, **pace)):
            found = _read(client, project_id, run_id, keys=keys, points=options["points"])
            fresh = _unseen(found, before)
            if fresh or turn == 0:
                _print(session.output, run_id, fresh, has_header=turn == 0)
            before = found or before


def _read(client: Client, project_id: str, run_id: str, *, keys: list[str], points: int) -> Series:
    """Return the last points of the given series, or of the first ones that the run has."""
    if not keys:
        rows = client.list_metric_keys(project_id=project_id, run_id=run_id, limit=MAX_KEYS)
        keys = [str(row["metricKey"]) for row in rows if row.get("metricKey")][:MAX_KEYS]
    if not keys:
        return []
    series: Series = []
    for most in _READ_POINTS:
        found = client.query_series(
            project_id=project_id, run_id=run_id, metric_keys=keys, max_points_per_series=most
        )
        series = [dict(row) for row in found["series"]]
        if all(len(row.get("points") or []) >= row.get("totalPoints", 0) for row in series):
            break
    return [{**row, "points": list(row.get("points") or [])[-points:]} for row in series]


def _unseen(found: Series, before: Series) -> Series:
    """Return the series with the points that the look before did not have."""
    known = {_name(row): {_identity(point) for point in row["points"]} for row in before}
    fresh = []
    for row in found:
        seen = known.get(_name(row), set())
        points = [point for point in row["points"] if _identity(point) not in seen]
        if points:
            fresh.append({**row, "points": points})
    return fresh


def _name(row: dict[str, Any]) -> str:
    """Return a series' name with its context: one key may have several series."""
    context = row.get("context")
    if not isinstance(context, dict) or not context:
        return shown(row.get("metricKey"))
    pairs = ", ".join(f"{shown(key)}={shown(value)}" for key, value in sorted(context.items()))
    return f"{shown(row.get('metricKey'))} ({pairs})"


def _identity(point: dict[str, Any]) -> tuple[object, object, object]:
    return point.get("step"), point.get("timestampMs"), point.get("value")


def _print(output: Output, run_id: str, series: Series, *, has_header: bool) -> None:
    def human() -> list[str]:
        cells = [
            [
                _name(row),
                shown(point.get("step")),
                when(point.get("timestampMs")),
                shown(point.get("value")),
            ]
            for row in series
            for point in row["points"]
        ]
        if not cells:
            return [f"no points of {shown(run_id)} yet"]
        lines = table(["series", "step", "time", "value"], cells, right=frozenset({1, 3}))
        return lines if has_header else lines[1:]

    output.result({"series": series}, human)
