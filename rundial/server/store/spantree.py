"""Spans as trees: those at the top, the children of one, how many children each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Index,
    Row,
    and_,
    exists,
    func,
    or_,
    select,
    tuple_,
)

from rundial.server.store.tables import instances, spans

AnyRow = Row[Any]

spans_by_parent: Final = Index("spans_by_parent", spans.c.run, spans.c.trace_id, spans.c.parent_span_id)


@dataclass(frozen=True, slots=True)
class Branch:
    """Which spans of a run are wanted.

    Attributes:
        trace_id: Of this trace alone; None for all.
        parent_span_id: Children of this span of the trace; None for any.
        is_top: Only those whose parent the run does not hold: roots, and what a request from elsewhere began.
            Of a trace whose parents go round in a circle, the earliest span.
    """

    trace_id: bytes | None = None
    parent_span_id: bytes | None = None
    is_top: bool = False


def branch_of(
    connection: Connection,
    run: int,
    branch: Branch,
    *,
    after: tuple[int, int] | None,
    limit: int,
    is_newest_first: bool = False,
) -> Sequence[AnyRow]:
    """Spans by start time, each with `child_count`; `after` is the (start, id) where the last page ended."""
    child, parent = spans.alias("child"), spans.alias("parent")
    of_it = and_(
        child.c.run == spans.c.run,
        child.c.trace_id == spans.c.trace_id,
        child.c.parent_span_id == spans.c.span_id,
        child.c.id != spans.c.id,
    )
    children = select(func.count()).select_from(child).where(of_it).scalar_subquery()
    query = select(spans, children.label("child_count"), instances.c.instance.label("instance_id"))
    query = query.join(instances, instances.c.id == spans.c.instance).where(spans.c.run == run)
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
        query = query.outerjoin(parent, above).where(or_(_is_top(spans, parent), _is_earliest_of_a_circle()))
    key = (spans.c.start_unix_ns, spans.c.id)
    if after is not None:
        here = tuple_(*after)
        query = query.where(tuple_(*key) < here if is_newest_first else tuple_(*key) > here)
    order = [column.desc() for column in key] if is_newest_first else list(key)
    return connection.execute(query.order_by(*order).limit(limit)).all()


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
