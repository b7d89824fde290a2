"""Bringing a database to the newest schema, one numbered step after the other.

An empty database gets all tables of `tables` at once. One that is older gets each step that it lacks, in
order, in one transaction: it is at the newest schema afterwards, or as it was.

To add a step: describe the tables in `tables` as they are to be, write `m0007_what_is_new.py` with a function
`upgrade(connection)` that makes an older database equal to that, and put it into `STEPS`. New tables need no
more than `create(connection, tables.one, tables.another)`, new columns `add_column(connection,
runs.c.notes)`. A step never changes once it is released; tests/server/test_migrations.py compares what all
steps make of the first schema with what an empty database gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, inspect, select

from rundial.errors import ConfigError
from rundial.server.store.dialect import exclude_others, set_fact
from rundial.server.store.migrations import (
    m0002_people,
    m0003_run_editing,
    m0006_artifacts,
    m0020_rollups,
    m0021_facets,
    m0022_spantree,
    m0023_means,
    m0024_data_points,
    m0025_span_lines,
    m0026_evals,
    m0027_eval_order,
    m0028_accepted,
    m0029_key_sessions,
)
from rundial.server.store.migrations.changes import create
from rundial.server.store.tables import facts, metadata, schema_migrations

Upgrade = Callable[[Connection], None]
FIRST: Final = 1


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the schema.

    Attributes:
        number: From 2; the first schema is 1.
        name: What is new, in a few words.
        upgrade: Makes the change in an older database.
    """

    number: int
    name: str
    upgrade: Upgrade


# In the order of their numbers. Numbers may be left out, but never used twice.
STEPS: Final[tuple[Step, ...]] = (
    Step(2, "people", m0002_people.upgrade),
    Step(3, "run editing", m0003_run_editing.upgrade),
    Step(6, "artifacts", m0006_artifacts.upgrade),
    Step(20, "rollups", m0020_rollups.upgrade),
    Step(21, "run facets", m0021_facets.upgrade),
    Step(22, "span trees", m0022_spantree.upgrade),
    Step(23, "means of series", m0023_means.upgrade),
    Step(24, "data points", m0024_data_points.upgrade),
    Step(25, "lines of traces", m0025_span_lines.upgrade),
    Step(26, "evaluations", m0026_evals.upgrade),
    Step(27, "order of evaluations", m0027_eval_order.upgrade),
    Step(28, "numbers of series", m0028_accepted.upgrade),
    Step(29, "sessions of keys", m0029_key_sessions.upgrade),
)


def bring_up(connection: Connection, *, where: str, steps: Sequence[Step] = STEPS) -> list[int]:
    """Bring a database to the newest schema and return the numbers of the steps that were taken.

    Args:
        connection: In a transaction that may write.
        where: The database, for a message.
        steps: Those that this server knows.

    Raises:
        ConfigError: A newer server made or changed the database; nothing is changed then.
    """
    exclude_others(connection)
    known = _taken(connection)
    newest = max((step.number for step in steps), default=FIRST)
    if not known:
        metadata.create_all(connection)
        _record(connection, [(FIRST, "the first tables"), *((step.number, step.name) for step in steps)])
        set_fact(connection, facts, "schema", str(newest))
        return []
    unknown = sorted(known - {FIRST, *(step.number for step in steps)})
    if unknown:
        raise ConfigError(
            f"{where} has schema {unknown[-1]}, this server knows up to {newest}; "
            "nothing was changed; start the server version that made it, or a newer one"
        )
    if not inspect(connection).has_table(schema_migrations.name):
        create(connection, schema_migrations)
        _record(connection, [(FIRST, "the first tables")])
    missing = [step for step in steps if step.number not in known]
    for step in missing:
        step.upgrade(connection)
    _record(connection, [(step.number, step.name) for step in missing])
    if missing:
        # A server from before there were steps reads this one, and refuses.
        set_fact(connection, facts, "schema", str(newest))
    return [step.number for step in missing]


def _taken(connection: Connection) -> set[int]:
    """Numbers of the steps that the database has seen; empty for an empty database."""
    present = set(inspect(connection).get_table_names())
    if schema_migrations.name in present:
        found = set(connection.execute(select(schema_migrations.c.number)).scalars())
        if found:
            return found
    if facts.name not in present:
        return set()
    # Made before the steps were recorded: schema 1, or that of a server which numbers otherwise.
    version = connection.execute(select(facts.c.value).where(facts.c.name == "schema")).scalar()
    return set() if version is None else {int(version)}


def _record(connection: Connection, steps: Sequence[tuple[int, str]]) -> None:
    for number, name in steps:
        connection.execute(insert(schema_migrations).values(number=number, name=name))
