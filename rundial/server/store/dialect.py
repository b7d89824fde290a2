"""What differs between the SQL databases: inserts that may meet their own row, and the greater of two values.

Everything else is one text for all of them. A statement that is built here asks its connection which
database it talks to, so no caller needs to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, Table, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

Dialect = Literal["sqlite", "postgresql"]
SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
# Any number will do that nothing else in the database locks: "rundial" on a telephone's keys.
_LOCK: Final = 7_863_425
_HELD: Final = 2


def dialect_of(connection: Connection) -> Dialect:
    """Which database a connection talks to."""
    return POSTGRESQL if connection.dialect.name == POSTGRESQL else SQLITE


def insert_into(table: Table, dialect: Dialect) -> Any:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return postgresql.insert(table) if dialect == POSTGRESQL else sqlite.insert(table)


def insert_new(connection: Connection, table: Table, values: Mapping[str, object]) -> bool:
    """Insert a row unless one with the same key is there; True when it was new.

    Another process may be inserting the same row: then this waits for its commit.
    """
    statement = insert_into(table, dialect_of(connection)).values(**values).on_conflict_do_nothing()
    if dialect_of(connection) == POSTGRESQL:
        # SQLAlchemy asks PostgreSQL for the new row's id and counts no rows: the row that is returned tells.
        return connection.execute(statement.returning(text("1"))).first() is not None
    return bool(connection.execute(statement).rowcount == 1)


def set_fact(connection: Connection, table: Table, name: str, value: str) -> None:
    """Write a named value, over the one that is there."""
    statement = insert_into(table, dialect_of(connection)).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value})
    )


def exclude_others(connection: Connection) -> None:
    """Wait until no other process is between this call and its commit, and keep them out until ours.

    SQLite's writing transactions do that from their start.
    """
    if dialect_of(connection) == POSTGRESQL:
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def is_first_here(connection: Connection, topic: int) -> bool:
    """Whether no other process is at this topic; it stays ours until the transaction ends."""
    if dialect_of(connection) == SQLITE:
        return True
    query = text("SELECT pg_try_advisory_xact_lock(:lock, :topic)")
    return bool(connection.execute(query, {"lock": _LOCK, "topic": topic}).scalar())


def hold(engine: Engine) -> Connection | None:
    """Keep this call from succeeding in other processes until the connection that it returns is closed.

    None where another has it, or where nothing can: SQLite, whose directory is locked.
    """
    if engine.dialect.name != POSTGRESQL:
        return None
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    query = text("SELECT pg_try_advisory_lock(:lock, :topic)")
    if connection.execute(query, {"lock": _LOCK, "topic": _HELD}).scalar():
        return connection
    connection.close()
    return None


class greatest(FunctionElement[Any]):  # noqa: N801 -- read as the SQL function that it is
    """The greater of two values; the other one where one is NULL is not promised."""

    inherit_cache = True


class least(FunctionElement[Any]):  # noqa: N801 -- read as the SQL function that it is
    """The lesser of two values; the other one where one is NULL is not promised."""

    inherit_cache = True


@compiles(greatest)
def _greatest(element: Any, compiler: Any, **options: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


@compiles(greatest, SQLITE)
def _greatest_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


@compiles(least)
def _least(element: Any, compiler: Any, **options: Any) -> str:
    return f"least({compiler.process(element.clauses, **options)})"


@compiles(least, SQLITE)
def _least_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"min({compiler.process(element.clauses, **options)})"
