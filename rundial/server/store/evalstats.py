"""Evaluation runs on the whole: how many examples, how many passed, what each scorer says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Float, case, func, select
from sqlalchemy import cast as as_type

from rundial.server.store.eval_tables import eval_results


def counts_of_runs(connection: Connection, eval_runs: Sequence[int]) -> dict[int, dict[str, int]]:
    """Examples and rows of each evaluation run, and how the rows stand; zeros for one without any."""
    none = {"examples": 0, "results": 0, "passed": 0, "failed": 0, "unjudged": 0}
    found = {each: dict(none) for each in eval_runs}
    columns = eval_results.c
    query = select(
        columns.eval_run,
        func.count(columns.example_id.distinct()).label("examples"),
        func.count().label("results"),
        *_verdicts(),
    )
    query = query.where(columns.eval_run.in_(eval_runs)).group_by(columns.eval_run)
    for row in connection.execute(query):
        unjudged = row.results - row.passed - row.failed
        values = (row.examples, row.results, row.passed, row.failed, unjudged)
        found[row.eval_run] = dict(zip(none, map(int, values), strict=True))
    return found


def stats_of_scorers(connection: Connection, eval_run: int) -> list[dict[str, Any]]:
    """What each scorer of an evaluation run says on the whole, by name."""
    columns = eval_results.c
    query = (
        select(
            columns.scorer,
            func.count().label("results"),
            *_verdicts(),
            func.count(columns.score).label("scored"),
            func.avg(as_type(columns.score, Float)).label("mean"),
            func.min(columns.score).label("low"),
            func.max(columns.score).label("high"),
        )
        .where(columns.eval_run == eval_run)
        .group_by(columns.scorer)
        .order_by(columns.scorer)
    )
    return [
        {
            "scorer": row.scorer,
            "results": row.results,
            "passed": int(row.passed),
            "failed": int(row.failed),
            "scored": row.scored,
            "mean": row.mean,
            "min": row.low,
            "max": row.high,
        }
        for row in connection.execute(query)
    ]


def _verdicts() -> list[Any]:
    passed = eval_results.c.passed
    return [
        func.sum(case((passed.is_(True), 1), else_=0)).label("passed"),
        func.sum(case((passed.is_(False), 1), else_=0)).label("failed"),
    ]
