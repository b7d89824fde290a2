"""Reading the stream back: series, points, text lines, spans of one run.

Every function takes a connection inside a reading transaction and pages by key, never by offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql.elements import CompilerElement

from rundial.server.curves import Curve
from rundial.server.rows import NO_STEP
from rundial.server.store.dialect import POSTGRESQL, Dialect
from rundial.server.store.statements import Bare, Prepared
from rundial.server.store.tables import facts, instances, lines, points, runs, series, spans

AnyRow = Row[Any]
# Few enough to stay small, many enough that a call for each does not count.
_ROWS_AT_ONCE: Final = 4_096


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which text lines are wanted.

    Attributes:
        min_severity: Least OTel severity number.
        text: Part of the line, as it is written there; empty for all.
        start_unix_ns: Earliest time.
        end_unix_ns: Latest time, inclusive.
    """

    min_severity: int = 0
    text: str = ""
    start_unix_ns: int = 0
    end_unix_ns: int = 2**63 - 1


def series_keys(
    connection: Connection, project: int, run: int | None, *, after: tuple[str, int] | None, limit: int
) -> Sequence[AnyRow]:
    """Series of a run, or of a whole project, in the order of their names; never scans points."""
    query = select(series).order_by(series.c.name, series.c.id).limit(limit)
    if run is not None:
        query = query.where(series.c.run == run)
    else:
        query = query.join(runs, runs.c.id == series.c.run).where(
            runs.c.project_id == project, runs.c.deleted_unix_ns.is_(None)
        )
    if after is not None:
        query = query.where(tuple_(series.c.name, series.c.id) > tuple_(*after))
    return connection.execute(query).all()


def series_named(connection: Connection, run: int, names: Sequence[str]) -> Sequence[AnyRow]:
    """All series of a run under some names, one for each set of attributes."""
    query = select(series).where(series.c.run == run, series.c.name.in_(names))
    return connection.execute(query.order_by(series.c.name, series.c.id)).all()


def _curve_queries() -> tuple[Prepared, Prepared, Prepared]:
    """The points without a step, all that have one, and the one that each step shows."""
    of_series = points.c.series == bindparam("b_series")
    shown = (points.c.step, points.c.time_unix_ns, points.c.value)
    stepless = select(*shown).where(of_series, points.c.step == NO_STEP)
    # Beside a max(), SQLite takes the other columns from the row that holds it. The attempt weighs more
    # than all of an attempt's order numbers together. Their product fits 64 bits up to 4 thousand million
    # points in the store, whatever the attempt; beyond that, and with an attempt of thousands of
    # millions, only points accepted within some thousand of each other could change places.
    attempt = select(instances.c.attempt).where(instances.c.id == points.c.instance).scalar_subquery()
    weight: BindParameter[int] = bindparam("b_weight", type_=BigInteger)
    stepped = select(*shown).where(of_series, points.c.step > NO_STEP)

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


_STEPLESS, _STEPPED, _CHOSEN = _curve_queries()


def curve(connection: Connection, series_id: int) -> Curve:
    """What a series shows, a point a step.

    Of several points at one step the latest attempt's stands, and within it the one accepted last: an
    old attempt that is synced late never overwrites a newer curve. Points without a step come first,
    each of them, in the order of their times.
    """
    bare = Bare(connection)
    found = Curve()
    for columns in _columns(bare, _STEPLESS, b_series=series_id):
        found.extend(*columns)
    stepless = len(found)
    # To choose costs more than twice as much as to read, and most curves have one point a step.
    for columns in _columns(bare, _STEPPED, b_series=series_id):
        if not found.goes_on_with(columns[0]):
            break
        found.extend(*columns)
    else:
        return found
    found.cut(stepless)
    weight = connection.execute(select(facts.c.value).where(facts.c.name == "accepted")).scalar()
    for columns in _columns(bare, _CHOSEN, b_series=series_id, b_weight=int(weight or 1)):
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


def raw_points(
    connection: Connection,
    run: int,
    names: Sequence[str],
    *,
    times: tuple[int, int],
    after: tuple[int, int, int, int] | None,
    limit: int,
) -> Sequence[AnyRow]:
    """Every stored point of a run, in the order of the table's key (series, step, instance, time)."""
    key = (points.c.series, points.c.step, points.c.instance, points.c.time_unix_ns)
    query: Select[Any] = (
        select(
            *key,
            points.c.value,
            series.c.name,
            series.c.attributes,
            instances.c.instance.label("instance_id"),
            instances.c.attempt,
        )
        .join(series, series.c.id == points.c.series)
        .join(instances, instances.c.id == points.c.instance)
        .where(series.c.run == run, points.c.time_unix_ns.between(*times))
        .order_by(*key)
        .limit(limit)
    )
    if names:
        query = query.where(series.c.name.in_(names))
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*after))
    return connection.execute(query).all()


def text_lines(
    connection: Connection,
    run: int,
    wanted: LineFilter,
    *,
    after: tuple[int, int] | None,
    limit: int,
    is_newest_first: bool,
) -> Sequence[AnyRow]:
    """Text lines of a run by time; `after` is the (time, id) at which the last page ended."""
    key = (lines.c.time_unix_ns, lines.c.id)
    query = select(lines).where(
        lines.c.run == run,
        lines.c.time_unix_ns.between(wanted.start_unix_ns, wanted.end_unix_ns),
    )
    if wanted.min_severity:
        query = query.where(lines.c.severity >= wanted.min_severity)
    if wanted.text:
        query = query.where(lines.c.body.contains(wanted.text, autoescape=True))
    if after is not None:
        here = tuple_(*after)
        query = query.where(tuple_(*key) < here if is_newest_first else tuple_(*key) > here)
    order = [column.desc() for column in key] if is_newest_first else list(key)
    return connection.execute(query.order_by(*order).limit(limit)).all()


def run_spans(
    connection: Connection, run: int, *, after: tuple[int, int] | None, limit: int
) -> Sequence[AnyRow]:
    """Spans of a run by start time; `after` is the (start, id) at which the last page ended."""
    query = select(spans).where(spans.c.run == run)
    if after is not None:
        start, row_id = after
        is_later = spans.c.start_unix_ns > start
        query = query.where(or_(is_later, and_(spans.c.start_unix_ns == start, spans.c.id > row_id)))
    return connection.execute(query.order_by(spans.c.start_unix_ns, spans.c.id).limit(limit)).all()
