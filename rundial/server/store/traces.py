"""What the catalog knows of a trace's spans: the runs of a project, and names of instances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, select

from rundial.server.store.tables import instances, runs

_AT_ONCE: Final = 5_000


def runs_of(connection: Connection, project: int) -> dict[int, str]:
    """Public ids of a project's runs by their row ids."""
    query = select(runs.c.id, runs.c.run_id).where(
        runs.c.project_id == project, runs.c.deleted_unix_ns.is_(None)
    )
    return {row.id: row.run_id for row in connection.execute(query)}


def instance_names(connection: Connection, wanted: Iterable[int]) -> dict[int, str]:
    """Names of instances by their row ids."""
    ids = sorted(set(wanted))
    found: dict[int, str] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = select(instances.c.id, instances.c.instance).where(
            instances.c.id.in_(ids[start : start + _AT_ONCE])
        )
        found.update({row.id: row.instance for row in connection.execute(query)})
    return found
