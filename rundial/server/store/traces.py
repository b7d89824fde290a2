"""Whole traces of a project, whichever of its runs their spans are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from rundial.server.spanview import FIELDS
from rundial.server.store.tables import instances, runs, spans

# A run's row id, its public one, and the span's values as `spanview.FIELDS` names them.
Found = tuple[Any, ...]


def trace_of(
    connection: Connection, project: int, trace_id: bytes, *, run: int | None, limit: int
) -> tuple[Sequence[Found], int]:
    """The first `limit` spans of a trace by their start, and how many there are in all.

    Args:
        connection: In a reading transaction.
        project: Row id.
        trace_id: 16 bytes.
        run: Row id of the one run that is looked at; None is every run of the project.
        limit: Rows at most.
    """

    def within(query: Select[Any]) -> Select[Any]:
        query = query.join(runs, runs.c.id == spans.c.run)
        query = query.where(runs.c.deleted_unix_ns.is_(None), spans.c.trace_id == trace_id)
        if run is not None:
            return query.where(spans.c.run == run)
        # From the project's runs to their spans, each by an index.
        return query.where(spans.c.run.in_(select(runs.c.id).where(runs.c.project_id == project)))

    columns = [instances.c.instance if name == "instance_id" else spans.c[name] for name in FIELDS]
    query = within(select(runs.c.id, runs.c.run_id, *columns).select_from(spans))
    query = query.join(instances, instances.c.id == spans.c.instance)
    found = connection.execute(query.order_by(spans.c.start_unix_ns, spans.c.id).limit(limit))
    rows: list[Found] = [tuple(row) for row in found]
    if len(rows) < limit:
        return rows, len(rows)
    return rows, int(connection.execute(within(select(func.count()).select_from(spans))).scalar_one())
