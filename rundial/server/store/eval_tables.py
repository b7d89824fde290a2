"""The tables of evaluations. A suite belongs to a project, an evaluation run to a run, with which it goes.

A result is what one scorer says of one example in one evaluation run: one row, however often it is
sent, and of several that say different things the one that was logged last.
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
    Table,
    Text,
    UniqueConstraint,
)

from rundial.server.store.tables import metadata

# What pages are ordered by: everywhere in the order of its bytes, whatever the database's language.
_ORDERED: Final = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite makes a 64-bit row id of an INTEGER primary key only when it is spelled just so.
_ID: Final = BigInteger().with_variant(Integer, "sqlite")

eval_suites: Final = Table(
    "eval_suites",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("suite_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("scorers", Text, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    # When it was said what the suite is; what was said later stands, whichever arrives first.
    Column("said_unix_ns", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("project_id", "suite_id"),
)

eval_runs: Final = Table(
    "eval_runs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("eval_run_id", Text, nullable=False),
    Column("run", _ID, ForeignKey("runs.id"), nullable=False),
    # NULL for one that results speak of and nobody has begun.
    Column("suite", _ID, ForeignKey("eval_suites.id")),
    Column("dataset", Text, nullable=False),
    Column("scorers", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("started_unix_ns", BigInteger, nullable=False),
    # When it was said what is evaluated, and of which suite; 0 for never.
    Column("said_unix_ns", BigInteger, nullable=False, server_default="0"),
    Column("suite_unix_ns", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("project_id", "eval_run_id"),
    Index("eval_runs_by_run", "run"),
    Index("eval_runs_by_start", "project_id", "started_unix_ns"),
)

eval_results: Final = Table(
    "eval_results",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("eval_run", _ID, ForeignKey("eval_runs.id"), nullable=False),
    Column("run", _ID, ForeignKey("runs.id"), nullable=False),
    Column("example_id", _ORDERED, nullable=False),
    Column("scorer", _ORDERED, nullable=False),
    # NULL for none: NaN is no number that databases agree on.
    Column("score", Float),
    Column("passed", Boolean),
    Column("trace_id", LargeBinary(16)),
    Column("span_id", LargeBinary(8)),
    Column("evidence", Text, nullable=False),
    Column("meta", Text, nullable=False),
    Column("time_unix_ns", BigInteger, nullable=False),
    UniqueConstraint("eval_run", "example_id", "scorer"),
    Index("eval_results_by_run", "run"),
)
