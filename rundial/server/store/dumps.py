"""Whole runs, read once from end to end, some thousand rows at a time: what exports are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from rundial.server.rows import NO_STEP
from rundial.server.store.statements import Bare, Prepared
from rundial.server.store.tables import instances, lines, points, series

_AT_ONCE: Final = 4_096
_MS: Final = 1_000_000


def _points() -> Prepared:
    columns = points.c
    in_time = columns.time_unix_ns.between(bindparam("b_start"), bindparam("b_end"))
    query = select(columns.step, columns.instance, columns.time_unix_ns, columns.value)
    return Prepared(
        query.where(columns.series == bindparam("b_series"), in_time).order_by(
            columns.step, columns.instance, columns.time_unix_ns
        )
    )


def _lines() -> Prepared:
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


_POINTS: Final = _points()
_LINES: Final = _lines()


def point_rows(
    connection: Connection, run: int, names: Sequence[str], times: tuple[int, int]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield every stored point of a run, series by series.

    Rows are (name, step or None, milliseconds, value, nanoseconds, context, instance, attempt).
    """
    known = {
        row.id: (row.instance, row.attempt)
        for row in connection.execute(
            select(instances.c.id, instances.c.instance, instances.c.attempt).where(instances.c.run == run)
        )
    }
    held = select(series.c.id, series.c.name, series.c.attributes).where(series.c.run == run)
    if names:
        held = held.where(series.c.name.in_(names))
    for each in connection.execute(held.order_by(series.c.name, series.c.id)).all():
        given = {"b_series": each.id, "b_start": times[0], "b_end": times[1]}
        for rows in _batches(connection, _POINTS, given):
            yield [
                (
                    each.name,
                    None if step == NO_STEP else step,
                    time // _MS,
                    value,
                    time,
                    each.attributes,
                    *known[instance],
                )
                for step, instance, time, value in rows
            ]


def line_rows(connection: Connection, run: int, times: tuple[int, int]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield every stored text line of a run by time.

    Rows are (nanoseconds, sequence, severity, body, step, trace id, span id, attributes, is truncated).
    """
    given = {"b_run": run, "b_start": times[0], "b_end": times[1]}
    yield from _batches(connection, _LINES, given)


def _batches(
    connection: Connection, query: Prepared, given: dict[str, int]
) -> Iterator[list[tuple[Any, ...]]]:
    cursor = Bare(connection).stream(query, **given)
    try:
        while rows := cursor.fetchmany(_AT_ONCE):
            yield rows
    finally:
        cursor.close()
