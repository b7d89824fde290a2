"""`rundial metrics`: the last points of a run's series."""

from __future__ import annotations

from typing import Any

import click

from rundial.cli.follow import looks
from rundial.cli.lazily import LazyCommands, Source
from rundial.cli.livepoints import follow
from rundial.cli.names import run_ids
from rundial.cli.options import Group, placed, words_of
from rundial.cli.points import Printer, identity
from rundial.cli.series import MAX_KEYS, Series, last_points, name_of
from rundial.cli.target import session_of

group = Group(
    "metrics",
    help="Read a run's series.",
    commands=LazyCommands(
        {
            "export": Source(
                "rundial.cli.exports:metrics",
                "Write every point of a run to a file, exactly; interrupted, it goes on when given again.",
            ),
            "plot": Source(
                "rundial.cli.plots:plots",
                "Draw a run's series against their steps, or against time where they have none.",
            ),
        }
    ),
)


@group.command("tail")
@click.argument("run_id", shell_complete=run_ids)
@placed
@click.option("--keys", multiple=True, metavar="KEY", help="Series to read; repeatable, or a,b. At most 8.")
@click.option(
    "--points", type=click.IntRange(1, 1000), default=10, show_default=True, help="Points a series."
)
@click.option("--follow", is_flag=True, help="Go on printing new points as they come, until the run is over.")
@click.option(
    "--interval-seconds",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    help="Time between two looks while following a server that streams no points.",
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
        printer = Printer(session.output, run_id)
        if options["follow"] and follow(printer, client, place, run_id, keys, options["points"]):
            return
        before: Series = []
        for turn, project_id in enumerate(looks(client, place, run_id, **pace)):
            found = last_points(client, project_id, run_id, keys=keys, points=options["points"])
            fresh = _unseen(found, before)
            if fresh or turn == 0:
                printer.show(fresh)
            before = found or before


def _unseen(found: Series, before: Series) -> Series:
    """Return the series with the points that the look before did not have."""
    known = {name_of(row): {identity(point) for point in row["points"]} for row in before}
    fresh = []
    for row in found:
        seen = known.get(name_of(row), set())
        points = [point for point in row["points"] if identity(point) not in seen]
        if points:
            fresh.append({**row, "points": points})
    return fresh
