"""Rollups of long series."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store.migrations.changes import create
from rundial.server.store.rollups import rollup_heads, rollups


def upgrade(connection: Connection) -> None:
    """Add the tables; they fill by themselves."""
    create(connection, rollup_heads, rollups)
