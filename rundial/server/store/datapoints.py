"""Metric points that are more than a number: sums, histograms, summaries, and what exemplars say.

A row is a point as it was sent, its kind's own fields as JSON. Its identity is (instance, what it is a point
of, time), so a request that comes again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    select,
    tuple_,
)

from rundial.server.rows import NO_STEP, DataPointRow
from rundial.server.store.budget import Budget, bytes_of
from rundial.server.store.dialect import insert_into
from rundial.server.store.statements import Bare, Prepared
from rundial.server.store.tables import instances, metadata, runs, series

AnyRow = Row[Any]
_AT_ONCE: Final = 1_024
_ID: Final = runs.c.id.type
_ORDERED: Final = series.c.name.type

data_points: Final = Table(
    "data_points",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("run", _ID, nullable=False),
    Column("instance", _ID, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("time_unix_ns", BigInteger, nullable=False),
    Column("start_unix_ns", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("name", _ORDERED, nullable=False),
    Column("kind", _ORDERED, nullable=False),
    Column("unit", _ORDERED, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("instance", "digest", "time_unix_ns"),
    Index("data_points_by_name", "run", "name", "time_unix_ns", "id"),
)
_COLUMNS: Final = [column.name for column in data_points.c if column.name != "id"]
_INSERT: Final = Prepared(
    lambda dialect: insert_into(data_points, dialect).on_conflict_do_nothing(), _COLUMNS
)


class StoredDataPoint(NamedTuple):
    """A point as it is kept, beside the name and the attempt of its instance."""

    id: int
    time_unix_ns: int
    start_unix_ns: int
    step: int
    name: str
    kind: str
    unit: str
    attributes: str
    body: str
    instance_id: str
    attempt: int

    def size(self) -> int:
        """How many bytes of texts it has."""
        return bytes_of(self.name, self.unit, self.attributes, self.body)


def insert_data_points(connection: Connection, run: int, instance: int, rows: Iterable[DataPointRow]) -> int:
    """Insert points; returns how many were new of those that no series counts."""
    bare = Bare(connection)
    sql = _INSERT.on(bare.dialect).sql
    new = 0
    for is_number in (True, False):
        changed = bare.run_each(
            sql,
            [
                (
                    run,
                    instance,
                    row.digest,
                    row.time_unix_ns,
                    row.start_unix_ns,
                    row.step,
                    row.name,
                    row.kind,
                    row.unit,
                    row.attributes,
                    row.body,
                )
                for row in rows
                if row.is_number is is_number
            ],
        )
        new += 0 if is_number else changed
    return new


def data_point_rows(  # noqa: PLR0913 -- what may be asked of one table
    connection: Connection,
    run: int,
    *,
    names: Sequence[str],
    kinds: Sequence[str],
    times: tuple[int, int],
    after: tuple[str, int, int] | None,
    budget: Budget,
) -> Sequence[StoredDataPoint]:
    """Points of a run by name and time; `after` is the (name, time, id) at which the last page ended."""
    key = (data_points.c.name, data_points.c.time_unix_ns, data_points.c.id)
    query = _SHOWN.where(data_points.c.run == run, data_points.c.time_unix_ns.between(*times))
    if names:
        query = query.where(data_points.c.name.in_(names))
    if kinds:
        query = query.where(data_points.c.kind.in_(kinds))
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*after))
    return budget.read(
        connection, query.order_by(*key).limit(budget.most_rows), StoredDataPoint, StoredDataPoint.size
    )


def data_point_names(
    connection: Connection, run: int, *, after: tuple[str, str, str] | None, limit: int
) -> Sequence[AnyRow]:
    """What a run has points of, by name, with how many there are and the time of the last."""
    key = (data_points.c.name, data_points.c.kind, data_points.c.unit)
    query = (
        select(*key, func.count().label("points"), func.max(data_points.c.time_unix_ns).label("last_unix_ns"))
        .where(data_points.c.run == run)
        .group_by(*key)
        .order_by(*key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*after))
    return connection.execute(query).all()


def all_data_points(
    connection: Connection, run: int, names: Sequence[str], times: tuple[int, int]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield every stored point of a run by name and time, some at once.

    Rows are (name, kind, nanoseconds, nanoseconds of the start or None, step or None, unit, context,
    instance, body).
    """
    held = data_points.c
    wanted = names or list(
        connection.execute(select(held.name).where(held.run == run).distinct().order_by(held.name)).scalars()
    )
    given = {"b_run": run, "b_start": times[0], "b_end": times[1]}
    for name in wanted:
        cursor = Bare(connection).stream(_ALL, b_name=name, **given)
        try:
            while rows := cursor.fetchmany(_AT_ONCE):
                yield [
                    (name, kind, time, start or None, None if step == NO_STEP else step, *rest)
                    for kind, time, start, step, *rest in rows
                ]
        finally:
            cursor.close()


def _shown() -> Select[Any]:
    its_own = [data_points.c[name] for name in StoredDataPoint._fields if name in data_points.c]
    return select(*its_own, instances.c.instance.label("instance_id"), instances.c.attempt).join(
        instances, instances.c.id == data_points.c.instance
    )


_SHOWN: Final = _shown()


def _all() -> Prepared:
    held = data_points.c
    columns = (
        held.kind,
        held.time_unix_ns,
        held.start_unix_ns,
        held.step,
        held.unit,
        held.attributes,
        instances.c.instance.label("instance_id"),
        held.body,
    )
    query = select(*columns).join(instances, instances.c.id == held.instance)
    return Prepared(
        query.where(
            held.run == bindparam("b_run"),
            held.name == bindparam("b_name"),
            held.time_unix_ns.between(bindparam("b_start"), bindparam("b_end")),
        ).order_by(held.time_unix_ns, held.id)
    )


_ALL: Final = _all()
