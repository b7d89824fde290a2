"""People with roles and sessions, agents, what is known of a key beside what it opens, and the audit log."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store.migrations.changes import create
from rundial.server.store.people import agents, audit, key_facts, memberships, sessions, users


def upgrade(connection: Connection) -> None:
    """Add their tables; nobody is in them."""
    create(connection, users, memberships, sessions, agents, key_facts, audit)
