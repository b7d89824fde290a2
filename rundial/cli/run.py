"""`rundial run`: list a project's runs, show one; `runlife`, `runwatch` and `runcompare` have the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.lazily import LazyCommands, Source
from rundial.cli.names import run_ids
from rundial.cli.options import Group, placed, words_of
from rundial.cli.output import Output, count, facts, shown, some, table, when, when_short
from rundial.cli.sparks import Sparks, sparks_of
from rundial.cli.target import Place, session_of
from rundial.cli.times import Moment

if TYPE_CHECKING:
    from rundial.api.client import Client

SIGNALS = ("points", "lines", "spans")
MAX_ALERTS = 5
MAX_SUMMARY = 30
STATUSES = ("running", "completed", "failed", "aborted", "crashed")

group = Group(
    "run",
    help="List, show, watch and compare runs; start, end, tag and delete them.",
    commands=LazyCommands(
        {
            "start": Source(
                "rundial.cli.runlife:start",
                "Start a run that others record into, and print its id; keeps the target in the profile.",
            ),
            "finish": Source("rundial.cli.runlife:finish", "Say how a run ended that nobody else ends."),
            "stop": Source(
                "rundial.cli.runlife:stop",
                "Ask a run to stop; it ends when its program next looks at `run.should_stop`.",
            ),
            "tag": Source(
                "rundial.cli.runlife:tag",
                "Add tags to a run, or take some away; without any, print those it has.",
            ),
            "delete": Source(
                "rundial.cli.runlife:delete", "Delete a run with all its points, text and spans, for ever."
            ),
            "watch": Source(
                "rundial.cli.runwatch:watch",
                "Watch a run until it is over: metrics, logs, spans, system and ledger.",
            ),
            "compare": Source(
                "rundial.cli.runcompare:compare",
                "Put runs side by side: status, config and summary, those that differ.",
            ),
        }
    ),
)


@group.command("list")
@placed
@click.option("--status", "statuses", multiple=True, help="Only runs in this status; repeatable, or a,b.")
@click.option("--search", metavar="TEXT", help="Only runs whose id or name contains this.")
@click.option(
    "--since", type=Moment(), metavar="TIME", help="Only runs that were started since: 2h, 2026-11-01."
)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=25, show_default=True, help="Most runs to print."
)
@click.option(
    "--order", type=click.Choice(["asc", "desc"]), default="desc", show_default=True, help="Direction."
)
@click.option(
    "--order-by",
    type=click.Choice(["startedAtMs", "updatedAtMs", "runName", "runId"]),
    default="startedAtMs",
    show_default=True,
    help="What to sort by.",
)
@click.pass_context
def list_runs(
    ctx: click.Context,
    /,
    workspace: str | None,
    project: str | None,
    statuses: tuple[str, ...],
    since: int | None,
    **query: Any,
) -> None:
    """List a project's runs; on a terminal with a sparkline of one metric each."""
    session = session_of(ctx, workspace=workspace, project=project)
    sparks: Sparks | None = None
    with session.client() as client:
        place = session.place(client)
        wanted = _statuses(statuses)
        if since is None:
            found: Mapping[str, Any] = client.query_runs(
                workspace_slug=place.workspace, project_slug=place.project, statuses=wanted, **query
            )
        else:
            found = _started_since(client, place, since, {**query, "statuses": ",".join(wanted)})
        if session.output.draws():
            sparks = sparks_of(client, place, [str(row.get("runId")) for row in found["runs"]])
    session.output.result({"result": found}, lambda: runs_of(session.output, place, found, sparks))


@group.command("status")
@click.argument("run_id", shell_complete=run_ids)
@placed
@click.pass_context
def status(ctx: click.Context, /, run_id: str, workspace: str | None, project: str | None) -> None:
    """Show one run: its status, what is stored of it, and whether anything is missing."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.get_run_details(
            workspace_slug=place.workspace, project_slug=place.project, run_id=run_id
        )
    session.output.result({"run": found}, lambda: details_of(session.output, place, found))


def _statuses(given: tuple[str, ...]) -> list[str]:
    words = words_of(given)
    for word in words:
        if word not in STATUSES:
            raise click.UsageError(f"{word!r} is not a status; there are {', '.join(STATUSES)}")
    return words


def _started_since(
    client: Client, place: Place, since_ms: int, query: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return a page of runs that were started since, as the server's filter has it."""
    from rundial.api.caller import given
    from rundial.api.calls import paging, paths

    asked = given(
        limit=query["limit"],
        order=query["order"],
        orderBy=query["order_by"],
        search=query["search"] or None,
        statuses=query["statuses"] or None,
        filter=f"startedAtMs >= {since_ms}",
    )
    path = f"{paths.project(place.workspace, place.project)}/runs/query"
    found = client.caller.get(
        path, query=asked, what=f"listing the runs of {place.workspace}/{place.project}"
    )
    paging.rows_of(found, "runs", client.endpoint)
    return found


def runs_of(
    output: Output, place: Place, found: Mapping[str, Any], sparks: Sparks | None = None
) -> list[str]:
    """Return a page of runs as a table for a person."""
    rows = [row for row in found.get("runs") or [] if isinstance(row, dict)]
    if not rows:
        where = f"{shown(place.workspace)}/{shown(place.project)}"
        return [
            f"no runs in {where}",
            "  Log one, or look elsewhere: rundial run list without filters, rundial target ls",
        ]
    times = when_short if output.draws() else when
    cells = [
        [
            shown(row.get("runId")),
            shown(row.get("status")),
            shown(row.get("kind")),
            shown(_name_of(row)),
            times(row.get("startedAtMs")),
            times(row.get("updatedAtMs")),
            *([sparks.lines.get(str(row.get("runId")), "")] if sparks else []),
        ]
        for row in rows
    ]
    titles = ["run", "status", "kind", "name", "started", "updated", *([sparks.metric] if sparks else [])]
    lines = table(titles, cells, whole=frozenset({0, 1, 2, 4, 5, 6}), optional=(5, 2, 4))
    colored = [lines[0]]
    for line, row in zip(lines[1:], cells, strict=True):
        # After the run id, so that a run named "failed" stays as it is.
        start = line.index(row[1], len(row[0]))
        end = start + len(row[1])
        colored.append(line[:start] + output.status(row[1]) + line[end:])
    page = found.get("page")
    if isinstance(page, dict) and page.get("hasMore"):
        colored.append(f"{len(rows)} shown; there are more: raise --limit")
    return colored


def _name_of(run: Mapping[str, Any]) -> object:
    """Return what people call a run; None where that is its id."""
    name = run.get("runName")
    return None if name == run.get("runId") else name


def details_of(output: Output, place: Place, found: Mapping[str, Any]) -> list[str]:
    """Return a run's details as lines for a person."""
    reason = found.get("reason")
    name = _name_of(found)
    pairs = [
        ("run", shown(found.get("runId")) + (f" ({shown(name)})" if name else "")),
        ("status", output.status(found.get("status")) + (f": {shown(reason)}" if reason else "")),
        ("kind", shown(found.get("kind"))),
        ("project", f"{shown(place.workspace)}/{shown(place.project)}"),
        ("started", when(found.get("startedAtMs"))),
        ("finished", when(found.get("finishedAtMs"))),
    ]
    counts = found.get("counts")
    if isinstance(counts, dict):
        pairs.append(("stored", ", ".join(some(counts.get(s), s.removesuffix("s")) for s in SIGNALS)))
    pairs += _ledger(found.get("ledger"))
    pairs += _facets(found)
    return facts(pairs)


def _facets(found: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Say what the run says about itself: a wish to stop, preemption, alerts, and its summary."""
    if found.get("stopRequested"):
        yield "stop", "asked for; the program decides when"
    preempting = found.get("preempting")
    if isinstance(preempting, dict):
        yield "preempting", shown(preempting.get("reason")) or "yes"
    for alert in [each for each in found.get("alerts") or [] if isinstance(each, dict)][:MAX_ALERTS]:
        text = alert.get("text")
        said = f"{shown(alert.get('level'))}: {shown(alert.get('title'))}" + (
            f" ({shown(text)})" if text else ""
        )
        yield f"alert {when(alert.get('timestampMs'))}", said
    summary = found.get("summary")
    if isinstance(summary, dict):
        for key, value in sorted(summary.items())[:MAX_SUMMARY]:
            yield f"  {shown(key)}", shown(value)
        if len(summary) > MAX_SUMMARY:
            yield "  …", f"{len(summary) - MAX_SUMMARY} more; --json prints all of them"


def _ledger(ledger: object) -> Iterable[tuple[str, str]]:
    """Say in words what the server knows about completeness."""
    if not isinstance(ledger, dict):
        return
    if ledger.get("complete"):
        yield "ledger", "complete: everything that was recorded is stored"
        return
    if ledger.get("reporting") == 0:
        yield "ledger", "none: whoever sent this has not said how much was recorded"
        return
    yield "ledger", "not complete"
    for signal in (*SIGNALS, "artifacts"):
        entry = ledger.get(signal)
        if isinstance(entry, dict) and (words := _losses(entry)):
            yield f"  {signal}", words


def _losses(entry: Mapping[str, Any]) -> str:
    dropped = entry.get("dropped")
    losses = dict(dropped) if isinstance(dropped, dict) else {}
    losses |= {name: entry.get(name) for name in ("missing", "evicted", "rejected")}
    return ", ".join(f"{count(number)} {shown(name)}" for name, number in losses.items() if number)
