"""People, their roles and sessions, agents, what is known of a key, and the record of deeds."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store.migrations.changes import create
from rundial.server.store.people import agents, audit, key_facts, memberships, sessions, users


def upgrade(connection: Connection) -> None:
    """Add the tables."""
    create(connection, users, memberships, sessions, agents, key_facts, audit)
