"""Points and events into their tables, once each, and what new points add to their series' summaries.

Threads: the writer's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, count, islice, repeat
from typing import Final

from sqlalchemy import BindParameter, Connection, Float, bindparam, case, func, select, update

from rundial.server.rows import SeriesBlock
from rundial.server.store.dialect import POSTGRESQL, SQLITE, dialect_of, greatest, insert_into, least
from rundial.server.store.rollups import lower
from rundial.server.store.statements import Bare, Prepared, Row, widened
from rundial.server.store.tables import events, points, series

# One statement for many rows: SQLite's driver gives up the interpreter's lock at each statement, and
# waits to get it back while other threads decode. Row by row, a busy server stored 1,300 points a second
# instead of 300,000. Alone, a point costs the same from 64 to 256 rows, and up to a fifth more with 512.
_ROWS_PER_STATEMENT: Final = 256
# What a mean counts a greater value as, so that none ever leaves the range of a float; PostgreSQL refuses
# what does, and what comes too near to zero.
MOST_OF_A_MEAN: Final = 1e290
_LEAST_OF_A_MEAN: Final = 1e-250

_POINT_COLUMNS: Final = [column.name for column in points.c]
_EVENT_COLUMNS: Final = [column.name for column in events.c if column.name != "id"]
_POINT_VALUES: Final = len(_POINT_COLUMNS)
_ACCEPTED: Final = Prepared(
    select(points.c.accepted).where(
        *(column == bindparam(f"b_{column.name}") for column in points.primary_key)
    )
)
_POINT: Final = (
    Prepared(lambda dialect: insert_into(points, dialect).on_conflict_do_nothing(), _POINT_COLUMNS)
    .on(SQLITE)
    .sql
)
_POINTS: Final = widened(_POINT, _ROWS_PER_STATEMENT)
_EVENT: Final = Prepared(
    lambda dialect: insert_into(events, dialect).on_conflict_do_nothing(), _EVENT_COLUMNS
)


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
    mean: BindParameter[float] = bindparam("b_mean", type_=Float)
    new: BindParameter[float] = bindparam("b_new", type_=Float)
    # Shares of both: a sum of all values would leave the range of a float.
    share = new / (table.count + new)
    high: BindParameter[float] = bindparam("b_high")
    return Prepared(
        update(series)
        .where(table.id == bindparam("b_series"))
        .values(
            count=table.count + bindparam("b_count"),
            min_value=least(func.coalesce(table.min_value, low), low),
            max_value=greatest(func.coalesce(table.max_value, high), high),
            mean_value=func.coalesce(table.mean_value, mean) * (1.0 - share) + mean * share,
            accepted=bindparam("b_accepted"),
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
    bare = Bare(connection)
    given = sum(len(block.steps) for block in blocks)
    if bare.dialect == POSTGRESQL:
        from rundial.server.store.manypoints import insert_arrays

        new, blocks = insert_arrays(bare, ids, blocks, instance, first_accepted)
    else:
        new, blocks = _insert_all(bare, ids, blocks, instance, first_accepted)
    if new:
        # Of the whole request: later ones begin behind it.
        last = first_accepted + given - 1
        fold_news(connection, ids, blocks, attempt, accepted=last)
        news = zip(ids, blocks, strict=True)
        lower(bare, ((series_id, min(block.steps)) for series_id, block in news if block.steps))
    return new


def fold_news(
    connection: Connection, ids: list[int], blocks: list[SeriesBlock], attempt: int, *, accepted: int
) -> None:
    """Fold points that are new into their series' summaries; none has a number beyond `accepted`."""
    bare = Bare(connection)
    summary = _SUMMARY.on(bare.dialect)
    rows = [
        summary.row({**_news(series_id, block, attempt), "b_accepted": accepted})
        for series_id, block in zip(ids, blocks, strict=True)
        if block.steps
    ]
    bare.run_each(summary.sql, rows)


def insert_events(connection: Connection, rows: Iterable[Row]) -> list[bool]:
    """Insert events (instance, seq, time, name, body) and say of each whether it was new."""
    sql = _EVENT.on(dialect_of(connection)).sql
    return [connection.exec_driver_sql(sql, row).rowcount == 1 for row in rows]


def _values(
    ids: list[int], blocks: list[SeriesBlock], instance: int, first_accepted: int
) -> Iterator[object]:
    """The values of all rows, one after the other."""
    numbers = count(first_accepted)
    return chain.from_iterable(
        chain.from_iterable(
            # The numbers stand last: a zip that ends has then taken none in vain.
            zip(
                repeat(series_id),
                block.steps,
                repeat(instance),
                block.times,
                block.values,
                numbers,
                strict=False,
            )
        )
        for series_id, block in zip(ids, blocks, strict=True)
    )


def _insert_all(
    bare: Bare, ids: list[int], blocks: list[SeriesBlock], instance: int, first_accepted: int
) -> tuple[int, list[SeriesBlock]]:
    """Insert points; what is there already stays as it is. Returns how many were new, and which."""
    values = _values(ids, blocks, instance, first_accepted)
    whole = _ROWS_PER_STATEMENT * _POINT_VALUES
    new = 0
    while len(given := tuple(islice(values, whole))) == whole:
        new += bare.run(_POINTS, given).rowcount
    if given:
        new += bare.run(widened(_POINT, len(given) // _POINT_VALUES), given).rowcount
    if new and new < sum(len(block.steps) for block in blocks):
        numbers = count(first_accepted)
        blocks = [
            _only_new(bare, series_id, block, instance, numbers)
            for series_id, block in zip(ids, blocks, strict=True)
        ]
    return new, blocks


def _only_new(
    bare: Bare, series_id: int, block: SeriesBlock, instance: int, numbers: Iterator[int]
) -> SeriesBlock:
    """A block without the points that were there before: those whose row bears another number."""
    kept = replace(block, steps=[], times=[], values=[])
    sql = _ACCEPTED.on(SQLITE).sql
    # The numbers come last here, too, and go on with the next block.
    for step, time, value, number in zip(block.steps, block.times, block.values, numbers, strict=False):
        (accepted,) = bare.run(sql, (series_id, step, instance, time)).fetchone()
        if accepted == number:
            kept.steps.append(step)
            kept.times.append(time)
            kept.values.append(value)
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
        "b_new": float(len(block.steps)),
        "b_mean": _mean(block.values),
        "b_attempt": attempt,
        "b_step": last_step,
        "b_value": block.values[last],
        "b_time": block.times[last],
    }


def _mean(values: list[float]) -> float:
    """The mean of a block's values, none of them counted as more than a mean may be."""
    mean = sum(values) / len(values)
    if not abs(mean) <= MOST_OF_A_MEAN:
        mean = sum(max(-MOST_OF_A_MEAN, min(MOST_OF_A_MEAN, each)) for each in values) / len(values)
    return mean if abs(mean) >= _LEAST_OF_A_MEAN else 0.0
