"""`rundial run watch`: a run as it goes on: its series, text, spans, machine and ledger.

On a terminal one picture is drawn over and over; in a pipe each change is a few lines, with `--json` one
object a look.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.curves import sparkline
from rundial.cli.follow import look_on
from rundial.cli.lines import line_of
from rundial.cli.names import run_ids
from rundial.cli.options import Command, placed
from rundial.cli.output import Output, shown, table, write
from rundial.cli.run import details_of
from rundial.cli.series import name_of
from rundial.cli.tables import cut_painted, terminal_width
from rundial.cli.target import Place, session_of

if TYPE_CHECKING:
    from rundial.api.client import Client

SYSTEM = "system/"
MAX_SERIES = 12
MAX_LINES = 6
MAX_SPANS = 5
_POINTS = 60


@dataclass(frozen=True, slots=True)
class Look:
    """A run at one moment.

    Attributes:
        run: Its details.
        series: Its series, with a thinned curve of each.
        lines: Its last lines, the newest first.
        spans: Its last spans.
    """

    run: Mapping[str, Any]
    series: Sequence[Mapping[str, Any]]
    lines: Sequence[Mapping[str, Any]]
    spans: Sequence[Mapping[str, Any]]


@click.command("watch", cls=Command)
@click.argument("run_id", shell_complete=run_ids)
@placed
@click.option(
    "--interval-seconds",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    help="Time between two looks.",
)
@click.pass_context
def watch(
    ctx: click.Context,
    /,
    run_id: str,
    workspace: str | None,
    project: str | None,
    interval_seconds: float,
) -> None:
    """Watch a run until it is over: metrics, logs, spans, system and ledger. Ctrl-C leaves it as it is."""
    session = session_of(ctx, workspace=workspace, project=project)
    output = session.output
    with session.client() as client:
        place = session.place(client)
        screen = Screen()

        def show(_project_id: str, _number: int) -> None:
            look = look_at(client, place, run_id)
            if output.is_json:
                found = {"run": look.run, "series": look.series, "logs": look.lines, "spans": look.spans}
                output.result(found, list)
            elif not output.is_quiet:
                screen.show(picture(output, place, look))

        look_on(output, client, place, run_id, show, interval_s=interval_seconds, is_following=True)


class Screen:
    """Where pictures are shown: over the one before on a terminal, in a pipe only what is new."""

    def __init__(self) -> None:
        self._shown: list[str] = []

    def show(self, lines: list[str]) -> None:
        """Show a picture."""
        width = terminal_width()
        if width is None:
            known = set(self._shown)
            write(sys.stdout, [line for line in lines if line not in known])
        else:
            # Up to where the last picture began, and nothing below is left of it.
            up = f"\x1b[{len(self._shown)}F\x1b[J" if self._shown else ""
            sys.stdout.write(up)
            # What is longer or wider than the terminal would scroll, and the next picture land beside it.
            lines = [cut_painted(line, width - 1) for line in lines[: shutil.get_terminal_size().lines - 1]]
            write(sys.stdout, lines)
        self._shown = lines


def look_at(client: Client, place: Place, run_id: str) -> Look:
    """Return the run as it is now."""
    details: Mapping[str, Any] = client.get_run_details(
        workspace_slug=place.workspace, project_slug=place.project, run_id=run_id
    )
    project_id = str(details.get("projectId"))
    keys = [
        str(row["metricKey"])
        for row in client.list_metric_keys(project_id=project_id, run_id=run_id, limit=200)
        if row.get("metricKey")
    ]
    own = [key for key in keys if not key.startswith(SYSTEM)][:MAX_SERIES]
    wanted = list(dict.fromkeys([*own, *(key for key in keys if key.startswith(SYSTEM))]))[: 2 * MAX_SERIES]
    series: list[Mapping[str, Any]] = []
    if wanted:
        found = client.query_series(
            project_id=project_id, run_id=run_id, metric_keys=wanted, max_points_per_series=_POINTS
        )
        series = list(found["series"])
    lines = client.query_logs(project_id=project_id, run_id=run_id, limit=MAX_LINES)["rows"]
    spans = client.list_spans(
        workspace_slug=place.workspace,
        project_slug=place.project,
        run_id=run_id,
        limit=MAX_SPANS,
        max_pages=1,
    )
    return Look(details, series, list(lines), list(spans))


def picture(output: Output, place: Place, look: Look) -> list[str]:
    """Return a look as lines for a person."""
    lines = details_of(output, place, {**look.run, "summary": None})
    own = [row for row in look.series if not str(row.get("metricKey")).startswith(SYSTEM)]
    system = [row for row in look.series if str(row.get("metricKey")).startswith(SYSTEM)]
    for title, rows in (("metrics", own), ("system", system)):
        if rows:
            lines += ["", output.paint(title, "bold"), *_curves(rows)]
    if look.spans:
        lines += ["", output.paint("spans", "bold"), *_spans(look.spans)]
    if look.lines:
        lines += ["", output.paint("logs", "bold")]
        lines += [line_of(output, row) for row in reversed(look.lines)]
    return lines


def _curves(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    cells = []
    for row in rows:
        points = row.get("points") or []
        values = [float(point["value"]) for point in points if isinstance(point.get("value"), (int, float))]
        last = points[-1] if points else {}
        step, value = shown(last.get("step")), shown(last.get("value"))
        cells.append([name_of(dict(row)), step, value, sparkline(values, 20)])
    return table(["series", "step", "value", ""], cells, right=frozenset({1, 2}))[1:]


def _spans(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    cells = [[shown(row.get("name")), shown(row.get("kind")), shown(row.get("status"))] for row in rows]
    return table(["span", "kind", "status"], cells)[1:]
