"""Statements that are compiled once and run by the driver.

Building and compiling an expression costs SQLAlchemy 0.2 to 1.5 ms each time, as much as inserting
hundreds of points. The text still comes from the table definitions, and values are still bound.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, CursorResult
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import CompilerElement

Row = tuple[Any, ...]


class Prepared:
    """A statement whose values are given by name, in the text's own order.

    Args:
        statement: Built with `bindparam` for each value that changes.
        columns: Columns of an INSERT, in the order in which rows give them.
    """

    def __init__(self, statement: CompilerElement, columns: Sequence[str] | None = None) -> None:
        compiled: Any = statement.compile(
            dialect=sqlite.dialect(paramstyle="qmark"),
            column_keys=None if columns is None else list(columns),
        )
        self.sql: Final = str(compiled)
        self._fixed: Final = dict(compiled.params)
        self._pick: Final = _picking(tuple(compiled.positiontup or ()))

    def run(self, connection: Connection, **values: object) -> CursorResult[Any]:
        """Run it once."""
        return connection.exec_driver_sql(self.sql, self.row(values))

    def run_each(self, connection: Connection, each: Iterable[dict[str, object]]) -> None:
        """Run it for each set of values."""
        rows = [self.row(values) for values in each]
        if rows:
            connection.exec_driver_sql(self.sql, rows)

    def row(self, values: dict[str, object]) -> Row:
        """The values in the order of the text's placeholders."""
        return self._pick({**self._fixed, **values})


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
    """

    def __init__(self, connection: Connection) -> None:
        self._driver: Final[Any] = connection.connection.dbapi_connection

    @property
    def changes(self) -> int:
        """Rows changed since the connection was opened."""
        return int(self._driver.total_changes)

    def run(self, sql: str, values: Sequence[object]) -> Any:
        """Run a statement and return the driver's cursor.

        Raises:
            DBAPIError: The driver's error is its `orig`.
        """
        try:
            return self._driver.execute(sql, values)
        except sqlite3.Error as error:
            raise _wrapped(sql, error) from error

    def run_each(self, sql: str, rows: Iterable[Row]) -> None:
        """Run a statement for each row.

        Raises:
            DBAPIError: The driver's error is its `orig`.
        """
        try:
            self._driver.executemany(sql, rows)
        except sqlite3.Error as error:
            raise _wrapped(sql, error) from error


def _wrapped(sql: str, error: sqlite3.Error) -> DBAPIError:
    # Without the values: they are users' data, and an error's text ends in logs.
    return DBAPIError(sql, None, error)
