"""When it was said what an evaluation is, so that the later word stands, in whatever order they arrive."""

from __future__ import annotations

from sqlalchemy import Connection, update

from rundial.server.store.eval_tables import eval_runs, eval_suites
from rundial.server.store.migrations.changes import add_column


def upgrade(connection: Connection) -> None:
    """Add the columns; what is there counts as said when it began."""
    add_column(connection, eval_suites.c.said_unix_ns, eval_runs.c.said_unix_ns, eval_runs.c.suite_unix_ns)
    connection.execute(update(eval_suites).values(said_unix_ns=eval_suites.c.created_unix_ns))
    columns = eval_runs.c
    is_said = (columns.dataset != "{}") | (columns.scorers != "[]") | (columns.config != "{}")
    is_said |= columns.suite.is_not(None)
    connection.execute(update(eval_runs).where(is_said).values(said_unix_ns=columns.started_unix_ns))
    connection.execute(
        update(eval_runs).where(columns.suite.is_not(None)).values(suite_unix_ns=columns.started_unix_ns)
    )
