"""Evaluations written and read: POST /api/v1/evals/{suites,runs,results}, and a project's evaluation runs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import Arguments, of_body, of_query, page
from rundial.server.attempts import Start
from rundial.server.evalrows import Begun, Scored, facts_of, name_of, scored_of_json
from rundial.server.keys import EVALS_WRITE, PROJECT_READ, Principal
from rundial.server.problems import Problem, invalid
from rundial.server.routes.workspaces import need_project, need_project_by_id
from rundial.server.runlife import status_at
from rundial.server.security import REQUEST_ID
from rundial.server.services import Services, principal_of, services_of
from rundial.server.store.evals import (
    begin_eval_run,
    find_eval_run,
    find_suite,
    keep_results,
    keep_suite,
    need_eval_run,
    page_of_eval_runs,
    page_of_results,
    said,
)
from rundial.server.store.evalstats import counts_of_runs, stats_of_scorers
from rundial.server.store.library import run_named
from rundial.server.store.lifeline import start_run
from rundial.server.store.places import Project
from rundial.signals import results

AnyRow = Row[Any]
_T = TypeVar("_T")
MAX_ROWS: Final = 10_000
MAX_SCORERS: Final = 1_000
OUTCOMES: Final = ("passed", "failed", "unjudged")
_MS: Final = 1_000_000
_AT: Final = "/api/v1/workspaces/{workspace}/projects/{project}/evals/runs"


async def make_suite(request: Request) -> Answer:
    """Make a suite, or say anew what it holds: without an id, the one of this name."""
    principal = principal_of(request, EVALS_WRITE)
    services = services_of(request)
    arguments = await of_body(request)
    name, suite_id = _checked(lambda: name_of(arguments.text("name"))), arguments.optional_text("suiteId")
    suite_id = _id(suite_id) if suite_id else results.suite_id_of(name)
    dataset, scorers = _dataset(arguments.mapping("dataset")), _scorers(arguments)
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> str:
        project = _project(connection, principal, arguments)
        keep_suite(
            connection,
            project.id,
            suite_id,
            name=name,
            dataset=_checked(lambda: facts_of("dataset", dataset, dict)),
            scorers=_checked(lambda: facts_of("scorers", scorers, list)),
            now_ns=now_ns,
        )
        return project.public_id

    project_id = await services.write(change)
    suite = {"suiteId": suite_id, "projectId": project_id, "name": name, "scorers": scorers}
    return Answer({"suite": suite, "dataset": dataset, "requestId": request.scope[REQUEST_ID]})


async def start(request: Request) -> Answer:
    """Begin an evaluation run; it is part of a run, which is started here when none is named."""
    principal = principal_of(request, EVALS_WRITE)
    services = services_of(request)
    arguments = await of_body(request)
    suite_id = _id(arguments.text("suiteId"))
    wanted, run_id = arguments.optional_text("evalRunId"), arguments.optional_text("runId")
    eval_run_id = _id(wanted) if wanted else f"eval_{secrets.token_hex(16)}"
    config = arguments.mapping("config")
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> AnyRow:
        project = _project(connection, principal, arguments)
        suite = find_suite(connection, project.id, suite_id)
        if suite is None:
            raise Problem(404, f"there is no suite {suite_id!r} in this project", "POST /api/v1/evals/suites")
        known = find_eval_run(connection, project.id, eval_run_id)
        if known is not None and known.suite_id not in (None, suite_id):
            raise Problem(
                409, f"the evaluation run {eval_run_id!r} is of another suite", "leave evalRunId out"
            )
        run = known.run if known is not None else _run(services, connection, project, suite, run_id)
        told = _checked(lambda: facts_of("config", config, dict))
        begun = Begun(eval_run_id, suite_id, suite.name, suite.dataset, suite.scorers, told, now_ns)
        if begin_eval_run(connection, project.id, run, begun) is None:
            raise Problem(410, f"the run of {eval_run_id!r} was deleted", "leave evalRunId out")
        found = find_eval_run(connection, project.id, eval_run_id)
        assert found is not None
        return found

    found = await services.write(change)
    return Answer({"evalRun": shown_run(services, found), "requestId": request.scope[REQUEST_ID]})


async def ingest(request: Request) -> Answer:
    """Take results; one that cannot be kept is named, and the others are stored."""
    principal = principal_of(request, EVALS_WRITE)
    services = services_of(request)
    arguments = await of_body(request)
    eval_run_id = _id(arguments.text("evalRunId"))
    now_ns = services.clock.time_unix_ns()
    items = arguments.mappings("rows", MAX_ROWS)
    read = [scored_of_json({"evalRunId": eval_run_id, **item}, now_ns) for item in items]
    rows = [each for each in read if isinstance(each, Scored)]
    if any(row.eval_run_id != eval_run_id for row in rows):
        raise invalid("a row is of another evaluation run", "send one request for each evaluation run")
    reasons = list(dict.fromkeys(each for each in read if isinstance(each, str)))

    def change(connection: Connection) -> None:
        project = _project(connection, principal, arguments)
        run = need_eval_run(connection, project.id, eval_run_id).run
        keep_results(connection, project.id, run, rows)

    await services.write(change, weight=1 + len(rows))
    answer: dict[str, object] = {"accepted": len(rows), "requestId": request.scope[REQUEST_ID]}
    if reasons:
        answer |= {"rejected": len(read) - len(rows), "reasons": reasons[:5]}
    return Answer(answer)


async def listing(request: Request) -> Response:
    """List a project's evaluation runs, the last one first, each with its counts."""
    principal = principal_of(request, PROJECT_READ)
    services = services_of(request)
    arguments = of_query(request)
    suite, run = arguments.optional_text("suite"), arguments.optional_text("runId")
    limit, cursor = arguments.limit(50), arguments.cursor(int, int)
    place = request.path_params

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        after = (cursor[0], cursor[1]) if cursor else None
        found = page_of_eval_runs(connection, project.id, suite=suite, run=run, after=after, limit=limit + 1)
        rows = list(found[:limit])
        counts = counts_of_runs(connection, [row.id for row in rows])
        shown = [{**shown_run(services, row), "counts": counts[row.id]} for row in rows]
        last = [rows[-1].started_unix_ns, rows[-1].id] if len(found) > limit else None
        return {"evalRuns": shown, "page": page(last)}

    return await services.answer(read)


async def details(request: Request) -> Response:
    """Show one evaluation run: what was evaluated against what, and what each scorer says on the whole."""
    principal = principal_of(request, PROJECT_READ)
    services = services_of(request)
    place = request.path_params

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        found = need_eval_run(connection, project.id, place["eval_run_id"])
        return {
            **shown_run(services, found),
            "dataset": said(found.dataset),
            "scorers": said(found.scorers),
            "config": said(found.config),
            "counts": counts_of_runs(connection, [found.id])[found.id],
            "stats": stats_of_scorers(connection, found.id),
        }

    return await services.answer(read)


async def rows_of_run(request: Request) -> Response:
    """List the results of an evaluation run by example and scorer."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    scorer, outcome = arguments.optional_text("scorer"), arguments.optional_text("outcome")
    if outcome is not None and outcome not in OUTCOMES:
        raise invalid(f"outcome is {outcome[:80]!r}; it must be one of {', '.join(OUTCOMES)}")
    limit, cursor = arguments.limit(100), arguments.cursor(str, str)
    place = request.path_params

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        eval_run = need_eval_run(connection, project.id, place["eval_run_id"])
        after = (cursor[0], cursor[1]) if cursor else None
        found = page_of_results(
            connection, eval_run.id, scorer=scorer, outcome=outcome, after=after, limit=limit + 1
        )
        rows = found[:limit]
        last = [rows[-1].example_id, rows[-1].scorer] if len(found) > limit else None
        return {"rows": [_result(row) for row in rows], "page": page(last)}

    return await services_of(request).answer(read)


def _project(connection: Connection, principal: Principal, arguments: Arguments) -> Project:
    project = need_project_by_id(connection, principal, arguments.text("projectId"))
    org_id = arguments.optional_text("orgId")
    if org_id and org_id != f"org_{project.workspace.id}":
        raise Problem(404, f"the project is not in {org_id[:128]!r}", "resolve-target tells the orgId")
    return project


def _run(
    services: Services, connection: Connection, project: Project, suite: AnyRow, run_id: str | None
) -> int:
    """The run that an evaluation run is to be part of."""
    now_ns = services.clock.time_unix_ns()
    if run_id:
        return int(run_named(connection, project.id, run_id, now_ns).id)
    made = f"run_{secrets.token_hex(16)}"
    body = {"name": suite.name, "kind": "eval", "started_unix_ns": now_ns}
    begun = Start(made, "never", instance="", attempt=None, body=body, started_unix_ns=now_ns, seq=0)
    start_run(services.events.points, connection, project.id, begun, now_ns)
    return int(run_named(connection, project.id, made, now_ns).id)


def _dataset(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a suite is evaluated against; its id is made of its name when it has none."""
    for name in ("name", "version", "artifactRef", "datasetId"):
        value = given.get(name)
        if value is not None and not isinstance(value, str):
            raise invalid(f"dataset.{name} is not a text")
    if not given.get("name"):
        raise invalid("dataset.name is missing", "send dataset with name, version and artifactRef")
    return {**given, "datasetId": given.get("datasetId") or results.dataset_id_of(str(given["name"]))}


def _scorers(arguments: Arguments) -> list[dict[str, Any]]:
    """Scorers as objects with a name each."""
    given = arguments.objects_or_texts("scorers", MAX_SCORERS)
    scorers = [{"name": each} if isinstance(each, str) else each for each in given]
    for each in scorers:
        if not isinstance(each.get("name"), str) or not 0 < len(each["name"]) <= results.MAX_SCORER_CHARS:
            raise invalid(f"a scorer's name is not a text of 1 to {results.MAX_SCORER_CHARS} characters")
    return scorers


def _id(text: str) -> str:
    return _checked(lambda: results.eval_run_id_of(text))


def _checked(read: Callable[[], _T]) -> _T:
    """What is read, with what is wrong with it as the answer."""
    try:
        return read()
    except ValueError as error:
        raise invalid(str(error)) from error


def shown_run(services: Services, row: AnyRow) -> dict[str, object]:
    """An evaluation run as answers show it, with how its run stands now."""
    status = status_at(
        row.run_status,
        alive_ns=row.alive_unix_ns,
        now_unix_ns=services.clock.time_unix_ns(),
        silence_ns=services.silence_ns,
        is_foreign=row.is_foreign,
    )
    return {
        "evalRunId": row.eval_run_id,
        "runId": row.run_id,
        "runName": row.run_name or row.run_id,
        "runStatus": status,
        "suiteId": row.suite_id,
        "suiteName": row.suite_name,
        "startedAtMs": row.started_unix_ns // _MS,
    }


def _result(row: AnyRow) -> dict[str, object]:
    return {
        "exampleId": row.example_id,
        "scorer": row.scorer,
        "score": row.score,
        "passed": row.passed,
        "traceId": bytes(row.trace_id).hex() if row.trace_id else None,
        "spanId": bytes(row.span_id).hex() if row.span_id else None,
        "evidenceRef": said(row.evidence),
        "meta": said(row.meta) or {},
        "timestampMs": row.time_unix_ns // _MS,
    }


ROUTES: Final = [
    Route("/api/v1/evals/suites", make_suite, methods=["POST"]),
    Route("/api/v1/evals/runs", start, methods=["POST"]),
    Route("/api/v1/evals/results", ingest, methods=["POST"]),
    Route(_AT, listing, methods=["GET"]),
    Route(_AT + "/{eval_run_id}", details, methods=["GET"]),
    Route(_AT + "/{eval_run_id}/results", rows_of_run, methods=["GET"]),
]
