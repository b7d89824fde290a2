"""Metric points that are more than a number."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store.datapoints import data_points
from rundial.server.store.migrations.changes import create


def upgrade(connection: Connection) -> None:
    """Add the table."""
    create(connection, data_points)
