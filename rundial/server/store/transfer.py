"""Moving everything from one database to another, of whichever engines, with ClickHouse beside either or not.

The source is read in one state, also while a server writes to it, and stays as it is. The target must be
empty: a copy that was cut off is begun again in another one. Until the last row is counted, the target says
of itself that it is unfinished, and no server opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, delete, func, insert, select, text, update

from rundial.errors import ConfigError
from rundial.server.problems import StoreProblem
from rundial.server.store.clickhouse.connection import ClickHouse, unusable
from rundial.server.store.clickhouse.group import WRITER
from rundial.server.store.clickhouse.mark import FACT, numbers_of, set_numbers
from rundial.server.store.dialect import POSTGRESQL, dialect_of, set_fact
from rundial.server.store.engine import Engines
from rundial.server.store.eventcopy import STREAM, ClickHouseSource, ClickHouseTarget
from rundial.server.store.rollups import rollup_heads, rollups
from rundial.server.store.statements import Prepared
from rundial.server.store.tables import (
    accepted_blocks,
    facts,
    instances,
    metadata,
    points,
    schema_migrations,
    series,
)

ROWS_AT_ONCE: Final = 20_000
UNFINISHED: Final = "copy_unfinished"
_ACCEPTED: Final = "accepted"
# What a new database holds by itself, or what belongs to one engine alone.
_OWN_FACTS: Final = ("schema", UNFINISHED, _ACCEPTED, FACT, WRITER)

Progress = Callable[[str, int, int], None]
Rows = Sequence[Sequence[Any]]


def copy_all(
    source: Engines,
    target: Engines,
    *,
    source_events: ClickHouse | None = None,
    target_events: ClickHouse | None = None,
    on_progress: Progress | None = None,
) -> dict[str, int]:
    """Copy every row and return how many each table has.

    Args:
        source: Where from; nothing is changed there.
        target: Where to; at the newest schema and without a row.
        source_events: Where the source's points, lines and spans are; None for the source itself.
        target_events: Where they are to be, without a row; None for the target itself.
        on_progress: Called with a table's name, the rows that are copied in all, and those that there are.

    Raises:
        ConfigError: The source keeps its points elsewhere or the target is not empty; or it counts other rows
            than the source, or ClickHouse failed, and it stays unfinished.
    """
    try:
        return _copied(source, target, source_events, target_events, on_progress or _ignore)
    except StoreProblem as problem:
        raise ConfigError(
            f"the copy was cut off: {problem.message}; copy again into an empty database"
        ) from problem


def _copied(
    source: Engines,
    target: Engines,
    source_events: ClickHouse | None,
    target_events: ClickHouse | None,
    on_progress: Progress,
) -> dict[str, int]:
    _check_empty(target)
    with source.reading.begin() as connection:
        server_id = _fact(connection, "server_id")
        _check_events(connection, source, source_events, server_id)
    goal = None if target_events is None else ClickHouseTarget(target_events, server_id or "")
    with target.writing.begin() as connection:
        set_fact(connection, facts, UNFINISHED, "1")
    # Rollups are of points in SQL, and are made again there.
    left_out = {schema_migrations, *((rollups, rollup_heads) if source_events or target_events else ())}
    tables = [table for table in metadata.sorted_tables if table not in left_out]
    with source.reading.begin() as reading:
        origin = None if source_events is None else ClickHouseSource(source_events, numbers_of(reading))
        counts = {table.name: _count_of(reading, table, origin) for table in tables}
        if goal is not None:
            known = reading.execute(select(instances.c.id, instances.c.attempt)).all()
            goal.know({row.id: row.attempt for row in known})
        total, done = sum(counts.values()), 0
        for table in tables:
            for rows in _batches(reading, table, origin):
                if goal is not None and table.name in STREAM:
                    goal.insert(table.name, rows)
                else:
                    with target.writing.begin() as writing:
                        _insert(writing, table, rows)
                done += len(rows)
                on_progress(table.name, done, total)
    with target.writing.begin() as connection:
        _check_counts(connection, counts, goal)
        _set_counters(connection, goal)
        connection.execute(delete(facts).where(facts.c.name == UNFINISHED))
    return counts


def _ignore(_name: str, _done: int, _total: int) -> None:
    return None


def check_finished(connection: Connection, where: str) -> None:
    """Refuse a database that a copy was cut off in.

    Raises:
        ConfigError: It is one.
    """
    if connection.execute(select(facts.c.value).where(facts.c.name == UNFINISHED)).first() is not None:
        raise ConfigError(
            f"a copy into {where} was cut off, so it does not hold everything; "
            "copy again into an empty database"
        )


def _check_events(
    connection: Connection, source: Engines, events: ClickHouse | None, server_id: str | None
) -> None:
    """Check that the source's points are where they are said to be."""
    is_elsewhere = _fact(connection, FACT) is not None
    if is_elsewhere and events is None:
        raise ConfigError(
            f"the points, lines and spans of {source.where} are in ClickHouse; nothing was copied; "
            "name it: --from-events clickhouse://user:password@host/database"
        )
    if events is None:
        return
    if not is_elsewhere:
        raise ConfigError(
            f"the points, lines and spans of {source.where} are in it, and not in ClickHouse; nothing was "
            "copied; leave --from-events out"
        )
    try:
        owners = [owner for (owner,) in events.rows("SELECT server_id FROM owner")]
    except StoreProblem as problem:
        raise unusable(events.where, problem.__cause__ or problem) from problem
    if owners != [server_id]:
        raise ConfigError(
            f"{events.where} does not hold the points of {source.where}; nothing was copied; name the "
            "database that its server uses"
        )


def _fact(connection: Connection, name: str) -> str | None:
    found: str | None = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()
    return found


def _check_empty(target: Engines) -> None:
    with target.reading.begin() as connection:
        for table in metadata.sorted_tables:
            if table is schema_migrations:
                continue
            if connection.execute(_query(table).limit(1)).first() is not None:
                raise ConfigError(
                    f"{target.where} is not empty: there are {table.name} in it; nothing was copied; "
                    "name an empty database"
                )
        check_finished(connection, target.where)


def _query(table: Table) -> Select[Any]:
    query = select(table)
    return query.where(facts.c.name.not_in(_OWN_FACTS)) if table is facts else query


def _count(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def _count_of(connection: Connection, table: Table, origin: ClickHouseSource | None) -> int:
    if origin is not None and table.name in STREAM:
        return origin.count(table.name)
    return _count(connection, _query(table))


def _batches(connection: Connection, table: Table, origin: ClickHouseSource | None) -> Iterator[Rows]:
    """The rows of a table, in the order in which they are fast to insert."""
    if origin is not None and table.name in STREAM:
        found: Iterable[Rows] = origin.batches(table.name)
    else:
        found = _sql_batches(connection, table)
    return _renumbered(found) if table is points else iter(found)


def _sql_batches(connection: Connection, table: Table) -> Iterable[Rows]:
    if table is points:
        # The order among the points of one step is what the numbers say.
        query = select(table).order_by(points.c.series, points.c.step, points.c.accepted)
    else:
        query = _query(table).order_by(*table.primary_key)
    streaming = connection.execution_options(yield_per=ROWS_AT_ONCE)
    batches: Iterable[Rows] = streaming.execute(query).partitions()
    return batches


def _renumbered(batches: Iterable[Rows]) -> Iterator[Rows]:
    """Points numbered anew and closely: most numbers have gaps, and SQLite has less room for them."""
    place = list(points.c.keys()).index(_ACCEPTED)
    accepted = 0
    for rows in batches:
        first = accepted + 1
        accepted += len(rows)
        yield [
            (*row[:place], number, *row[place + 1 :])
            for number, row in zip(range(first, accepted + 1), rows, strict=True)
        ]


def _insert(connection: Connection, table: Table, rows: Sequence[Sequence[object]]) -> None:
    names = list(table.c.keys())
    driver: Any = connection.connection.dbapi_connection
    if dialect_of(connection) == POSTGRESQL:
        quote = connection.dialect.identifier_preparer.quote
        into = f"{quote(table.name)} ({', '.join(map(quote, names))})"
        # Our transaction has to be open in the driver, too, which opens it at the first statement.
        connection.execute(text("SELECT 1"))
        with driver.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    sql = Prepared(insert(table), names).on(dialect_of(connection)).sql
    driver.executemany(sql, rows)


def _check_counts(connection: Connection, counts: dict[str, int], goal: ClickHouseTarget | None) -> None:
    for table in metadata.sorted_tables:
        if table.name not in counts:
            continue
        is_elsewhere = goal is not None and table.name in STREAM
        found = goal.count(table.name) if goal and is_elsewhere else _count(connection, _query(table))
        if found != counts[table.name]:
            raise ConfigError(
                f"the copy has {found:,} {table.name} of {counts[table.name]:,}; it was left unfinished; "
                "copy again into an empty database"
            )


def _set_counters(connection: Connection, goal: ClickHouseTarget | None) -> None:
    """Make what is numbered from now on greater than what was copied."""
    accepted = int(connection.execute(select(func.max(points.c.accepted))).scalar() or 0) + 1
    if goal is not None:
        set_numbers(connection, goal.numbers)
        accepted = goal.numbers.mark.points + 1
    connection.execute(update(series).values(accepted=accepted - 1))
    if dialect_of(connection) != POSTGRESQL:
        set_fact(connection, facts, _ACCEPTED, str(accepted))
        return
    connection.execute(select(func.setval(accepted_blocks.name, max(accepted, accepted_blocks.start or 1))))
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        greatest = select(func.max(column)).scalar_subquery()
        connection.execute(select(func.setval(sequence, greatest)).where(greatest.is_not(None)))
