"""Two evaluation runs side by side: what got worse, what got better, what is only in one of them.

Each example and scorer is one row. Where both say whether it passed, that alone decides; where one does
not, the scores do, and how much they may differ. A row without score and verdict, such as a test that was
skipped, counts as if it were not there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Subquery, and_, case, func, literal, or_, select, union_all

from rundial.server.store.eval_tables import eval_results

AnyRow = Row[Any]
# In the order in which rows are shown: what somebody has to look at comes first.
STATUSES: Final = ("regressed", "missing", "improved", "new", "unchanged")
_REGRESSED, _MISSING, _IMPROVED, _NEW, _UNCHANGED = range(5)


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared.

    Attributes:
        baseline: Row id of one evaluation run.
        candidate: Row id of the other.
        scorer: Of this scorer alone; None is all.
        tolerance: By how much a score may get worse; None compares scores only where a verdict is missing.
        minimized: Scorers of which less is better.
    """

    baseline: int
    candidate: int
    scorer: str | None = None
    tolerance: float | None = None
    minimized: Collection[str] = ()


def page_of_diff(
    connection: Connection,
    sides: Sides,
    *,
    statuses: Collection[str],
    after: tuple[int, str, str] | None,
    limit: int,
) -> Sequence[AnyRow]:
    """Rows of a comparison: regressions first, then by example and scorer.

    Args:
        connection: Any.
        sides: What is compared.
        statuses: Only rows that stand so; empty is all.
        after: The rank, example and scorer at which the last page ended.
        limit: At most so many.
    """
    rows = _judged(sides)
    key = (rows.c.rank, rows.c.example_id, rows.c.scorer)
    query = select(rows)
    if statuses:
        query = query.where(rows.c.rank.in_([STATUSES.index(each) for each in statuses]))
    if after is not None:
        rank, example, scorer = after
        behind = or_(key[1] > example, and_(key[1] == example, key[2] > scorer))
        query = query.where(or_(key[0] > rank, and_(key[0] == rank, behind)))
    return connection.execute(query.order_by(*key).limit(limit)).all()


def counts_of_diff(connection: Connection, sides: Sides) -> Sequence[AnyRow]:
    """By scorer and rank: how many rows, how many passed on each side, and the scores' sums and counts."""
    rows = _judged(sides)
    sums = [
        func.count().label("rows"),
        *(
            func.sum(case((rows.c[f"{side}_passed"].is_(True), 1), else_=0)).label(f"{side}_passed")
            for side in ("baseline", "candidate")
        ),
        *(func.count(rows.c[f"{side}_score"]).label(f"{side}_scores") for side in ("baseline", "candidate")),
        *(func.sum(rows.c[f"{side}_score"]).label(f"{side}_sum") for side in ("baseline", "candidate")),
    ]
    by = (rows.c.scorer, rows.c.rank)
    return connection.execute(select(*by, *sums).group_by(*by).order_by(*by)).all()


def _judged(sides: Sides) -> Subquery:
    rows = _paired(sides)
    baseline, candidate = rows.c.baseline_score, rows.c.candidate_score
    delta = candidate - baseline
    better = case((rows.c.scorer.in_(sorted(sides.minimized)), -delta), else_=delta)
    both_say = and_(rows.c.baseline_passed.is_not(None), rows.c.candidate_passed.is_not(None))
    flags_differ = and_(both_say, rows.c.baseline_passed != rows.c.candidate_passed)
    margin = sides.tolerance or 0.0
    judges_scores = literal(True) if sides.tolerance is not None else ~both_say
    rank = case(
        (and_(~rows.c.in_baseline, ~rows.c.in_candidate), _UNCHANGED),
        (~rows.c.in_candidate, _MISSING),
        (~rows.c.in_baseline, _NEW),
        (and_(flags_differ, rows.c.baseline_passed.is_(True)), _REGRESSED),
        (flags_differ, _IMPROVED),
        (~judges_scores, _UNCHANGED),
        (and_(baseline.is_not(None), candidate.is_(None)), _REGRESSED),
        (and_(baseline.is_(None), candidate.is_not(None)), _IMPROVED),
        (better < -margin, _REGRESSED),
        (better > margin, _IMPROVED),
        else_=_UNCHANGED,
    )
    return select(rows, delta.label("delta"), rank.label("rank")).subquery("judged")


def _paired(sides: Sides) -> Subquery:
    """Every example and scorer of either side, with what each says of it."""
    old, new = eval_results.alias("old"), eval_results.alias("new")

    def same(left: Any, right: Any, eval_run: int) -> Any:
        return and_(
            right.c.eval_run == eval_run,
            right.c.example_id == left.c.example_id,
            right.c.scorer == left.c.scorer,
        )

    def said(side: Any) -> Any:
        return func.coalesce(or_(side.c.score.is_not(None), side.c.passed.is_not(None)), False)

    def row(named: Any) -> Any:
        return select(
            named.c.example_id,
            named.c.scorer,
            old.c.score.label("baseline_score"),
            new.c.score.label("candidate_score"),
            old.c.passed.label("baseline_passed"),
            new.c.passed.label("candidate_passed"),
            old.c.trace_id.label("baseline_trace_id"),
            new.c.trace_id.label("candidate_trace_id"),
            said(old).label("in_baseline"),
            said(new).label("in_candidate"),
        )

    # What FULL OUTER JOIN would do, which older SQLites do not know.
    left = row(old).select_from(old.outerjoin(new, same(old, new, sides.candidate)))
    right = row(new).select_from(new.outerjoin(old, same(new, old, sides.baseline)))
    left = left.where(old.c.eval_run == sides.baseline)
    right = right.where(new.c.eval_run == sides.candidate, old.c.id.is_(None))
    if sides.scorer is not None:
        left, right = left.where(old.c.scorer == sides.scorer), right.where(new.c.scorer == sides.scorer)
    return union_all(left, right).subquery("paired")
