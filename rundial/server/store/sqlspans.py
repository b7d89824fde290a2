"""Spans in the catalog's own database."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

from sqlalchemy import ColumnElement, Connection, FromClause, Index, and_, exists, func, or_, select, tuple_

from rundial.server.rows import SpanRow
from rundial.server.store.budget import Budget
from rundial.server.store.events import Branch, Sender, StoredSpan
from rundial.server.store.spanrows import store_spans
from rundial.server.store.tables import spans

spans_by_parent: Final = Index("spans_by_parent", spans.c.run, spans.c.trace_id, spans.c.parent_span_id)

# Below the least number of values that a statement may have.
_RUNS_AT_ONCE: Final = 5_000
_SHOWN: Final = [spans.c[name] for name in StoredSpan._fields if name != "child_count"]


class SqlSpans:
    """The table `spans`."""

    def insert(self, connection: Connection, sender: Sender, arrived: Sequence[SpanRow]) -> int:
        """Add spans, the more final state winning; returns how many were not counted before."""
        return store_spans(connection, sender.run, sender.instance, arrived)

    def branch(
        self,
        connection: Connection,
        run: int,
        branch: Branch,
        *,
        after: tuple[int, int] | None,
        budget: Budget,
        is_newest_first: bool = False,
    ) -> Sequence[StoredSpan]:
        """Spans by start time; `after` is the (start, id) where the last page ended."""
        child, parent = spans.alias("child"), spans.alias("parent")
        of_it = and_(
            child.c.run == spans.c.run,
            child.c.trace_id == spans.c.trace_id,
            child.c.parent_span_id == spans.c.span_id,
            child.c.id != spans.c.id,
        )
        children = select(func.count()).select_from(child).where(of_it).scalar_subquery()
        query = select(*_SHOWN, children.label("child_count")).where(spans.c.run == run)
        if branch.trace_id is not None:
            query = query.where(spans.c.trace_id == branch.trace_id)
        if branch.parent_span_id is not None:
            query = query.where(
                spans.c.parent_span_id == branch.parent_span_id, spans.c.span_id != branch.parent_span_id
            )
        if branch.is_top:
            above = and_(
                parent.c.run == spans.c.run,
                parent.c.trace_id == spans.c.trace_id,
                parent.c.span_id == spans.c.parent_span_id,
            )
            query = query.outerjoin(parent, above)
            query = query.where(or_(_is_top(spans, parent), _is_earliest_of_a_circle()))
        if branch.step is not None:
            pair, known = branch.step_pair, spans.c.attributes
            query = query.where(or_(known.contains(f"{pair},"), known.contains(f"{pair}}}")))
        key = (spans.c.start_unix_ns, spans.c.id)
        if after is not None:
            here = tuple_(*after)
            query = query.where(tuple_(*key) < here if is_newest_first else tuple_(*key) > here)
        order = [column.desc() for column in key] if is_newest_first else list(key)
        return budget.read(
            connection, query.order_by(*order).limit(budget.most_rows), StoredSpan, StoredSpan.size
        )

    def trace(
        self, connection: Connection, runs: Sequence[int], trace_id: bytes, *, budget: Budget
    ) -> tuple[Sequence[StoredSpan], int]:
        """The first spans of a trace by their start, of those runs, and how many there are in all."""
        found: list[StoredSpan] = []
        total = 0
        for start in range(0, len(runs), _RUNS_AT_ONCE):
            is_of_it = and_(
                spans.c.run.in_(runs[start : start + _RUNS_AT_ONCE]), spans.c.trace_id == trace_id
            )
            query = select(*_SHOWN).where(is_of_it).order_by(spans.c.start_unix_ns, spans.c.id)
            some = budget.anew()
            rows = some.read(connection, query.limit(some.most_rows), StoredSpan, StoredSpan.size)
            count = select(func.count()).select_from(spans).where(is_of_it)
            total += int(connection.execute(count).scalar_one()) if some.is_cut else len(rows)
            found = sorted(chain(found, rows), key=attrgetter("start_unix_ns", "id"))
            found = found[: budget.anew().fitting(span.size() for span in found)]
        return found[: budget.fitting(span.size() for span in found)], total


def _is_top(each: FromClause, parent: FromClause) -> ColumnElement[bool]:
    """Whether a span's parent, joined from outside, is nowhere, or is the span itself."""
    return or_(parent.c.id.is_(None), parent.c.id == each.c.id)


def _is_earliest_of_a_circle() -> ColumnElement[bool]:
    """Whether a span is the first of a trace that has no top; without it nobody would find the trace."""
    earlier, other, parent = spans.alias("earlier"), spans.alias("other"), spans.alias("other_parent")
    is_before = or_(
        earlier.c.start_unix_ns < spans.c.start_unix_ns,
        and_(earlier.c.start_unix_ns == spans.c.start_unix_ns, earlier.c.id < spans.c.id),
    )
    has_earlier = exists().where(
        earlier.c.run == spans.c.run, earlier.c.trace_id == spans.c.trace_id, is_before
    )
    above = and_(
        parent.c.run == other.c.run,
        parent.c.trace_id == other.c.trace_id,
        parent.c.span_id == other.c.parent_span_id,
    )
    has_top = (
        select(other.c.id)
        .select_from(other.outerjoin(parent, above))
        .where(other.c.run == spans.c.run, other.c.trace_id == spans.c.trace_id, _is_top(other, parent))
        .correlate(spans)
        .exists()
    )
    return and_(~has_earlier, ~has_top)
