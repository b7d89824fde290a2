"""Moving everything from one database to another, of whichever engines.

The source is read in one state, also while a server writes to it, and stays as it is. The target must be
empty: a copy that was cut off is begun again in another one. Until the last row is counted, the target says
of itself that it is unfinished, and no server opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, delete, func, insert, select, text, update

from rundial.errors import ConfigError
from rundial.server.store.clickhouse.mark import FACT
from rundial.server.store.dialect import POSTGRESQL, dialect_of, set_fact
from rundial.server.store.engine import Engines
from rundial.server.store.statements import Prepared
from rundial.server.store.tables import accepted_blocks, facts, metadata, points, schema_migrations, series

ROWS_AT_ONCE: Final = 20_000
UNFINISHED: Final = "copy_unfinished"
_ACCEPTED: Final = "accepted"
# What a new database holds by itself, or what belongs to one engine alone.
_OWN_FACTS: Final = ("schema", UNFINISHED, _ACCEPTED)

Progress = Callable[[str, int, int], None]


def copy_all(source: Engines, target: Engines, *, on_progress: Progress | None = None) -> dict[str, int]:
    """Copy every row and return how many each table has.

    Args:
        source: Where from; nothing is changed there.
        target: Where to; at the newest schema and without a row.
        on_progress: Called with a table's name, the rows that are copied in all, and those that there are.

    Raises:
        ConfigError: The source keeps its points elsewhere, the target is not empty, or it counts other rows
            than the source and stays unfinished.
    """
    _check_empty(target)
    with source.reading.begin() as connection:
        _check_whole(connection, source.where)
    with target.writing.begin() as connection:
        set_fact(connection, facts, UNFINISHED, "1")
    tables = [table for table in metadata.sorted_tables if table is not schema_migrations]
    with source.reading.begin() as reading:
        counts = {table.name: _count(reading, _query(table)) for table in tables}
        total, done = sum(counts.values()), 0
        for table in tables:
            for rows in _batches(reading, table):
                with target.writing.begin() as writing:
                    _insert(writing, table, rows)
                done += len(rows)
                if on_progress is not None:
                    on_progress(table.name, done, total)
    with target.writing.begin() as connection:
        _check_counts(connection, counts)
        _set_counters(connection)
        connection.execute(delete(facts).where(facts.c.name == UNFINISHED))
    return counts


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


def _check_whole(connection: Connection, where: str) -> None:
    if connection.execute(select(facts.c.value).where(facts.c.name == FACT)).first() is not None:
        raise ConfigError(
            f"the points, lines and spans of {where} are in ClickHouse, and a copy moves one database alone; "
            "nothing was copied"
        )


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


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[Sequence[object]]]:
    """The rows of a table, in the order in which they are fast to insert."""
    if table is points:
        # The order among the points of one step is what the numbers say.
        query = select(table).order_by(points.c.series, points.c.step, points.c.accepted)
    else:
        query = _query(table).order_by(*table.primary_key)
    streaming = connection.execution_options(yield_per=ROWS_AT_ONCE)
    batches: Iterable[Sequence[Sequence[object]]] = streaming.execute(query).partitions()
    if table is not points:
        yield from batches
        return
    # Numbered anew and closely: PostgreSQL's have gaps, and SQLite has less room for them.
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


def _check_counts(connection: Connection, counts: dict[str, int]) -> None:
    for table in metadata.sorted_tables:
        if table.name not in counts:
            continue
        found = _count(connection, _query(table))
        if found != counts[table.name]:
            raise ConfigError(
                f"the copy has {found:,} {table.name} of {counts[table.name]:,}; it was left unfinished; "
                "copy again into an empty database"
            )


def _set_counters(connection: Connection) -> None:
    """Make what is numbered from now on greater than what was copied."""
    accepted = int(connection.execute(select(func.max(points.c.accepted))).scalar() or 0) + 1
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
