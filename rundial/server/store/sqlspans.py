"""Spans in the catalog's own database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Index, and_, func, insert, or_, select, update

from rundial.server.rows import SPAN_INTERRUPTED, SpanRow
from rundial.server.store.events import Branch, Sender, StoredSpan
from rundial.server.store.tables import spans

spans_by_parent: Final = Index("spans_by_parent", spans.c.run, spans.c.trace_id, spans.c.parent_span_id)

_SHOWN: Final = [spans.c[name] for name in StoredSpan._fields if name != "child_count"]


class SqlSpans:
    """The table `spans`."""

    def insert(self, connection: Connection, sender: Sender, arrived: Sequence[SpanRow]) -> int:
        """Add spans, the more final state winning; returns how many were not counted before."""
        counted = 0
        for span in arrived:
            where = (
                spans.c.run == sender.run,
                spans.c.trace_id == span.trace_id,
                spans.c.span_id == span.span_id,
            )
            known = connection.execute(select(spans.c.id, spans.c.state).where(*where)).one_or_none()
            if known is not None and known.state >= span.state:
                continue
            values = {name: getattr(span, name) for name in SpanRow.__slots__}
            if known is None:
                row = {"run": sender.run, "instance": sender.instance, **values}
                connection.execute(insert(spans).values(row))
            else:
                connection.execute(update(spans).where(spans.c.id == known.id).values(**values))
            was_counted = known is not None and known.state >= SPAN_INTERRUPTED
            counted += span.state >= SPAN_INTERRUPTED and not was_counted
        return counted

    def branch(
        self,
        connection: Connection,
        run: int,
        branch: Branch,
        *,
        after: tuple[int, int] | None,
        limit: int,
    ) -> Sequence[StoredSpan]:
        """Spans by start time; `after` is the (start, id) where the last page ended."""
        child, parent = spans.alias("child"), spans.alias("parent")
        of_it = and_(
            child.c.run == spans.c.run,
            child.c.trace_id == spans.c.trace_id,
            child.c.parent_span_id == spans.c.span_id,
        )
        children = select(func.count()).select_from(child).where(of_it).scalar_subquery()
        query = select(*_SHOWN, children.label("child_count")).where(spans.c.run == run)
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
            pair, known = branch.step_pair, spans.c.attributes
            query = query.where(or_(known.contains(f"{pair},"), known.contains(f"{pair}}}")))
        if after is not None:
            start, row_id = after
            is_later = spans.c.start_unix_ns > start
            query = query.where(or_(is_later, and_(spans.c.start_unix_ns == start, spans.c.id > row_id)))
        found = connection.execute(query.order_by(spans.c.start_unix_ns, spans.c.id).limit(limit))
        return [StoredSpan._make(row) for row in found]
