"""Points in the catalog's own database.

Threads: `insert` and `forget` on the writer's alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from sqlalchemy import Connection, Select, bindparam, func, not_, select, tuple_
from sqlalchemy.sql.elements import ColumnElement, CompilerElement

from rundial.server.curves import Curve
from rundial.server.rows import NO_STEP, SeriesBlock
from rundial.server.store import chosen
from rundial.server.store.dialect import POSTGRESQL, Dialect, dialect_of, insert_into
from rundial.server.store.events import Growth, NewPoint, Sender, Steps, StoredPoint
from rundial.server.store.inserts import insert_points
from rundial.server.store.newest import newest_points
from rundial.server.store.parts import END_OF_STEPS, Part, Span
from rundial.server.store.rolledparts import stepped_part
from rundial.server.store.statements import Bare, Prepared
from rundial.server.store.tables import ACCEPTED_BLOCK, accepted_blocks, facts, instances, points, series

_AT_ONCE: Final = 4_096
_MS: Final = 1_000_000
# These count samples, not the user's steps.
SYSTEM: Final = "system/"


def _accept(dialect: Dialect) -> CompilerElement:
    statement = insert_into(facts, dialect).values(name="accepted", value=bindparam("b_value"))
    return cast(
        CompilerElement,
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value}),
    )


def _rows() -> Prepared:
    columns = points.c
    in_time = columns.time_unix_ns.between(bindparam("b_start"), bindparam("b_end"))
    query = select(columns.step, columns.instance, columns.time_unix_ns, columns.value)
    return Prepared(
        query.where(columns.series == bindparam("b_series"), in_time).order_by(
            columns.step, columns.instance, columns.time_unix_ns
        )
    )


_ACCEPT: Final = Prepared(_accept)
_ROWS: Final = _rows()


class SqlPoints:
    """The table `points`, and the numbers that say in which order its rows were accepted."""

    def __init__(self) -> None:
        self._accepted: int | None = None
        # PostgreSQL: the transaction and the run whose block of order numbers is in use, and the block's end.
        self._block: tuple[object, int] = (None, 0)
        self._end = 0

    def forget(self) -> None:
        """Read the next number anew."""
        self._accepted = None

    def insert(
        self, connection: Connection, sender: Sender, ids: list[int], blocks: list[SeriesBlock]
    ) -> int:
        """Add points; returns how many were new."""
        first = self._accept(connection, sender.run, sum(len(block.steps) for block in blocks))
        return insert_points(
            connection,
            ids,
            blocks,
            instance=sender.instance,
            attempt=sender.attempt,
            first_accepted=first,
        )

    def stepless(self, connection: Connection, series_id: int) -> Curve:
        """Each point without a step, in the order of their times."""
        return chosen.stepless(connection, series_id)

    def stepped(
        self, connection: Connection, series_id: int, low: int = 0, high: int = END_OF_STEPS
    ) -> Curve:
        """What each step shows, from one step to another, both inclusive."""
        return chosen.stepped(connection, series_id, low, high)

    def part(self, connection: Connection, series_id: int, count: int, span: Span, most: int) -> Part:
        """What the steps of a range show, in at most so many buckets."""
        return stepped_part(connection, series_id, count, span, most)

    def page(
        self,
        connection: Connection,
        run: int,
        names: Sequence[str],
        *,
        times: tuple[int, int],
        after: tuple[int, int, int, int] | None,
        limit: int,
    ) -> Sequence[StoredPoint]:
        """Every stored point of a run, in the order of the table's key."""
        key = (points.c.series, points.c.step, points.c.instance, points.c.time_unix_ns)
        shown = (
            points.c.value,
            series.c.name,
            series.c.attributes,
            instances.c.instance,
            instances.c.attempt,
        )
        query: Select[Any] = (
            select(*key, *shown)
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
        return [StoredPoint._make(row) for row in connection.execute(query)]

    def rows(
        self, connection: Connection, run: int, names: Sequence[str], times: tuple[int, int]
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield every stored point of a run, series by series."""
        known = senders_of(connection, run)
        for each in series_of(connection, run, names):
            given = {"b_series": each.id, "b_start": times[0], "b_end": times[1]}
            cursor = Bare(connection).stream(_ROWS, **given)
            try:
                while rows := cursor.fetchmany(_AT_ONCE):
                    yield [exported(each, row, known) for row in rows]
            finally:
                cursor.close()

    def steps_before(self, connection: Connection, run: int, attempt: int) -> Steps:
        """The highest steps of a run's earlier attempts; one look at the end of each series."""
        if attempt <= 1:
            return Steps()
        is_system = series.c.name.startswith(SYSTEM)
        return Steps(
            user=_highest(connection, run, attempt, not_(is_system)),
            system=_highest(connection, run, attempt, is_system),
        )

    def since(
        self, connection: Connection, run: int, grown: Sequence[Growth], after: int, most: int
    ) -> Sequence[NewPoint]:
        """Points of some series that are numbered behind `after`, each series' by step."""
        attempts = {number: attempt for number, (_, attempt) in senders_of(connection, run).items()}
        return [
            NewPoint(each, step, time, value, attempts[instance])
            for each, step, time, value, instance in newest_points(Bare(connection), grown, after, most)
        ]

    def _accept(self, connection: Connection, run: int, count: int) -> int:
        """Take order numbers and return the first of them."""
        if dialect_of(connection) == POSTGRESQL:
            return self._accept_block(connection, run, count)
        if self._accepted is None:
            known = connection.execute(select(facts.c.value).where(facts.c.name == "accepted")).scalar()
            self._accepted = int(known) if known is not None else 1
        first = self._accepted
        self._accepted += count
        _ACCEPT.run(connection, b_value=str(self._accepted))
        return first

    def _accept_block(self, connection: Connection, run: int, count: int) -> int:
        """Take numbers from a block of the transaction's own.

        A block for each run, taken under the run's lock, which is held until the commit: so the numbers of a
        run ascend in the order of its commits, and whoever reads what is new of it misses nothing.
        """
        block = connection.get_transaction(), run
        if self._block != block or self._accepted is None or self._accepted + count > self._end:
            self._block = block
            self._accepted = connection.execute(select(accepted_blocks.next_value())).scalar_one()
            # A request is less than 64 MiB, which is less than a block of points.
            self._end = self._accepted + ACCEPTED_BLOCK
        first = self._accepted
        self._accepted += count
        return first


def senders_of(connection: Connection, run: int) -> dict[int, tuple[str, int]]:
    """Id and attempt of a run's instances, by row id."""
    query = select(instances.c.id, instances.c.instance, instances.c.attempt).where(instances.c.run == run)
    return {row.id: (row.instance, row.attempt) for row in connection.execute(query)}


def series_of(connection: Connection, run: int, names: Sequence[str]) -> Sequence[Any]:
    """Id, name, attributes and count of a run's series, of some names or of all, by name."""
    held = select(series.c.id, series.c.name, series.c.attributes, series.c.count).where(series.c.run == run)
    if names:
        held = held.where(series.c.name.in_(names))
    return connection.execute(held.order_by(series.c.name, series.c.id)).all()


def exported(
    each: Any, row: tuple[int, int, int, float], senders: dict[int, tuple[str, int]]
) -> tuple[Any, ...]:
    """A stored point (step, instance, time, value) of a series, as `PointStore.rows` yields it."""
    step, instance, time, value = row
    shown_step = None if step == NO_STEP else step
    return each.name, shown_step, time // _MS, value, time, each.attributes, *senders[instance]


def _highest(connection: Connection, run: int, attempt: int, is_wanted: ColumnElement[bool]) -> int | None:
    # The ranks of an attempt do not push each other on: only what came before counts.
    earlier = select(instances.c.id).where(instances.c.run == run, instances.c.attempt < attempt)
    last = (
        select(points.c.step)
        .where(points.c.series == series.c.id, points.c.instance.in_(earlier))
        .order_by(points.c.step.desc())
        .limit(1)
        .scalar_subquery()
    )
    found = connection.execute(select(func.max(last)).where(series.c.run == run, is_wanted)).scalar()
    return None if found is None or found < 0 else int(found)
