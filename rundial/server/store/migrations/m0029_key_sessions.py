"""Sessions of those who signed in with a key."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store.migrations.changes import create
from rundial.server.store.people import key_sessions


def upgrade(connection: Connection) -> None:
    """Add the table."""
    create(connection, key_sessions)
