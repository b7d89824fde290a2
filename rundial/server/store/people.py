"""The tables of those who act: people, their roles and sessions, agents, and the record of deeds.

They stand in the same metadata as the others. Secrets are in none of them: of a password its argon2 hash,
of a session the sha256 of its random half.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from rundial.server.store.tables import metadata

# SQLite makes a 64-bit row id of an INTEGER primary key only when it is spelled just so.
_ID: Final = BigInteger().with_variant(Integer, "sqlite")

users: Final = Table(
    "users",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    # As it is compared: without outer spaces, in lower case.
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
)

memberships: Final = Table(
    "memberships",
    metadata,
    Column("workspace_id", _ID, ForeignKey("workspaces.id"), primary_key=True, autoincrement=False),
    Column("user_id", _ID, ForeignKey("users.id"), primary_key=True, autoincrement=False),
    Column("role", Text, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    Index("memberships_by_user", "user_id"),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_sha256", Text, nullable=False),
    Column("user_id", _ID, ForeignKey("users.id"), nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("expires_unix_ns", BigInteger, nullable=False),
    Index("sessions_by_user", "user_id"),
    Index("sessions_by_end", "expires_unix_ns"),
)

# Of those who signed in with a key: they may do what the key may, as long as it may.
key_sessions: Final = Table(
    "key_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_sha256", Text, nullable=False),
    Column("key_id", Text, ForeignKey("api_keys.id"), nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("expires_unix_ns", BigInteger, nullable=False),
    Index("key_sessions_by_key", "key_id"),
    Index("key_sessions_by_end", "expires_unix_ns"),
)

agents: Final = Table(
    "agents",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("workspace_id", _ID, ForeignKey("workspaces.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("revoked_unix_ns", BigInteger),
    Index("agents_by_workspace", "workspace_id", "id"),
)

# What is known of a key beside what it opens; the owner's key has no row until it is used.
key_facts: Final = Table(
    "key_facts",
    metadata,
    Column("key_id", Text, ForeignKey("api_keys.id"), primary_key=True),
    Column("maker_user_id", _ID, ForeignKey("users.id")),
    Column("agent_id", _ID, ForeignKey("agents.id")),
    Column("used_unix_ns", BigInteger),
    Index("key_facts_by_maker", "maker_user_id"),
    Index("key_facts_by_agent", "agent_id"),
)

# Names of people and things are copied, not referenced: the record outlives them.
audit: Final = Table(
    "audit",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("workspace_id", _ID, ForeignKey("workspaces.id"), nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("agent_id", Text),
    Column("action", Text, nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target_id", Text, nullable=False),
    Column("details", Text, nullable=False),
    Index("audit_by_workspace", "workspace_id", "id"),
)
