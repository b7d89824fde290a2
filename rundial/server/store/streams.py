"""Reading the stream back: series, points, text lines, spans of one run.

Every function takes a connection inside a reading transaction and pages by key, never by offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, tuple_

from rundial.server.store.tables import instances, lines, points, runs, series

AnyRow = Row[Any]


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which text lines are wanted.

    Attributes:
        min_severity: Least OTel severity number.
        start_unix_ns: Earliest time.
        end_unix_ns: Latest time, inclusive.
    """

    min_severity: int = 0
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


def series_named(
    connection: Connection, run: int, names: Sequence[str], *, limit: int = -1
) -> Sequence[AnyRow]:
    """All series of a run under some names, one a set of attributes; at most `limit` when it is ≥ 0."""
    query = select(series).where(series.c.run == run, series.c.name.in_(names))
    query = query.order_by(series.c.name, series.c.id)
    return connection.execute(query if limit < 0 else query.limit(limit)).all()


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
    if after is not None:
        here = tuple_(*after)
        query = query.where(tuple_(*key) < here if is_newest_first else tuple_(*key) > here)
    order = [column.desc() for column in key] if is_newest_first else list(key)
    return connection.execute(query.order_by(*order).limit(limit)).all()


def newest_line(connection: Connection) -> int:
    """The row id of the line that was stored last, 0 when there is none."""
    return int(connection.execute(select(func.max(lines.c.id))).scalar() or 0)


def lines_since(
    connection: Connection, run: int, min_severity: int, after: int, limit: int
) -> Sequence[AnyRow]:
    """Text lines of a run in the order in which they were stored, behind a row id."""
    query = select(lines).where(lines.c.id > after, lines.c.run == run)
    if min_severity:
        query = query.where(lines.c.severity >= min_severity)
    return connection.execute(query.order_by(lines.c.id).limit(limit)).all()
