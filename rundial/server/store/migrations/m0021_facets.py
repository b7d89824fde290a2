"""Values of runs that the run table filters and sorts by."""

from __future__ import annotations

from sqlalchemy import Connection, select

from rundial.server.runlife import load
from rundial.server.store.migrations.changes import create
from rundial.server.store.runfacets import keep_facets, run_facets
from rundial.server.store.tables import runs


def upgrade(connection: Connection) -> None:
    """Add the table and fill it from the runs' lives."""
    create(connection, run_facets)
    last = 0
    while found := connection.execute(
        select(runs.c.id, runs.c.life).where(runs.c.id > last).order_by(runs.c.id).limit(100)
    ).all():
        for run in found:
            keep_facets(connection, run.id, load(run.life))
        last = found[-1].id
