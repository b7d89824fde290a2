"""Text lines in the catalog's own database.

Readers follow a run by the row ids of its lines, so none is used twice. PostgreSQL takes them from a
sequence. SQLite takes the greatest one that is there and adds one, and would use those of deleted lines
again: there they are numbered here, from behind the greatest one that was ever deleted.

Threads: `insert`, `forget` and `keep_number` on the writer's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Final, cast

from sqlalchemy import Connection, Index, bindparam, func, select, tuple_
from sqlalchemy.sql.elements import CompilerElement

from rundial.server.rows import TextRow
from rundial.server.store.budget import Budget
from rundial.server.store.dialect import POSTGRESQL, SQLITE, Dialect, dialect_of, insert_into, set_fact
from rundial.server.store.events import SAID, SPANS_AT_ONCE, LineFilter, Sender, StoredLine
from rundial.server.store.statements import Bare, Prepared
from rundial.server.store.tables import facts, lines

_AT_ONCE: Final = 4_096
_COLUMNS: Final = [column.name for column in lines.c if column.name != "id"]
_SHOWN: Final = [lines.c[name] for name in StoredLine._fields]
lines_by_trace: Final = Index(
    "lines_by_trace",
    lines.c.run,
    lines.c.trace_id,
    # Most lines are in no trace, and pay nothing.
    sqlite_where=lines.c.trace_id.is_not(None),
    postgresql_where=lines.c.trace_id.is_not(None),
)
_KEY: Final = ["instance", "seq"]


def _insert(dialect: Dialect) -> CompilerElement:
    # Of the one key: a row id that is there already is a mistake, and no line of it may be lost in silence.
    statement = insert_into(lines, dialect).on_conflict_do_nothing(index_elements=_KEY)
    return cast(CompilerElement, statement)


_LINE: Final = Prepared(_insert, _COLUMNS)
_NUMBERED: Final = Prepared(_insert, ["id", *_COLUMNS])
# The greatest row id that was deleted.
_DELETED: Final = "deleted_lines"


def _rows() -> Prepared:
    columns = lines.c
    in_time = columns.time_unix_ns.between(bindparam("b_start"), bindparam("b_end"))
    query = select(
        columns.time_unix_ns,
        columns.seq,
        columns.severity,
        columns.body,
        columns.step,
        columns.trace_id,
        columns.span_id,
        columns.attributes,
        columns.is_truncated,
    )
    return Prepared(
        query.where(columns.run == bindparam("b_run"), in_time).order_by(columns.time_unix_ns, columns.id)
    )


_ROWS: Final = _rows()


class SqlLines:
    """The table `lines`."""

    def __init__(self) -> None:
        self._newest: int | None = None

    def forget(self) -> None:
        """Read the newest number anew."""
        self._newest = None

    def keep_number(self, connection: Connection) -> None:
        """Write down the newest number: lines are going to be deleted, and it may be one of theirs."""
        if dialect_of(connection) == SQLITE:
            set_fact(connection, facts, _DELETED, str(self.newest(connection)))

    def insert(self, connection: Connection, sender: Sender, texts: Sequence[TextRow]) -> int:
        """Add lines; returns how many were new."""
        if not texts:
            return 0
        bare = Bare(connection)
        rows: Iterable[tuple[Any, ...]] = [
            (
                sender.run,
                sender.instance,
                text.seq,
                text.time_unix_ns,
                text.severity,
                text.body,
                text.attributes,
                text.step,
                text.trace_id,
                text.span_id,
                text.is_truncated,
            )
            for text in texts
        ]
        if bare.dialect == POSTGRESQL:
            return bare.run_each(_LINE.on(bare.dialect).sql, rows)
        first = 1 + (self.newest(connection) if self._newest is None else self._newest)
        self._newest = first + len(texts) - 1
        numbered = [(number, *row) for number, row in zip(count(first), rows, strict=False)]
        return bare.run_each(_NUMBERED.on(bare.dialect).sql, numbered)

    def page(
        self,
        connection: Connection,
        run: int,
        wanted: LineFilter,
        *,
        after: tuple[int, int] | None,
        limit: int,
        is_newest_first: bool,
    ) -> Sequence[StoredLine]:
        """Lines of a run by time."""
        key = (lines.c.time_unix_ns, lines.c.id)
        query = select(*_SHOWN).where(
            lines.c.run == run,
            lines.c.time_unix_ns.between(wanted.start_unix_ns, wanted.end_unix_ns),
        )
        if wanted.min_severity:
            query = query.where(lines.c.severity >= wanted.min_severity)
        if after is not None:
            here = tuple_(*after)
            query = query.where(tuple_(*key) < here if is_newest_first else tuple_(*key) > here)
        order = [column.desc() for column in key] if is_newest_first else list(key)
        found = connection.execute(query.order_by(*order).limit(limit))
        return [StoredLine._make(row) for row in found]

    def newest(self, connection: Connection) -> int:
        """The row id of the line that was stored last, or of a later one that was deleted; 0 for none."""
        stored = int(connection.execute(select(func.max(lines.c.id))).scalar() or 0)
        deleted = connection.execute(select(facts.c.value).where(facts.c.name == _DELETED)).scalar()
        return max(stored, int(deleted or 0))

    def since(
        self, connection: Connection, run: int, min_severity: int, after: int, limit: int
    ) -> Sequence[StoredLine]:
        """Lines of a run in the order in which they were stored, behind a row id."""
        query = select(*_SHOWN).where(lines.c.id > after, lines.c.run == run)
        if min_severity:
            query = query.where(lines.c.severity >= min_severity)
        found = connection.execute(query.order_by(lines.c.id).limit(limit))
        return [StoredLine._make(row) for row in found]

    def said(
        self,
        connection: Connection,
        runs: Sequence[int],
        spans: Sequence[tuple[bytes, bytes]],
        budget: Budget,
    ) -> Sequence[StoredLine]:
        """Lines of some spans that are GenAI events, those of a span by time."""
        found: list[StoredLine] = []
        for start in range(0, len(spans), SPANS_AT_ONCE):
            some = spans[start : start + SPANS_AT_ONCE]
            query = select(*_SHOWN).where(
                lines.c.run.in_(runs),
                lines.c.trace_id.in_({trace_id for trace_id, _ in some}),
                lines.c.span_id.in_({span_id for _, span_id in some}),
                lines.c.attributes.contains(SAID),
            )
            ordered = query.order_by(lines.c.time_unix_ns, lines.c.id).limit(budget.most_rows)
            found += budget.read(connection, ordered, StoredLine, StoredLine.size)
        return found

    def rows(
        self, connection: Connection, run: int, times: tuple[int, int]
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield every stored line of a run by time."""
        cursor = Bare(connection).stream(_ROWS, b_run=run, b_start=times[0], b_end=times[1])
        try:
            while rows := cursor.fetchmany(_AT_ONCE):
                yield rows
        finally:
            cursor.close()
