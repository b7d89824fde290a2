"""The registry of series, read by name.

Every function takes a connection inside a reading transaction and pages by key, never by offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_

from rundial.server.store.tables import runs, series

AnyRow = Row[Any]


def series_keys(
    connection: Connection, project: int, run: int | None, *, after: tuple[str, int] | None, limit: int
) -> Sequence[AnyRow]:
    """Series of a run, or of a whole project, in the order of their names; never scans points."""
    query = select(series).order_by(series.c.name, series.c.id).limit(limit)
    if run is not None:
        query = query.where(series.c.run == run)
    else:
        query = query.join(runs, runs.c.id == series.c.run).where(
            runs.c.project_id == project, runs.c.deleted_unix_ns.is_(None)
        )
    if after is not None:
        query = query.where(tuple_(series.c.name, series.c.id) > tuple_(*after))
    return connection.execute(query).all()


def series_named(
    connection: Connection, run: int, names: Sequence[str], *, limit: int = -1
) -> Sequence[AnyRow]:
    """All series of a run under some names, one a set of attributes; at most `limit` when it is ≥ 0."""
    query = select(series).where(series.c.run == run, series.c.name.in_(names))
    query = query.order_by(series.c.name, series.c.id)
    return connection.execute(query if limit < 0 else query.limit(limit)).all()
