"""Spans as trees: those at the top, the children of one, how many children each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Index, Row, and_, func, or_, select

from rundial.server.store.tables import spans
from rundial.signals import semconv

AnyRow = Row[Any]

spans_by_parent: Final = Index("spans_by_parent", spans.c.run, spans.c.trace_id, spans.c.parent_span_id)


@dataclass(frozen=True, slots=True)
class Branch:
    """Which spans of a run are wanted.

    Attributes:
        trace_id: Of this trace alone; None for all.
        parent_span_id: Children of this span of the trace; None for any.
        is_top: Only those whose parent the run does not hold: roots, and what a request from elsewhere began.
        step: Only those that belong to this step of the run's points; None for any.
    """

    trace_id: bytes | None = None
    parent_span_id: bytes | None = None
    is_top: bool = False
    step: int | None = None


def branch_of(
    connection: Connection, run: int, branch: Branch, *, after: tuple[int, int] | None, limit: int
) -> Sequence[AnyRow]:
    """Spans by start time, each with `child_count`; `after` is the (start, id) where the last page ended."""
    child, parent = spans.alias("child"), spans.alias("parent")
    of_it = and_(
        child.c.run == spans.c.run,
        child.c.trace_id == spans.c.trace_id,
        child.c.parent_span_id == spans.c.span_id,
    )
    children = select(func.count()).select_from(child).where(of_it).scalar_subquery()
    query = select(spans, children.label("child_count")).where(spans.c.run == run)
    if branch.trace_id is not None:
        query = query.where(spans.c.trace_id == branch.trace_id)
    if branch.parent_span_id is not None:
        query = query.where(spans.c.parent_span_id == branch.parent_span_id)
    if branch.is_top:
        above = and_(
            parent.c.run == spans.c.run,
            parent.c.trace_id == spans.c.trace_id,
            parent.c.span_id == spans.c.parent_span_id,
        )
        query = query.outerjoin(parent, above).where(parent.c.id.is_(None))
    if branch.step is not None:
        query = query.where(_has_step(branch.step))
    if after is not None:
        start, row_id = after
        is_later = spans.c.start_unix_ns > start
        query = query.where(or_(is_later, and_(spans.c.start_unix_ns == start, spans.c.id > row_id)))
    return connection.execute(query.order_by(spans.c.start_unix_ns, spans.c.id).limit(limit)).all()


def _has_step(step: int) -> ColumnElement[bool]:
    # Attributes are JSON without spaces, in which a quotation mark within a text is escaped: what is found is
    # a key. No index helps, and a run's spans are few beside its points.
    pair = f'"{semconv.STEP}":{step}'
    return or_(spans.c.attributes.contains(f"{pair},"), spans.c.attributes.contains(f"{pair}}}"))
