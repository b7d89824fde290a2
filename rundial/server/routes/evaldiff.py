"""POST /api/v1/query/evals/diff: two evaluation runs side by side, regressions first."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from sqlalchemy import Connection, Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.arguments import Arguments, of_body, page
from rundial.server.evalrows import minimized
from rundial.server.keys import PROJECT_READ
from rundial.server.problems import invalid
from rundial.server.routes.evals import shown_run
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.services import principal_of, services_of
from rundial.server.store.evaldiff import STATUSES, Sides, counts_of_diff, page_of_diff
from rundial.server.store.evals import need_eval_run, said

AnyRow = Row[Any]


async def diff(request: Request) -> Response:
    """Compare two evaluation runs: a page of rows, and what all of them come to."""
    principal = principal_of(request, PROJECT_READ)
    services = services_of(request)
    arguments = await of_body(request)
    project_id, scorer = arguments.text("projectId"), arguments.optional_text("scorer")
    ids = arguments.text("baselineEvalRunId"), arguments.text("candidateEvalRunId")
    statuses = arguments.texts("statuses")
    unknown = sorted({*statuses} - {*STATUSES})
    if unknown:
        raise invalid(f"{unknown[0][:80]!r} is no status", f"use {', '.join(STATUSES)}")
    tolerance, limit = _tolerance(arguments), arguments.limit(100)
    cursor = arguments.cursor(int, str, str)

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        baseline, candidate = (need_eval_run(connection, project.id, each) for each in ids)
        less_is_better = minimized([*said(baseline.scorers), *said(candidate.scorers)])
        sides = Sides(baseline.id, candidate.id, scorer, tolerance, less_is_better)
        after = (cursor[0], cursor[1], cursor[2]) if cursor else None
        found = page_of_diff(connection, sides, statuses=statuses, after=after, limit=limit + 1)
        rows = found[:limit]
        last = [rows[-1].rank, rows[-1].example_id, rows[-1].scorer] if len(found) > limit else None
        return {
            "rows": [_row(row) for row in rows],
            "page": page(last),
            "baseline": {**shown_run(services, baseline), "dataset": said(baseline.dataset)},
            "candidate": {**shown_run(services, candidate), "dataset": said(candidate.dataset)},
            **_totals(counts_of_diff(connection, sides)),
        }

    return await services.answer(read)


def _tolerance(arguments: Arguments) -> float | None:
    value = arguments.number("tolerance")
    if value is not None and not (isfinite(value) and value >= 0):
        raise invalid(f"tolerance is {value}; it must be a number from 0")
    return value


def _row(row: AnyRow) -> dict[str, object]:
    return {
        "exampleId": row.example_id,
        "scorer": row.scorer,
        "status": STATUSES[row.rank],
        "regressed": row.rank == 0,
        "delta": row.delta,
        "baselineScore": row.baseline_score,
        "candidateScore": row.candidate_score,
        "baselinePassed": row.baseline_passed,
        "candidatePassed": row.candidate_passed,
        "baselineTraceId": bytes(row.baseline_trace_id).hex() if row.baseline_trace_id else None,
        "candidateTraceId": bytes(row.candidate_trace_id).hex() if row.candidate_trace_id else None,
    }


def _totals(groups: Any) -> dict[str, object]:
    summary = dict.fromkeys(STATUSES, 0)
    scorers: dict[str, dict[str, Any]] = {}
    for group in groups:
        summary[STATUSES[group.rank]] += group.rows
        each = scorers.setdefault(group.scorer, _blank(group.scorer))
        each[STATUSES[group.rank]] += group.rows
        for side in ("baseline", "candidate"):
            each[f"{side}Passed"] += int(getattr(group, f"{side}_passed"))
            each["sums"][side] += getattr(group, f"{side}_sum") or 0.0
            each["scores"][side] += getattr(group, f"{side}_scores")
    for each in scorers.values():
        sums, scores = each.pop("sums"), each.pop("scores")
        for side in ("baseline", "candidate"):
            each[f"{side}Mean"] = sums[side] / scores[side] if scores[side] else None
    return {"summary": summary, "scorers": list(scorers.values())}


def _blank(scorer: str) -> dict[str, Any]:
    return {
        "scorer": scorer,
        **dict.fromkeys(STATUSES, 0),
        "baselinePassed": 0,
        "candidatePassed": 0,
        "sums": {"baseline": 0.0, "candidate": 0.0},
        "scores": {"baseline": 0, "candidate": 0},
    }


ROUTES: Final = [Route("/api/v1/query/evals/diff", diff, methods=["POST"])]
