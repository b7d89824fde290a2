"""`rundial logs`: the last lines of a run's text."""

from __future__ import annotations

from typing import Any

import click

from rundial.cli.follow import look_on
from rundial.cli.lazily import LazyCommands, Source
from rundial.cli.lines import LEVELS, Wish, identity, last_lines, tell
from rundial.cli.livefollow import follow
from rundial.cli.names import run_ids
from rundial.cli.options import Group, placed
from rundial.cli.target import session_of
from rundial.cli.times import Moment

group = Group(
    "logs",
    help="Read a run's text.",
    commands=LazyCommands(
        {
            "export": Source(
                "rundial.cli.exports:logs",
                "Write every line of a run's text to a file; interrupted, it goes on when given again.",
            )
        }
    ),
)


@group.command("tail")
@click.argument("run_id", shell_complete=run_ids)
@placed
@click.option(
    "--min-level", type=click.Choice(LEVELS), default="trace", show_default=True, help="Least level."
)
@click.option("--text", metavar="TEXT", help="Only lines that contain this.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only lines from then on: 2h, 2026-11-01.")
@click.option("--lines", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most lines.")
@click.option("--follow", is_flag=True, help="Go on printing new lines as they come, until the run is over.")
@click.option(
    "--interval-seconds",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    help="Time between two looks at whether the run is over.",
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
        wish = Wish(run_id, options["min_level"], options["text"], options["since"], options["lines"])
        if options["follow"] and follow(session.output, client, place, wish, options["interval_seconds"]):
            return
        pace = {"interval_s": options["interval_seconds"], "is_following": options["follow"]}
        seen: set[tuple[object, ...]] = set()

        def look(project_id: str, number: int) -> None:
            nonlocal seen
            rows = last_lines(client, project_id, wish)
            fresh = [row for row in rows if identity(row) not in seen]
            if fresh or number == 0:
                tell(session.output, run_id, fresh)
            # Only the last look: what has left the window does not come back into it.
            seen = {identity(row) for row in rows}

        look_on(session.output, client, place, run_id, look, **pace)
