"""Notes on a run, archive and deletion, and how long a project keeps its runs."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store.migrations.changes import add_column, create
from rundial.server.store.tables import projects, removals, runs


def upgrade(connection: Connection) -> None:
    """Add the columns, and the table of what is being removed."""
    add_column(connection, projects.c.retention_days)
    add_column(connection, runs.c.notes, runs.c.archived_unix_ns, runs.c.deleted_unix_ns)
    create(connection, removals)
