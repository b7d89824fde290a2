"""Points, text lines and spans in the catalog's own database, in its transactions.

So nothing is to be settled or undone here: a commit stores all of it, and a rollback none.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection

from rundial.server.store.sqllines import SqlLines
from rundial.server.store.sqlpoints import SqlPoints
from rundial.server.store.sqlspans import SqlSpans


class SqlEvents:
    """The tables of the stream.

    Threads: as `events.EventStore`.
    """

    def __init__(self) -> None:
        self.points: Final = SqlPoints()
        self.lines: Final = SqlLines()
        self.spans: Final = SqlSpans()

    def mark(self) -> None:
        """Savepoints do it."""

    def rewind(self, mark: Any) -> None:
        """Savepoints do it."""

    def settle(self, connection: Connection) -> None:
        """The commit does it."""

    def abandon(self) -> None:
        """The rollback did it."""

    def pause_s(self) -> float:
        """Never wait: a commit takes as long for one row as for many, and gathers what comes meanwhile."""
        return 0.0

    def forget(self) -> None:
        """Read the order numbers anew."""
        self.points.forget()
        self.lines.forget()

    def clear(self, connection: Connection, run: int) -> None:
        """Removal deletes these rows with those that they hang on; their numbers stay used."""
        self.lines.keep_number(connection)

    def check(self) -> None:
        """Whoever reads the catalog has checked it."""

    def close(self) -> None:
        """Nothing was opened."""
