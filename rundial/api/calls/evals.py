"""Evaluations over the server's JSON routes: made, sent, read, compared.

What a running evaluation logs goes by its run (`Run.log_eval_result`), which never waits and survives a
kill. `log_eval_result` here is for who has no run: it waits for the server's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from rundial.api.caller import given
from rundial.api.calls import paging, paths
from rundial.errors import RundialRequestError

if TYPE_CHECKING:
    from rundial.api.calls.evalshapes import EvalDiff, EvalResult, EvalRun
    from rundial.api.client import Client
    from rundial.api.evalsuite import RundialEvalSuite


def create_eval_suite(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    org_id: str | None = None,
    project_id: str,
    name: str,
    dataset: Mapping[str, object],
    scorers: Sequence[str | Mapping[str, object] | Callable[..., object]],
    suite_id: str | None = None,
) -> dict[str, Any]:
    """Make a suite, or say anew what the one of this name holds.

    Args:
        org_id: The workspace's id as `resolve_run_target` tells it; None leaves it out.
        project_id: The project's id.
        name: At most 256 characters; without a `suite_id` it is what tells one suite from another.
        dataset: `name`, and what else is known of it, such as `version` and `artifactRef`.
        scorers: Names, functions (by their names), or mappings with a `name` and what else is known.
        suite_id: The suite's id; None derives it from the name.

    Returns:
        The server's `{"suite": {"suiteId", …}, "dataset": {…}}`.
    """
    from rundial.api.evalsuite import described

    body = given(
        orgId=org_id,
        projectId=project_id,
        name=name,
        dataset=dict(dataset),
        scorers=described(scorers),
        suiteId=suite_id,
    )
    return self.caller.post("/api/v1/evals/suites", body, what=f"making the suite {name}")


def create_eval_run(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    org_id: str | None = None,
    project_id: str,
    suite_id: str,
    config: Mapping[str, object] | None = None,
    run_id: str | None = None,
    eval_run_id: str | None = None,
) -> dict[str, Any]:
    """Begin an evaluation run; the same one again when its id is there.

    Args:
        org_id: As for `create_eval_suite`.
        project_id: The project's id.
        suite_id: The suite.
        config: What is evaluated: the model, the prompt.
        run_id: The run that it is part of; None has the server start one.
        eval_run_id: Its id; None has the server make one.

    Returns:
        The server's `{"evalRun": {"evalRunId", "runId", …}}`.
    """
    body = given(
        orgId=org_id,
        projectId=project_id,
        suiteId=suite_id,
        config=dict(config or {}),
        runId=run_id,
        evalRunId=eval_run_id,
    )
    return self.caller.post("/api/v1/evals/runs", body, what=f"beginning an evaluation run of {suite_id}")


def eval_suite(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    org_id: str | None = None,
    project_id: str,
    name: str,
    dataset: Any,
    scorers: Sequence[str | Mapping[str, object] | Callable[..., object]],
    suite_id: str | None = None,
) -> RundialEvalSuite:
    """Make a suite on the server and return it; its `run()` records through this client.

    Args:
        org_id: As for `create_eval_suite`, like all that follow.
        project_id: As above.
        name: As above.
        dataset: As above, or cases, as for `rundial.eval.suite`.
        scorers: As above; functions can be called by `RundialEvalRun.score`.
        suite_id: As above.
    """
    from rundial.api.evalcases import dataset_of
    from rundial.api.evalsuite import RundialEvalSuite

    facts, cases = dataset_of(dataset, name)
    made = self.create_eval_suite(
        org_id=org_id, project_id=project_id, name=name, dataset=facts, scorers=scorers, suite_id=suite_id
    )
    suite = RundialEvalSuite(
        client=self,
        project_id=project_id,
        org_id=org_id or "",
        suite=made.get("suite") or {},
        dataset=made.get("dataset") or facts,
    )
    return suite.holding(cases, scorers)


def log_eval_result(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    eval_run_id: str,
    example_id: str,
    scores: Mapping[str, object],
    passed: Mapping[str, bool] | bool | None = None,
    trace_id: str | None = None,
    evidence_ref: Mapping[str, object] | None = None,
    meta: Mapping[str, object] | None = None,
) -> bool:
    """Send what one example came to, and wait for the answer; nothing is kept when there is none.

    Args:
        project_id: The project's id.
        eval_run_id: The evaluation run, which must be there.
        example_id: As for `Run.log_eval_result`, like all that follow.
        scores: As above.
        passed: As above.
        trace_id: 32 hexadecimal digits, or a W3C `traceparent`.
        evidence_ref: As `evidence` there.
        meta: As above.

    Returns:
        Whether the server took it. What it did not is dropped, told, and counted in `diagnostics()`: as
        `invalid` or `rejected`. Never raises, but in strict mode.
    """
    from rundial.signals import results

    try:
        names = results.eval_run_id_of(eval_run_id), results.example_id_of(example_id)
        common = {
            "evalRunId": names[0],
            "exampleId": names[1],
            "evidenceRef": results.evidence_of(evidence_ref),
            **dict(
                zip(("traceId", "spanId"), (each or None for each in results.ids_of(trace_id)), strict=True)
            ),
        }
        shared = results.meta_of(meta)
        rows = [
            {
                **given(**common),
                "scorer": row.scorer,
                "score": row.score,
                "passed": row.passed,
                "meta": {**shared, **row.meta},
            }
            for row in results.rows_of(scores, passed)
        ]
    except ValueError as error:
        return self.recording.refused("lines", "invalid", eval_run_id, error)
    body = {"projectId": project_id, "evalRunId": names[0], "rows": rows}
    try:
        found = self.caller.post("/api/v1/evals/results", body, what=f"sending a result of {names[0]}")
    except RundialRequestError as error:
        return self.recording.refused("lines", "rejected", eval_run_id, error)
    if found.get("accepted") == len(rows):
        return True
    reasons = "; ".join(map(str, found.get("reasons") or ["the server took a part of it"]))
    return self.recording.refused("lines", "rejected", eval_run_id, RundialRequestError(reasons, 200))


def query_eval_diff(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    baseline_eval_run_id: str,
    candidate_eval_run_id: str,
    scorer: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
    statuses: Sequence[str] | None = None,
    tolerance: float | None = None,
) -> EvalDiff:
    """Compare two evaluation runs and return one page of rows, regressions first, and what all come to.

    Args:
        project_id: The project's id.
        baseline_eval_run_id: What it is measured by.
        candidate_eval_run_id: What is measured.
        scorer: This scorer alone; None is all.
        limit: Rows of a page, at most 1,000.
        cursor: `page.nextCursor` of the page before.
        statuses: Only rows that are `regressed`, `missing`, `improved`, `new` or `unchanged`.
        tolerance: By how much a score may get worse. None compares scores only where a row does not say
            whether it passed, to the last digit.

    Returns:
        `{"rows": [{"exampleId", "scorer", "status", "delta", …}], "page", "summary", "scorers", …}`.
    """
    body = given(
        projectId=project_id,
        baselineEvalRunId=baseline_eval_run_id,
        candidateEvalRunId=candidate_eval_run_id,
        scorer=scorer,
        limit=limit,
        cursor=cursor,
        statuses=list(statuses) if statuses else None,
        tolerance=tolerance,
    )
    what = f"comparing {baseline_eval_run_id} with {candidate_eval_run_id}"
    found = self.caller.post("/api/v1/query/evals/diff", body, what=what)
    paging.rows_of(found, "rows", self.endpoint)
    return cast("EvalDiff", found)


def list_eval_runs(  # noqa: PLR0913 - what a listing is asked for
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    suite: str | None = None,
    run_id: str | None = None,
    limit: int = 50,
    max_pages: int = 1,
) -> list[EvalRun]:
    """Return a project's evaluation runs, the last one first, at most `limit * max_pages`.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        suite: Id or name of a suite; None is any.
        run_id: Part of this run; None is any.
        limit: Rows of a page, at most 1,000.
        max_pages: How many pages are asked for.
    """
    path = f"{paths.project(workspace_slug, project_slug)}/evals/runs"
    asked = given(suite=suite, runId=run_id)
    found = self.caller.pages(path, "evalRuns", limit=limit, max_pages=max_pages, query=asked)
    return cast("list[EvalRun]", found)


def get_eval_run(self: Client, *, workspace_slug: str, project_slug: str, eval_run_id: str) -> EvalRun:
    """Return one evaluation run: what was evaluated against what, and what each scorer says on the whole."""
    path = f"{paths.project(workspace_slug, project_slug)}/evals/runs/{paths.part(eval_run_id)}"
    return cast("EvalRun", self.caller.get(path, what=f"reading the evaluation run {eval_run_id}"))


def iter_eval_results(  # noqa: PLR0913 - what a listing is asked for
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    eval_run_id: str,
    scorer: str | None = None,
    outcome: str | None = None,
    page_size: int = 1000,
) -> Iterator[EvalResult]:
    """Yield every result of an evaluation run by example and scorer, asking for `page_size` at a time.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        eval_run_id: The evaluation run.
        scorer: This scorer alone; None is all.
        outcome: `passed`, `failed` or `unjudged`; None is any.
        page_size: Rows of one request, at most 1,000.
    """
    path = f"{paths.project(workspace_slug, project_slug)}/evals/runs/{paths.part(eval_run_id)}/results"

    def fetch(cursor: str | None) -> Mapping[str, Any]:
        query = given(scorer=scorer, outcome=outcome, limit=page_size, cursor=cursor)
        found = self.caller.get(path, query=query, what=f"reading results of {eval_run_id}")
        paging.rows_of(found, "rows", self.endpoint)
        return found

    for page in paging.pages(fetch):
        yield from page["rows"]
