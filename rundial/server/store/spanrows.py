"""Storing spans: each once, the most final state that was heard of it, many with one statement.

Threads: the writer's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, bindparam, select, update

from rundial.server.rows import SPAN_INTERRUPTED, SpanRow
from rundial.server.store.dialect import POSTGRESQL, insert_into
from rundial.server.store.manyrows import ManyRows
from rundial.server.store.statements import Bare, Prepared, Row, widened
from rundial.server.store.tables import spans

# As for points: one statement for many rows keeps the interpreter's lock from going to and fro.
_ROWS_PER_STATEMENT: Final = 128
_FIELDS: Final = tuple(SpanRow.__slots__)
# In the table's own order, which is the statement's whatever it is told.
_COLUMNS: Final = [column.name for column in spans.c if column.name != "id"]
_INSTANCE: Final = _COLUMNS.index("instance")
_BEFORE: Final = attrgetter(*_COLUMNS[1:_INSTANCE])
_AFTER: Final = attrgetter(*_COLUMNS[_INSTANCE + 1 :])
_FIND: Final = Prepared(
    select(spans.c.trace_id, spans.c.span_id, spans.c.id, spans.c.state).where(
        spans.c.run == bindparam("b_run"),
        spans.c.trace_id == bindparam("b_trace"),
        spans.c.span_id == bindparam("b_span"),
    )
)
_INSERT: Final = Prepared(lambda dialect: insert_into(spans, dialect).on_conflict_do_nothing(), _COLUMNS)
_UPDATE: Final = Prepared(
    update(spans)
    .where(spans.c.id == bindparam("b_id"))
    .values({name: bindparam(f"b_{name}") for name in (*_FIELDS, "instance")})
)
_FIND_ALL: Final = """
SELECT spans.trace_id, spans.span_id, spans.id, spans.state
FROM unnest(%s, %s) AS given (trace_id, span_id)
JOIN spans ON spans.run = %s AND spans.trace_id = given.trace_id AND spans.span_id = given.span_id
"""
_Key = tuple[bytes, bytes]
_T = TypeVar("_T")


def store_spans(connection: Connection, run: int, instance: int, arrived: Iterable[SpanRow]) -> int:
    """Store spans, the more final state winning, in whatever order they come.

    Returns:
        How many have ended, or were interrupted, and were not counted before.
    """
    best: dict[_Key, SpanRow] = {}
    for span in arrived:
        key = (span.trace_id, span.span_id)
        seen = best.get(key)
        if seen is None or seen.state < span.state:
            best[key] = span
    if not best:
        return 0
    bare = Bare(connection)
    if bare.dialect == POSTGRESQL:
        known = _insert_new(bare, run, instance, best)
    else:
        known = _known(bare, run, list(best))
        _insert(bare, run, instance, [span for key, span in best.items() if key not in known])
    new = [span for key, span in best.items() if key not in known]
    changed = [(known[key][0], span) for key, span in best.items() if _is_later(span, known.get(key))]
    _UPDATE.run_each(
        connection,
        (
            {
                "b_id": row,
                "b_instance": instance,
                **{f"b_{name}": getattr(span, name) for name in _FIELDS},
            }
            for row, span in changed
        ),
    )
    ended = sum(span.state >= SPAN_INTERRUPTED for span in new)
    for key, (_, state) in known.items():
        ended += best[key].state >= SPAN_INTERRUPTED > state
    return ended


def _is_later(span: SpanRow, known: tuple[int, int] | None) -> bool:
    return known is not None and known[1] < span.state


def _known(bare: Bare, run: int, keys: Sequence[_Key]) -> dict[_Key, tuple[int, int]]:
    """Row id and state of those spans that are there."""
    if bare.dialect == POSTGRESQL:
        from rundial.server.store.postgresql import Blobs

        arrays = Blobs([trace_id for trace_id, _ in keys]), Blobs([span_id for _, span_id in keys])
        rows = bare.run(_FIND_ALL, (*arrays, run)).fetchall()
    else:
        rows = list(chain.from_iterable(_probed(bare, run, some) for some in _parts(keys)))
    return {(bytes(trace_id), bytes(span_id)): (row, state) for trace_id, span_id, row, state in rows}


def _probed(bare: Bare, run: int, keys: Sequence[_Key]) -> list[Any]:
    """Look up a few spans, each by a probe of the index: of pairs IN a list SQLite reads the whole run."""
    find = _FIND.on(bare.dialect)
    sql = " UNION ALL ".join([find.sql] * len(keys))
    given = ({"b_run": run, "b_trace": trace_id, "b_span": span_id} for trace_id, span_id in keys)
    return list(bare.run(sql, list(chain.from_iterable(map(find.row, given)))).fetchall())


def _insert_new(
    bare: Bare, run: int, instance: int, best: Mapping[_Key, SpanRow]
) -> Mapping[_Key, tuple[int, int]]:
    """Insert those spans that are not there, and return row id and state of those that were."""
    new, told = _many().insert(bare, [_values(run, instance, span) for span in best.values()])
    if new == len(best):
        return {}
    return _known(bare, run, [key for key in best if told is None or b"".join(key) not in told])


@cache
def _many() -> ManyRows:
    return ManyRows(spans, _COLUMNS, ("run", "trace_id", "span_id"), identity=("trace_id", "span_id"))


def _values(run: int, instance: int, span: SpanRow) -> Row:
    return run, *_BEFORE(span), instance, *_AFTER(span)


def _insert(bare: Bare, run: int, instance: int, rows: Sequence[SpanRow]) -> None:
    sql = _INSERT.on(bare.dialect).sql
    values = [_values(run, instance, span) for span in rows]
    for some in _parts(values):
        bare.run(widened(sql, len(some)), list(chain.from_iterable(some)))


def _parts(every: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield some at a time."""
    for start in range(0, len(every), _ROWS_PER_STATEMENT):
        yield every[start : start + _ROWS_PER_STATEMENT]
