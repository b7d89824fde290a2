"""The tables, for every SQL store, as the newest schema has them; `migrations` brings older ones there.

Rows of the stream are append-only and keyed by small integers, so that a point costs about 40 bytes:
`series` stands for (run, name, attributes), `instances` for (run, `service.instance.id`). A key column is
never NULL: two NULLs are never the same, and a resend would be stored twice.

`accepted` numbers points in the order they were taken; it decides which of several points at one
step a series shows.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
)

metadata: Final = MetaData()

# SQLite makes a 64-bit row id of an INTEGER primary key only when it is spelled just so.
_ID: Final = BigInteger().with_variant(Integer, "sqlite")
# Any int64; SQLite's INTEGER is one.
_INT: Final = Integer().with_variant(BigInteger, "postgresql")
# What pages are ordered by: everywhere in the order of its bytes, whatever the database's language.
_ORDERED: Final = Text().with_variant(Text(collation="C"), "postgresql")
# On PostgreSQL a transaction takes one value and numbers its points from there. What is accepted after an
# answer has a greater number than what was accepted before it, whichever process took either.
ACCEPTED_BLOCK: Final = 2**22
accepted_blocks: Final = Sequence(
    "accepted_blocks", start=ACCEPTED_BLOCK, increment=ACCEPTED_BLOCK, data_type=BigInteger, metadata=metadata
)

facts: Final = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

schema_migrations: Final = Table(
    "schema_migrations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)

workspaces: Final = Table(
    "workspaces",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("slug", _ORDERED, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
)

projects: Final = Table(
    "projects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("workspace_id", _ID, ForeignKey("workspaces.id"), nullable=False),
    Column("slug", _ORDERED, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    # A run that has not been heard of for so long is removed; NULL is never.
    Column("retention_days", Integer),
    UniqueConstraint("workspace_id", "slug"),
)

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_sha256", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("home_workspace_id", _ID, ForeignKey("workspaces.id"), nullable=False),
    Column("workspace_id", _ID, ForeignKey("workspaces.id")),
    Column("project_id", _ID, ForeignKey("projects.id")),
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("expires_unix_ns", BigInteger),
    Column("revoked_unix_ns", BigInteger),
)

runs: Final = Table(
    "runs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("run_id", Text, nullable=False),
    Column("is_foreign", Boolean, nullable=False),
    Column("life", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    # Copies of what the life says, for the run table's filters and orders.
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_unix_ns", BigInteger, nullable=False),
    Column("updated_unix_ns", BigInteger, nullable=False),
    Column("alive_unix_ns", BigInteger, nullable=False),
    Column("notes", Text, nullable=False, server_default=""),
    Column("archived_unix_ns", BigInteger),
    # A deleted run's row stays, without what it said, so that late records of it do not make it anew.
    Column("deleted_unix_ns", BigInteger),
    UniqueConstraint("project_id", "run_id"),
    Index("runs_by_id", "run_id"),
    Index("runs_by_update", "project_id", "updated_unix_ns"),
    Index("runs_by_start", "project_id", "started_unix_ns"),
)

# Deleted runs of which something is still stored.
removals: Final = Table(
    "removals",
    metadata,
    Column("run", _ID, ForeignKey("runs.id"), primary_key=True, autoincrement=False),
)

instances: Final = Table(
    "instances",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("run", _ID, ForeignKey("runs.id"), nullable=False),
    Column("instance", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rank", _INT),
    Column("host", Text, nullable=False),
    Column("ledger", Text, nullable=False, default="{}"),
    Column("points", BigInteger, nullable=False, default=0),
    Column("lines", BigInteger, nullable=False, default=0),
    Column("spans", BigInteger, nullable=False, default=0),
    UniqueConstraint("run", "instance"),
)

series: Final = Table(
    "series",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("run", _ID, ForeignKey("runs.id"), nullable=False),
    Column("name", _ORDERED, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("attributes", Text, nullable=False),
    Column("unit", Text, nullable=False),
    # Summary of the rows, kept in the transaction that adds them; no query of keys scans points.
    Column("count", BigInteger, nullable=False, default=0),
    Column("min_value", Float),
    Column("max_value", Float),
    Column("last_attempt", Integer, nullable=False, default=0),
    Column("last_step", BigInteger, nullable=False, default=-1),
    Column("last_value", Float),
    Column("last_unix_ns", BigInteger, nullable=False, default=0),
    Column("mean_value", Float),
    # As great as any of its points' numbers, and less than those of all later points of the run.
    Column("accepted", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("run", "name", "digest"),
)

points: Final = Table(
    "points",
    metadata,
    Column("series", _ID, nullable=False, primary_key=True, autoincrement=False),
    Column("step", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("instance", _ID, nullable=False, primary_key=True, autoincrement=False),
    Column("time_unix_ns", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("value", Float, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

lines: Final = Table(
    "lines",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("run", _ID, nullable=False),
    Column("instance", _ID, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time_unix_ns", BigInteger, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("step", BigInteger),
    Column("trace_id", LargeBinary(16)),
    Column("span_id", LargeBinary(8)),
    Column("is_truncated", Boolean, nullable=False),
    UniqueConstraint("instance", "seq"),
    Index("lines_by_time", "run", "time_unix_ns", "id"),
)

events: Final = Table(
    "events",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("instance", _ID, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time_unix_ns", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("instance", "seq"),
)

spans: Final = Table(
    "spans",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("run", _ID, nullable=False),
    Column("trace_id", LargeBinary(16), nullable=False),
    Column("span_id", LargeBinary(8), nullable=False),
    Column("instance", _ID, nullable=False),
    Column("parent_span_id", LargeBinary(8)),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("start_unix_ns", BigInteger, nullable=False),
    Column("end_unix_ns", BigInteger),
    Column("status", Text, nullable=False),
    Column("status_message", Text, nullable=False),
    Column("state", Integer, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("links", Text, nullable=False),
    UniqueConstraint("run", "trace_id", "span_id"),
    Index("spans_by_start", "run", "start_unix_ns", "id"),
)
