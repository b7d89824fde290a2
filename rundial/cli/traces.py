"""`rundial traces`: a run's spans, as a list, as trees, and as OTLP."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.failure import CommandError
from rundial.cli.follow import look_on
from rundial.cli.names import run_ids, trace_ids
from rundial.cli.options import Group, placed
from rundial.cli.output import Output, shown, some, when, write
from rundial.cli.target import Place, session_of

if TYPE_CHECKING:
    from rundial.api.client import Client

STATES = {"error": "red", "interrupted": "red", "running": "cyan"}
_MS = 1_000_000
# One request of the export; OTLP/JSON is taken up to 16 MiB at once.
_AT_ONCE = 500

group = Group("traces", help="Read a run's spans.")

Rows = list[dict[str, Any]]


@group.command("tail")
@click.argument("run_id", shell_complete=run_ids)
@placed
@click.option("--spans", type=click.IntRange(1, 1000), default=20, show_default=True, help="Most spans.")
@click.option("--follow", is_flag=True, help="Go on printing new spans until the run is over.")
@click.option(
    "--interval-seconds",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    help="Time between two looks while following.",
)
@click.pass_context
def tail(
    ctx: click.Context, /, run_id: str, workspace: str | None, project: str | None, **options: Any
) -> None:
    """Print the spans of a run that began last, the newest last; as JSON, the newest first."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        pace = {"interval_s": options["interval_seconds"], "is_following": options["follow"]}
        seen: set[tuple[object, ...]] = set()

        def look(_: str, number: int) -> None:
            nonlocal seen
            rows = _newest(client, place, run_id, options["spans"])
            fresh = [row for row in rows if _identity(row) not in seen]
            if fresh or number == 0:
                _print(session.output, run_id, fresh, is_newest_first=True)
            seen = {_identity(row) for row in rows}

        look_on(session.output, client, place, run_id, look, **pace)


@group.command("show")
@click.argument("run_id", shell_complete=run_ids)
@placed
@click.option("--tree", "is_tree", is_flag=True, help="Print each trace as a tree.")
@click.option("--trace", "trace_id", metavar="ID", shell_complete=trace_ids, help="Only this trace.")
@click.option("--spans", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Most spans.")
@click.pass_context
def show(  # noqa: PLR0913 -- one argument an option
    ctx: click.Context,
    /,
    run_id: str,
    workspace: str | None,
    project: str | None,
    is_tree: bool,
    trace_id: str | None,
    spans: int,
) -> None:
    """Print the spans of a run from the first one on, or its traces as trees."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        if is_tree:
            rows = list(_trees(client, place, run_id, trace_id, spans, session.output))
        else:
            found = client.iter_spans(
                **place.slugs(), run_id=run_id, trace_id=trace_id, page_size=min(spans, 1000)
            )
            rows = [dict(row) for row in islice(found, spans)]
    _print(session.output, run_id, rows)


@group.command("export")
@click.argument("run_id", shell_complete=run_ids)
@placed
@click.option(
    "--format", "form", type=click.Choice(["otlp-json"]), default="otlp-json", show_default=True, help="Form."
)
@click.option("--trace", "trace_id", metavar="ID", shell_complete=trace_ids, help="Only this trace.")
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; it must not exist.  [default: stdout]",
)
@click.pass_context
def export(
    ctx: click.Context,
    /,
    run_id: str,
    workspace: str | None,
    project: str | None,
    **options: Any,
) -> None:
    """Write a run's spans as requests of OTLP/JSON, one a line, each of which any OTLP endpoint takes.

    Spans that still run are left out, and counted on stderr.
    """
    session = session_of(ctx, workspace=workspace, project=project)
    counted = {"spans": 0, "running": 0}
    with session.client() as client:
        place = session.place(client)
        lines = _requests(client, place, run_id, options["trace_id"], counted)
        _written(lines, options["path"])
    if counted["running"]:
        session.output.note(f"{some(counted['running'], 'span')} still running and left out")
    if not counted["spans"] and options["path"] is None:
        session.output.note(f"no spans of {shown(run_id)} have ended yet; nothing was written")
    if options["path"] is not None:
        found = {"path": str(options["path"]), **counted}
        session.output.result(found, lambda: [f"{some(counted['spans'], 'span')} in {options['path']}"])


def _requests(
    client: Client, place: Place, run_id: str, trace_id: str | None, counted: dict[str, int]
) -> Iterator[str]:
    """Yield lines of the export, counting what is in them."""
    from rundial.signals.spanjson import request_of

    run = client.get_run_details(workspace_slug=place.workspace, project_slug=place.project, run_id=run_id)
    spans = client.iter_spans(
        workspace_slug=place.workspace, project_slug=place.project, run_id=run_id, trace_id=trace_id
    )
    held: Rows = []
    for span in spans:
        is_running = span.get("endNs") is None
        counted["running" if is_running else "spans"] += 1
        if not is_running:
            held.append(dict(span))
        if len(held) == _AT_ONCE:
            yield _line_of(request_of(held, place.project, run))
            held.clear()
    if held:
        yield _line_of(request_of(held, place.project, run))


def _line_of(request: dict[str, Any]) -> str:
    # In ASCII, so that no terminal's or file's encoding changes anything.
    return json.dumps(request, separators=(",", ":"))


def _written(lines: Iterator[str], path: Path | None) -> None:
    if path is None:
        write(sys.stdout, lines)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except FileExistsError as error:
        raise CommandError(f"{path} exists already; nothing was written", "Name another --output") from error


def _newest(client: Client, place: Place, run_id: str, limit: int) -> Rows:
    rows = client.list_spans(
        workspace_slug=place.workspace,
        project_slug=place.project,
        run_id=run_id,
        limit=min(limit, 1000),
        max_pages=-(-limit // 1000),
        order="desc",
    )
    return [dict(row) for row in rows][:limit]


def _trees(
    client: Client, place: Place, run_id: str, trace_id: str | None, most: int, output: Output
) -> Iterator[dict[str, Any]]:
    """Yield the spans of a run's traces, each trace's in the order of its tree."""
    wanted = [trace_id] if trace_id else _traces(client, place, run_id, most)
    for each in wanted:
        if most <= 0:
            return
        trace = client.get_trace(
            workspace_slug=place.workspace,
            project_slug=place.project,
            trace_id=each,
            run_id=run_id,
            limit=most,
        )
        shown_spans = len(trace["spans"])
        yield from (dict(span) for span in trace["spans"])
        if trace["totalSpans"] > shown_spans < most:
            # The server bounds the bytes of an answer as well.
            output.note(
                f"of trace {each} the first {shown_spans:,} of {trace['totalSpans']:,} spans are shown"
            )
        most -= shown_spans


def _traces(client: Client, place: Place, run_id: str, most: int) -> list[str]:
    """Ids of a run's first traces, by what is at their top."""
    spans = client.iter_spans(
        workspace_slug=place.workspace, project_slug=place.project, run_id=run_id, parent="none"
    )
    found: dict[str, None] = {}
    for span in spans:
        found[str(span["traceId"])] = None
        if len(found) >= most:
            break
    return list(found)


def _identity(row: dict[str, Any]) -> tuple[object, ...]:
    return row.get("traceId"), row.get("spanId"), row.get("endNs")


def _print(output: Output, run_id: str, rows: Rows, *, is_newest_first: bool = False) -> None:
    def human() -> list[str]:
        if not rows:
            return [f"no spans of {shown(run_id)} yet; see what there is: rundial run status {shown(run_id)}"]
        return [_line(output, row) for row in (reversed(rows) if is_newest_first else rows)]

    output.result({"spans": rows}, human)


def _line(output: Output, row: dict[str, Any]) -> str:
    state = _state(row)
    padded = output.paint(state.ljust(11), STATES.get(state, ""))
    indent = "  " * min(int(row.get("depth") or 0), 40)
    words = [
        when(int(row["startNs"]) // _MS),
        _took(row),
        padded,
        f"{indent}{shown(row.get('name'))}",
        _more(row),
    ]
    return "  ".join(word for word in words if word).rstrip()


def _state(row: dict[str, Any]) -> str:
    if row.get("running"):
        return "running"
    return "interrupted" if row.get("interrupted") else shown(row.get("status"))


def _took(row: dict[str, Any]) -> str:
    """How long a span took, in the unit that fits."""
    duration = row.get("durationNs")
    if duration is None:
        return "-".rjust(9)
    seconds = int(duration) / 1e9
    text = f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms"
    return text.rjust(9)


def _more(row: dict[str, Any]) -> str:
    """What an agent's span says in few words, and what is wrong with a span's place."""
    genai = row.get("genai") or {}
    words = [shown(genai["model"])] if genai.get("model") else []
    usage = genai.get("usage") or {}
    if usage.get("total") is not None:
        words.append(f"{usage['total']:,} tokens")
    if genai.get("costUsd") is not None:
        words.append(f"${genai['costUsd']:.4f}")
    if row.get("parentProblem"):
        words.append(f"parent: {shown(row['parentProblem'])}")
    if row.get("clockSkewNs"):
        words.append(f"clock {int(row['clockSkewNs']) / 1e6:.2f} ms behind its parent's")
    return f"({', '.join(words)})" if words else ""
