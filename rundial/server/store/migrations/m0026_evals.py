"""Suites, evaluation runs and their results."""

from __future__ import annotations

from sqlalchemy import Connection

from rundial.server.store.eval_tables import eval_results, eval_runs, eval_suites
from rundial.server.store.migrations.changes import create


def upgrade(connection: Connection) -> None:
    """Add the tables."""
    create(connection, eval_suites, eval_runs, eval_results)
