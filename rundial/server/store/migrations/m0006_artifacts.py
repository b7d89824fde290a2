"""Artifacts, their uploads and blobs, lineage, media."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store import artifact_tables as tables
from rundial.server.store.migrations.changes import create


def upgrade(connection: Connection) -> None:
    """Make the tables."""
    create(
        connection,
        tables.artifacts,
        tables.versions,
        tables.aliases,
        tables.blobs,
        tables.files,
        tables.references,
        tables.uploads,
        tables.arrivals,
        tables.links,
        tables.doomed,
        tables.media,
    )
