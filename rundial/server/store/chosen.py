"""What a series shows, from its stored points: one point a step.

Of several points at one step the latest attempt's stands, and within it the one accepted last: an old
attempt that is synced late never overwrites a newer curve. Points without a step are all shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import BigInteger, BindParameter, Connection, bindparam, func, select
from sqlalchemy.sql.elements import CompilerElement

from rundial.server.curves import Curve
from rundial.server.rows import NO_STEP
from rundial.server.store.dialect import POSTGRESQL, Dialect
from rundial.server.store.parts import END_OF_STEPS
from rundial.server.store.statements import Bare, Prepared
from rundial.server.store.tables import facts, instances, points

# Few enough to stay small, many enough that a call for each does not count.
_ROWS_AT_ONCE: Final = 4_096


def _queries() -> tuple[Prepared, Prepared, Prepared]:
    """The points without a step, all that have one, and the one that each step shows."""
    of_series = points.c.series == bindparam("b_series")
    in_range = points.c.step.between(bindparam("b_low"), bindparam("b_high"))
    shown = (points.c.step, points.c.time_unix_ns, points.c.value)
    stepless = select(*shown).where(of_series, points.c.step == NO_STEP)
    # Beside a max(), SQLite takes the other columns from the row that holds it. The attempt weighs more
    # than all of an attempt's order numbers together. Their product fits 64 bits up to 4 thousand million
    # points in the store, whatever the attempt; beyond that, and with an attempt of thousands of
    # millions, only points accepted within some thousand of each other could change places.
    attempt = select(instances.c.attempt).where(instances.c.id == points.c.instance).scalar_subquery()
    weight: BindParameter[int] = bindparam("b_weight", type_=BigInteger)
    stepped = select(*shown).where(of_series, in_range)

    def chosen(dialect: Dialect) -> CompilerElement:
        if dialect == POSTGRESQL:
            order = (instances.c.attempt.desc(), points.c.accepted.desc())
            place = func.row_number().over(partition_by=points.c.step, order_by=order)
            ranked = (
                # The weight is named, so that both take the same values; it weighs nothing here.
                stepped.where(weight > 0)
                .add_columns(place.label("place"))
                .join(instances, instances.c.id == points.c.instance)
                .subquery()
            )
            shown_there = [ranked.c[column.name] for column in shown]
            return select(*shown_there).where(ranked.c.place == 1).order_by(ranked.c.step)
        best = stepped.add_columns(func.max(points.c.accepted + weight * attempt))
        return best.group_by(points.c.step).order_by(points.c.step)

    return (
        Prepared(stepless.order_by(points.c.time_unix_ns, points.c.value)),
        Prepared(stepped.order_by(points.c.step)),
        Prepared(chosen),
    )


_STEPLESS, _STEPPED, _CHOSEN = _queries()


def stepless(connection: Connection, series_id: int) -> Curve:
    """Each point without a step, in the order of their times."""
    found = Curve()
    for columns in _columns(Bare(connection), _STEPLESS, b_series=series_id):
        found.extend(*columns)
    return found


def stepped(connection: Connection, series_id: int, low: int = 0, high: int = END_OF_STEPS) -> Curve:
    """What each step shows, from one step to another, both inclusive."""
    bare = Bare(connection)
    found = Curve()
    given = {"b_series": series_id, "b_low": max(0, low), "b_high": min(high, END_OF_STEPS)}
    # To choose costs more than twice as much as to read, and most curves have one point a step.
    for columns in _columns(bare, _STEPPED, **given):
        if not found.goes_on_with(columns[0]):
            break
        found.extend(*columns)
    else:
        return found
    found.cut(0)
    weight = connection.execute(select(facts.c.value).where(facts.c.name == "accepted")).scalar()
    for columns in _columns(bare, _CHOSEN, b_weight=int(weight or 1), **given):
        found.extend(*columns)
    return found


def _columns(
    bare: Bare, query: Prepared, **given: object
) -> Iterator[tuple[Sequence[int], Sequence[int], Sequence[float]]]:
    """Steps, times and values of a query's rows, some thousand at a time."""
    cursor = bare.stream(query, **given)
    try:
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            steps, times, values, *_ = zip(*rows, strict=True)
            yield steps, times, values
    finally:
        cursor.close()
