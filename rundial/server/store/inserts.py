"""Stream rows into their tables, once each, and what new points add to their series' summaries.

Threads: the writer's alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, count, repeat
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, case, func, update
from sqlalchemy.dialects import sqlite

from rundial.server.rows import SeriesBlock, TextRow
from rundial.server.store.statements import Prepared, Row, widened
from rundial.server.store.tables import events, lines, points, series

# One statement for many rows: SQLite's driver gives up the interpreter's lock at each statement, and
# waits to get it back while other threads decode. Row by row, a busy server stored 1,300 points a second
# instead of 300,000.
_ROWS_PER_STATEMENT: Final = 512

_POINT_COLUMNS: Final = [column.name for column in points.c]
_LINE_COLUMNS: Final = [column.name for column in lines.c if column.name != "id"]
_EVENT_COLUMNS: Final = [column.name for column in events.c if column.name != "id"]
_POINT: Final = Prepared(sqlite.insert(points).on_conflict_do_nothing(), _POINT_COLUMNS).sql
_LINE: Final = Prepared(sqlite.insert(lines).on_conflict_do_nothing(), _LINE_COLUMNS).sql
_EVENT: Final = Prepared(sqlite.insert(events).on_conflict_do_nothing(), _EVENT_COLUMNS).sql
_POINTS: Final = widened(_POINT, _ROWS_PER_STATEMENT)


def _summary() -> Prepared:
    table = series.c
    attempt: BindParameter[int] = bindparam("b_attempt")
    step: BindParameter[int] = bindparam("b_step")
    is_later = (table.last_attempt < attempt) | ((table.last_attempt == attempt) & (table.last_step <= step))
    newest = {
        "last_attempt": attempt,
        "last_step": step,
        "last_value": bindparam("b_value"),
        "last_unix_ns": bindparam("b_time"),
    }
    low: BindParameter[float] = bindparam("b_low")
    high: BindParameter[float] = bindparam("b_high")
    return Prepared(
        update(series)
        .where(table.id == bindparam("b_series"))
        .values(
            count=table.count + bindparam("b_count"),
            min_value=func.min(func.coalesce(table.min_value, low), low),
            max_value=func.max(func.coalesce(table.max_value, high), high),
            **{name: case((is_later, value), else_=table[name]) for name, value in newest.items()},
        )
    )


_SUMMARY: Final = _summary()


def insert_points(
    connection: Connection,
    ids: list[int],
    blocks: list[SeriesBlock],
    *,
    instance: int,
    attempt: int,
    first_accepted: int,
) -> int:
    """Insert points and fold the new ones into their series' summaries.

    Args:
        connection: The writer's.
        ids: Row ids of the blocks' series.
        blocks: The points.
        instance: Row id of the instance that sent them.
        attempt: The instance's attempt.
        first_accepted: Order number of the first point; the next ones count up.

    Returns:
        How many were new.
    """
    rows: list[Row] = []
    for series_id, block in zip(ids, blocks, strict=True):
        numbers = count(first_accepted + len(rows))
        rows += zip(
            repeat(series_id), block.steps, repeat(instance), block.times, block.values, numbers, strict=False
        )
    if not _insert_all(connection, rows):
        blocks = _only(blocks, insert_each(connection, _POINT, rows))
    _SUMMARY.run_each(
        connection,
        [
            _news(series_id, block, attempt)
            for series_id, block in zip(ids, blocks, strict=True)
            if block.steps
        ],
    )
    return sum(len(block.steps) for block in blocks)


def insert_lines(connection: Connection, run: int, instance: int, texts: Iterable[TextRow]) -> int:
    """Insert text lines; returns how many were new."""
    rows: list[Row] = [
        (
            run,
            instance,
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
    if not rows:
        return 0
    before = _changes(connection)
    connection.exec_driver_sql(_LINE, rows)
    return _changes(connection) - before


def insert_events(connection: Connection, rows: Iterable[Row]) -> list[bool]:
    """Insert events (instance, seq, time, name, body) and say of each whether it was new."""
    return insert_each(connection, _EVENT, rows)


def insert_each(connection: Connection, statement: str, rows: Iterable[Row]) -> list[bool]:
    """Insert rows one by one and say of each whether it was new."""
    return [connection.exec_driver_sql(statement, row).rowcount == 1 for row in rows]


def _insert_all(connection: Connection, rows: list[Row]) -> bool:
    """Insert points; False, with nothing inserted, when some of them were there before."""
    savepoint = connection.begin_nested()
    before = _changes(connection)
    whole = len(rows) - len(rows) % _ROWS_PER_STATEMENT
    for start in range(0, whole, _ROWS_PER_STATEMENT):
        values = tuple(chain.from_iterable(rows[start : start + _ROWS_PER_STATEMENT]))
        connection.exec_driver_sql(_POINTS, values)
    if whole < len(rows):
        rest = rows[whole:]
        connection.exec_driver_sql(widened(_POINT, len(rest)), tuple(chain.from_iterable(rest)))
    if _changes(connection) - before == len(rows):
        savepoint.commit()
        return True
    savepoint.rollback()
    return False


def _changes(connection: Connection) -> int:
    driver: Any = connection.connection.dbapi_connection
    return int(driver.total_changes)


def _only(blocks: list[SeriesBlock], is_new: list[bool]) -> list[SeriesBlock]:
    """The blocks without the points that were there before; emptied ones stay, to keep their places."""
    kept: list[SeriesBlock] = []
    start = 0
    for block in blocks:
        new = is_new[start : start + len(block.steps)]
        start += len(block.steps)
        kept.append(
            replace(
                block,
                steps=[each for each, is_kept in zip(block.steps, new, strict=True) if is_kept],
                times=[each for each, is_kept in zip(block.times, new, strict=True) if is_kept],
                values=[each for each, is_kept in zip(block.values, new, strict=True) if is_kept],
            )
        )
    return kept


def _news(series_id: int, block: SeriesBlock, attempt: int) -> dict[str, object]:
    """What a block adds to its series' summary."""
    last_step = max(block.steps)
    last = len(block.steps) - 1 - block.steps[::-1].index(last_step)
    return {
        "b_series": series_id,
        "b_count": len(block.steps),
        "b_low": min(block.values),
        "b_high": max(block.values),
        "b_attempt": attempt,
        "b_step": last_step,
        "b_value": block.values[last],
        "b_time": block.times[last],
    }
