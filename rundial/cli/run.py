"""`rundial run`: list a project's runs, show one, ask one to stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from rundial.cli.options import Group, words_of
from rundial.cli.output import Output, facts, shown, table, when
from rundial.cli.target import Place, session_of

SIGNALS = ("points", "lines", "spans")
MAX_ALERTS = 5
MAX_SUMMARY = 30
STATUSES = ("running", "completed", "failed", "aborted", "crashed")

group = Group("run", help="List runs, show one, stop one.")


@group.command("list")
@click.option("--workspace", metavar="SLUG", help="Workspace; the profile's, else the key's only one.")
@click.option("--project", metavar="SLUG", help="Project; the profile's, else the workspace's only one.")
@click.option("--status", "statuses", multiple=True, help="Only runs in this status; repeatable, or a,b.")
@click.option("--search", metavar="TEXT", help="Only runs whose id or name contains this.")
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
    **query: Any,
) -> None:
    """List a project's runs."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.query_runs(
            workspace_slug=place.workspace, project_slug=place.project, statuses=_statuses(statuses), **query
        )
    session.output.result({"result": found}, lambda: runs_of(session.output, place, found))


@group.command("status")
@click.argument("run_id")
@click.option("--workspace", metavar="SLUG", help="Workspace; the profile's, else the key's only one.")
@click.option("--project", metavar="SLUG", help="Project; the profile's, else the workspace's only one.")
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


@group.command("stop")
@click.argument("run_id")
@click.option("--workspace", metavar="SLUG", help="Workspace; the profile's, else the key's only one.")
@click.option("--project", metavar="SLUG", help="Project; the profile's, else the workspace's only one.")
@click.option("--reason", metavar="TEXT", help="Why, in words.")
@click.pass_context
def stop(
    ctx: click.Context, /, run_id: str, workspace: str | None, project: str | None, reason: str | None
) -> None:
    """Ask a run to stop; it ends when its program next looks at `run.should_stop`."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        project_id = client.resolve_project_id(workspace_slug=place.workspace, project_slug=place.project)
        found = client.stop_run(run_id=run_id, project_id=project_id, reason=reason)
    said = f"asked {shown(found.get('runId'))} to stop; its program decides when"
    session.output.result({"run": found}, lambda: [said])


def _statuses(given: tuple[str, ...]) -> list[str]:
    words = words_of(given)
    for word in words:
        if word not in STATUSES:
            raise click.UsageError(f"{word!r} is not a status; there are {', '.join(STATUSES)}")
    return words


def runs_of(output: Output, place: Place, found: Mapping[str, Any]) -> list[str]:
    """Return a page of runs as a table for a person."""
    rows = [row for row in found.get("runs") or [] if isinstance(row, dict)]
    if not rows:
        return [f"no runs in {shown(place.workspace)}/{shown(place.project)}"]
    cells = [
        [
            shown(row.get("runId")),
            shown(row.get("status")),
            shown(row.get("kind")),
            shown(row.get("runName")),
            when(row.get("startedAtMs")),
            when(row.get("updatedAtMs")),
        ]
        for row in rows
    ]
    lines = table(["run", "status", "kind", "name", "started", "updated"], cells)
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


def details_of(output: Output, place: Place, found: Mapping[str, Any]) -> list[str]:
    """Return a run's details as lines for a person."""
    reason = found.get("reason")
    name = found.get("runName")
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
        pairs.append(("stored", ", ".join(f"{count(counts.get(s))} {s}" for s in SIGNALS)))
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


def count(number: object) -> str:
    """Return a whole number with separators, `-` when there is none."""
    return f"{number:,}" if isinstance(number, int) else "-"
