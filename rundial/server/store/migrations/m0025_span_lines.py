"""An index by which the log records of a trace are found."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store.sqllines import lines_by_trace


def upgrade(connection: Connection) -> None:
    """Add it."""
    lines_by_trace.create(connection, checkfirst=True)
