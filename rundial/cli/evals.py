"""`rundial evals`: list a project's evaluation runs, show one, compare two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.evalreport import as_markdown, as_text, number
from rundial.cli.failure import CommandError
from rundial.cli.names import eval_runs, run_ids, suite_names
from rundial.cli.options import Group, placed
from rundial.cli.output import facts, shown, table, when
from rundial.cli.target import Place, session_of

if TYPE_CHECKING:
    from rundial.api.client import Client

_LATEST = {"latest": 0, "previous": 1}
MAX_CONFIG = 20

group = Group("evals", help="List evaluation runs, show one, compare two.")


@group.command("ls")
@placed
@click.option(
    "--suite", metavar="NAME", shell_complete=suite_names, help="Only of this suite, by name or id."
)
@click.option(
    "--run", "run_id", metavar="RUN_ID", shell_complete=run_ids, help="Only what is part of this run."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=25, show_default=True, help="Most to print.")
@click.pass_context
def list_eval_runs(ctx: click.Context, /, workspace: str | None, project: str | None, **query: Any) -> None:
    """List evaluation runs, the last one first."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.list_eval_runs(workspace_slug=place.workspace, project_slug=place.project, **query)
    session.output.result({"evalRuns": found}, lambda: _listed(place, found))


@group.command("show")
@click.argument("eval_run", shell_complete=eval_runs)
@placed
@click.pass_context
def show(ctx: click.Context, /, eval_run: str, workspace: str | None, project: str | None) -> None:
    """Show one evaluation run: an id, or SUITE@latest, SUITE@previous."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.get_eval_run(
            workspace_slug=place.workspace,
            project_slug=place.project,
            eval_run_id=_id_of(client, place, eval_run),
        )
    session.output.result({"evalRun": found}, lambda: list(_details(found)))


@group.command("diff")
@click.argument("baseline_eval_run_id", shell_complete=eval_runs)
@click.argument("candidate_eval_run_id", shell_complete=eval_runs)
@placed
@click.option("--scorer", metavar="NAME", help="Only this scorer.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most rows to print."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="By how much any score may get worse; else verdicts decide.",
)
@click.option("--fail-on-regression", is_flag=True, help="Exit with 1 when anything got worse.")
@click.option(
    "--fail-on-missing", is_flag=True, help="Exit with 1 when the candidate lacks what the baseline has."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["human", "json", "markdown"]),
    help="How to print; markdown is for a comment.",
)
@click.pass_context
def diff(  # noqa: PLR0913 - its options
    ctx: click.Context,
    /,
    baseline_eval_run_id: str,
    candidate_eval_run_id: str,
    workspace: str | None,
    project: str | None,
    fail_on_regression: bool,
    fail_on_missing: bool,
    form: str | None,
    **query: Any,
) -> None:
    """Compare two evaluation runs, what got worse first.

    Each is an id, or SUITE@latest, SUITE@previous. Where both say whether an example passed, that decides;
    where one does not, its score does.
    """
    session = session_of(ctx, workspace=workspace, project=project)
    output = replace(session.output, is_json=True) if form == "json" else session.output
    with session.client(timeout_s=60.0) as client:
        place = session.place(client)
        project_id = _project_id(client, place)
        ids = [_id_of(client, place, each) for each in (baseline_eval_run_id, candidate_eval_run_id)]
        found = client.query_eval_diff(
            project_id=project_id, baseline_eval_run_id=ids[0], candidate_eval_run_id=ids[1], **query
        )
    summary = found.get("summary") or {}
    regressions, missing = summary.get("regressed", 0), summary.get("missing", 0)
    told = {
        "workspace": place.workspace,
        "project": place.project,
        "projectId": project_id,
        "baselineEvalRunId": ids[0],
        "candidateEvalRunId": ids[1],
        "regressions": regressions,
        "result": found,
    }
    output.result(told, lambda: as_markdown(found) if form == "markdown" else as_text(found))
    if fail_on_regression and regressions:
        raise CommandError(f"{regressions:,} got worse", f"See: rundial evals show {ids[1]}")
    if fail_on_missing and missing:
        raise CommandError(f"{missing:,} are missing", f"See: rundial evals show {ids[1]}")


def _id_of(client: Client, place: Place, named: str) -> str:
    """Return the id of an evaluation run; `SUITE@latest` and `SUITE@previous` are looked up."""
    suite, at, which = named.rpartition("@")
    if not at:
        return named
    if which not in _LATEST or not suite:
        raise click.UsageError(f"{named!r} is no evaluation run: use an id, SUITE@latest or SUITE@previous")
    found = client.list_eval_runs(
        workspace_slug=place.workspace, project_slug=place.project, suite=suite, limit=_LATEST[which] + 1
    )
    if len(found) <= _LATEST[which]:
        raise CommandError(
            f"the suite {suite!r} has {len(found)} evaluation runs in {place.workspace}/{place.project}",
            "See: rundial evals ls",
        )
    return found[_LATEST[which]]["evalRunId"]


def _project_id(client: Client, place: Place) -> str:
    """Return a project's id; asking makes no project."""
    for row in client.list_projects(workspace_slug=place.workspace):
        if row.get("projectSlug") == place.project and row.get("projectId"):
            return row["projectId"]
    raise CommandError(
        f"there is no project {place.project!r} in {place.workspace!r}", "Name another one: --project"
    )


def _listed(place: Place, found: list[Any]) -> list[str]:
    if not found:
        where = f"{shown(place.workspace)}/{shown(place.project)}"
        return [
            f"no evaluation runs in {where}",
            "  Make one: rundial.eval.suite, or look elsewhere: rundial target ls",
        ]
    cells = []
    for row in found:
        counts = row.get("counts") or {}
        cells.append(
            [
                shown(row.get("evalRunId")),
                shown(row.get("suiteName")),
                number(counts.get("examples")),
                number(counts.get("passed")),
                number(counts.get("failed")),
                when(row.get("startedAtMs")),
                shown(row.get("runId")),
            ]
        )
    header = ["evaluation", "suite", "examples", "passed", "failed", "started", "run"]
    return table(header, cells, right=frozenset({2, 3, 4}))


def _details(found: Mapping[str, Any]) -> Iterator[str]:
    dataset, config = found.get("dataset") or {}, found.get("config") or {}
    counts = found.get("counts") or {}
    pairs = [
        ("evaluation", shown(found.get("evalRunId"))),
        ("suite", shown(found.get("suiteName"))),
        ("dataset", " ".join(shown(dataset[key]) for key in ("name", "version") if dataset.get(key)) or "-"),
        ("run", f"{shown(found.get('runId'))}, {shown(found.get('runStatus'))}"),
        ("started", when(found.get("startedAtMs"))),
        ("examples", number(counts.get("examples"))),
    ]
    pairs += [(f"  {shown(key)}", shown(value)) for key, value in sorted(config.items())[:MAX_CONFIG]]
    yield from facts(pairs)
    stats = [row for row in found.get("stats") or [] if isinstance(row, dict)]
    if stats:
        names = ("scorer", "results", "passed", "failed", "mean", "min", "max")
        cells = [[shown(row.get("scorer")), *(number(row.get(name)) for name in names[1:])] for row in stats]
        yield ""
        yield from table(names, cells, right=frozenset(range(1, len(names))))
