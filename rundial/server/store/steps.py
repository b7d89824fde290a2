"""The highest steps of a run, from which a further attempt goes on counting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, not_, select
from sqlalchemy.sql.elements import ColumnElement

from rundial.server.store.tables import instances, points, series

# These count samples, not the user's steps.
_SYSTEM: Final = "system/"


@dataclass(frozen=True, slots=True)
class Steps:
    """The highest steps before an attempt, None where there was none.

    Attributes:
        user: Of what the program logged.
        system: Of the system metrics.
    """

    user: int | None = None
    system: int | None = None


def steps_before(connection: Connection, run: int, attempt: int) -> Steps:
    """Return the highest steps of a run's earlier attempts; one look at the end of each series."""
    if attempt <= 1:
        return Steps()
    is_system = series.c.name.startswith(_SYSTEM)
    return Steps(
        user=_highest(connection, run, attempt, not_(is_system)),
        system=_highest(connection, run, attempt, is_system),
    )


def _highest(connection: Connection, run: int, attempt: int, is_wanted: ColumnElement[bool]) -> int | None:
    # The ranks of an attempt do not push each other on: only what came before counts.
    earlier = select(instances.c.id).where(instances.c.run == run, instances.c.attempt < attempt)
    last = (
        select(points.c.step)
        .where(points.c.series == series.c.id, points.c.instance.in_(earlier))
        .order_by(points.c.step.desc())
        .limit(1)
        .scalar_subquery()
    )
    found = connection.execute(select(func.max(last)).where(series.c.run == run, is_wanted)).scalar()
    return None if found is None or found < 0 else int(found)
