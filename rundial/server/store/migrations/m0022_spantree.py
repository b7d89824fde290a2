"""An index by which a span's children are found."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store.sqlspans import spans_by_parent


def upgrade(connection: Connection) -> None:
    """Add it."""
    spans_by_parent.create(connection, checkfirst=True)
