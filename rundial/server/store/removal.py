"""Taking runs away: at once out of sight, then their rows bit by bit, so that ingest never waits for long.

A deleted run's own row stays, emptied: records of it that come late are refused by name, and do not make the
run anew. Everything else that hangs on it goes, but for the artifacts that it made: they are its project's.

Threads: the writer's alone.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Table, cast, delete, insert, literal, select, tuple_, update

from rundial.server.runlife import RunLife, dump
from rundial.server.store.artifact_tables import media
from rundial.server.store.datapoints import data_points
from rundial.server.store.eval_tables import eval_results, eval_runs
from rundial.server.store.events import EventStore
from rundial.server.store.rollups import rollup_heads, rollups
from rundial.server.store.runfacets import run_facets
from rundial.server.store.tables import (
    events,
    instances,
    lines,
    points,
    projects,
    removals,
    runs,
    series,
    spans,
)

# Some 10 ms of the writer's time.
ROWS_AT_ONCE: Final = 5_000
DAY_NS: Final = 86_400 * 10**9

# What a statement costs beside its rows, in rows.
_STATEMENT: Final = 50

# Tables whose rows go with their series, their instance, or their run.
OF_SERIES: Final = (points, rollups, rollup_heads)
OF_INSTANCE: Final = (events,)
# Results stand before the evaluation runs that they point to.
OF_RUN: Final = (lines, spans, data_points, media, run_facets, eval_results, eval_runs)


def delete_run(connection: Connection, run: int, now_ns: int) -> None:
    """Take a run out of sight; `remove_some` takes its rows. Repeating it changes nothing.

    The caller makes the intake forget its ids.
    """
    where = runs.c.id == run
    query = select(runs.c.deleted_unix_ns).where(where).with_for_update()
    if connection.execute(query).scalar_one() is not None:
        return
    emptied = {
        "life": dump(RunLife()),
        "name": "",
        "notes": "",
        "status": "deleted",
        "deleted_unix_ns": now_ns,
    }
    connection.execute(update(runs).where(where).values(emptied))
    connection.execute(insert(removals).values(run=run))


def delete_expired(connection: Connection, now_ns: int, *, limit: int = 100) -> int:
    """Delete runs that were not heard of for longer than their project keeps runs; returns how many."""
    # In 64 bits, also where the days of a column have 32.
    kept_ns = cast(projects.c.retention_days, BigInteger) * literal(DAY_NS, BigInteger)
    since = runs.c.updated_unix_ns < literal(now_ns, BigInteger) - kept_ns
    found = (
        select(runs.c.id)
        .join(projects, projects.c.id == runs.c.project_id)
        .where(projects.c.retention_days.is_not(None), runs.c.deleted_unix_ns.is_(None), since)
        .limit(limit)
    )
    expired = list(connection.execute(found).scalars())
    for run in sorted(expired):
        delete_run(connection, run, now_ns)
    return len(expired)


def remove_some(connection: Connection, stored: EventStore, *, budget: int = ROWS_AT_ONCE) -> bool:
    """Remove some rows of one deleted run; returns whether there was anything to remove.

    Args:
        connection: The writer's.
        stored: Where the rows of runs are.
        budget: About how many rows; a statement counts as some rows of its own.
    """
    run = connection.execute(select(removals.c.run).order_by(removals.c.run).limit(1)).scalar()
    if run is None:
        return False
    stored.clear(connection, run)
    for parent, children in ((series, OF_SERIES), (instances, OF_INSTANCE)):
        while budget > 0 and (owner := _first_of(connection, parent, run)) is not None:
            budget = _remove_owner(connection, parent, owner, children, budget)
    for table in OF_RUN:
        if budget > 0:
            budget -= _delete(connection, table, table.c.run == run, budget)
    # All of it is gone when the last of them left something of the budget.
    if budget > 0:
        connection.execute(delete(removals).where(removals.c.run == run))
    return True


def _first_of(connection: Connection, parent: Table, run: int) -> int | None:
    found: int | None = connection.execute(select(parent.c.id).where(parent.c.run == run).limit(1)).scalar()
    return found


def _remove_owner(
    connection: Connection, parent: Table, owner: int, children: tuple[Table, ...], budget: int
) -> int:
    """Remove what hangs on a series or an instance, and then itself; returns what is left of the budget."""
    column = "series" if parent is series else "instance"
    for child in children:
        removed = _delete(connection, child, child.c[column] == owner, budget)
        if removed >= budget:
            return 0  # there may be more of it
        # A statement never uses up the budget by itself, or nothing would ever get to the end.
        budget = max(1, budget - removed - _STATEMENT)
    connection.execute(delete(parent).where(parent.c.id == owner))
    return budget - _STATEMENT


def _delete(connection: Connection, table: Table, where: Any, limit: int) -> int:
    """Delete up to so many rows; returns how many."""
    key = list(table.primary_key)
    some = select(*key).where(where).limit(limit)
    return int(connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount)
