"""Statements that are compiled once for each database and run by the driver.

Building and compiling an expression costs SQLAlchemy 0.2 to 1.5 ms each time, as much as inserting
hundreds of points. The text still comes from the table definitions, and values are still bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, CursorResult
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import CompilerElement

from rundial.server.store.dialect import POSTGRESQL, Dialect, dialect_of

Row = tuple[Any, ...]
Build = Callable[[Dialect], CompilerElement]


_NUMBERS: Final = count(1)


class Text:
    """A statement as one database reads it.

    Attributes:
        sql: With placeholders for the driver.
    """

    __slots__ = ("_fixed", "_pick", "sql")

    def __init__(self, statement: CompilerElement, dialect: Dialect, columns: Sequence[str] | None) -> None:
        compiled: Any = statement.compile(
            dialect=_DIALECTS[dialect](), column_keys=None if columns is None else list(columns)
        )
        self.sql: Final = str(compiled)
        self._fixed: Final = dict(compiled.params)
        self._pick: Final = _picking(tuple(compiled.positiontup or ()))

    def row(self, values: dict[str, object]) -> Row:
        """The values in the order of the text's placeholders."""
        return self._pick({**self._fixed, **values})


_DIALECTS: Final[dict[Dialect, Callable[[], Any]]] = {
    "sqlite": lambda: sqlite.dialect(paramstyle="qmark"),
    "postgresql": lambda: PGDialect_psycopg(paramstyle="format"),  # type: ignore[no-untyped-call] # theirs
}


class Prepared:
    """A statement whose values are given by name, in the text's own order.

    Args:
        statement: Built with `bindparam` for each value that changes; or what builds it, where the
            databases differ.
        columns: Columns of an INSERT, in the order in which rows give them.
    """

    def __init__(self, statement: CompilerElement | Build, columns: Sequence[str] | None = None) -> None:
        self._statement: Final = statement
        self._columns: Final = columns
        self._texts: Final[dict[Dialect, Text]] = {}

    def on(self, dialect: Dialect) -> Text:
        """The statement for a database, compiled at its first use."""
        found = self._texts.get(dialect)
        if found is None:
            statement = self._statement
            built = statement if isinstance(statement, CompilerElement) else statement(dialect)
            found = self._texts[dialect] = Text(built, dialect, self._columns)
        return found

    def run(self, connection: Connection, **values: object) -> CursorResult[Any]:
        """Run it once."""
        text = self.on(dialect_of(connection))
        return connection.exec_driver_sql(text.sql, text.row(values))

    def run_each(self, connection: Connection, each: Iterable[dict[str, object]]) -> None:
        """Run it for each set of values."""
        text = self.on(dialect_of(connection))
        rows = [text.row(values) for values in each]
        if rows:
            connection.exec_driver_sql(text.sql, rows)


def _picking(names: tuple[str, ...]) -> Callable[[dict[str, Any]], Row]:
    """What picks named values in order; `itemgetter` gives a tuple only for two names or more."""
    if len(names) > 1:
        pick: Callable[[dict[str, Any]], Row] = itemgetter(*names)
        return pick
    return lambda values: tuple(values[name] for name in names)


def widened(sql: str, rows: int) -> str:
    """An INSERT of one row as an INSERT of many."""
    start = sql.index("VALUES (") + len("VALUES ")
    end = sql.index(")", start) + 1
    return sql[:start] + ", ".join([sql[start:end]] * rows) + sql[end:]


class Bare:
    """The driver's own connection, for statements that are run for every few points.

    SQLAlchemy's layer costs some 20 µs a statement, as much as inserting 25 points. What it gives here is
    kept: the transaction is the connection's, and errors come as its `DBAPIError`.

    Attributes:
        dialect: Which database this is.
    """

    def __init__(self, connection: Connection) -> None:
        self.dialect: Final = dialect_of(connection)
        self._driver: Final[Any] = connection.connection.dbapi_connection
        dbapi: Any = connection.dialect.dbapi
        self._error: Final[type[Exception]] = dbapi.Error

    def run(self, sql: str, values: Sequence[object]) -> Any:
        """Run a statement and return the driver's cursor.

        Raises:
            DBAPIError: The driver's error is its `orig`.
        """
        try:
            return self._driver.execute(sql, values)
        except self._error as error:
            raise _wrapped(sql, error) from error

    def stream(self, query: Prepared, **given: object) -> Any:
        """Run a query and return a cursor that never holds all its rows; the caller closes it.

        Raises:
            DBAPIError: The driver's error is its `orig`.
        """
        text = query.on(self.dialect)
        if self.dialect != POSTGRESQL:
            return self.run(text.sql, text.row(given))
        # A cursor without a name reads its whole result at once. Two streams may be open at one time.
        cursor = self._driver.cursor(name=f"stream_{next(_NUMBERS)}")
        try:
            return cursor.execute(text.sql, text.row(given))
        except self._error as error:
            raise _wrapped(text.sql, error) from error

    def run_each(self, sql: str, rows: Iterable[Row]) -> int:
        """Run a statement for each row and return how many rows it changed.

        Raises:
            DBAPIError: The driver's error is its `orig`.
        """
        try:
            cursor = self._driver.cursor()
            cursor.executemany(sql, rows)
            changed: int = cursor.rowcount
            return max(0, changed)
        except self._error as error:
            raise _wrapped(sql, error) from error


def _wrapped(sql: str, error: Exception) -> DBAPIError:
    # Without the values: they are users' data, and an error's text ends in logs.
    return DBAPIError(sql, None, error)
