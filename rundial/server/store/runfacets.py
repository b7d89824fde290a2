"""What runs say of themselves, value by value: what the run table filters, sorts and shows.

A copy of config, hand-set summary, tags, group and job type out of the run's life, kept in the transaction
that changes the life. Only what changed is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isnan
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from rundial.server.anyvalue import canonical
from rundial.server.runlife import RunLife
from rundial.server.store.tables import metadata, runs

# Kinds of values, in the order in which a column of mixed ones is sorted.
NUMBER: Final = 0
TEXT: Final = 1
TRUTH: Final = 2
OTHER: Final = 3
ABSENT: Final = 4

DEFINITIONS: Final = "metrics"
TAG: Final = "tag."
MAX_FACETS: Final = 4_096
# Of a value; what lies beyond is neither searched nor compared.
MAX_CHARACTERS: Final = 1_024

run_facets: Final = Table(
    "run_facets",
    metadata,
    Column("run", runs.c.id.type, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("field", Text, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("number", Float),
    # Of a text itself, of everything else its JSON: a float does not hold every integer.
    Column("text", Text, nullable=False),
    sqlite_with_rowid=False,
)

_Value = tuple[int, float | None, str]


def keep_facets(connection: Connection, run: int, life: RunLife) -> None:
    """Write what a run's life says now. On the writer's thread."""
    table = run_facets.c
    known = {
        row.field: (row.kind, row.number, row.text)
        for row in connection.execute(select(run_facets).where(table.run == run))
    }
    wanted = facets_of(life)
    gone = [field for field, value in known.items() if wanted.get(field) != value]
    fresh = [
        {"run": run, "field": field, "kind": value[0], "number": value[1], "text": value[2]}
        for field, value in wanted.items()
        if known.get(field) != value
    ]
    for start in range(0, len(gone), 500):
        connection.execute(
            delete(run_facets).where(table.run == run, table.field.in_(gone[start : start + 500]))
        )
    if fresh:
        connection.execute(insert(run_facets), fresh)


def facets_of(life: RunLife) -> dict[str, _Value]:
    """A life's values by field; of very many the first by name."""
    found: dict[str, _Value] = {}
    for name, label in (("group", "group"), ("job_type", "jobType")):
        value = life.value(name)
        if isinstance(value, str):
            found[label] = value_of(value)
    tags = life.value("tags")
    for tag in tags if isinstance(tags, list) else []:
        found[TAG + str(tag)] = value_of(str(tag))
    definitions = life.metric_definitions()
    if definitions:
        # Not sorted: of two patterns the first one counts.
        found[DEFINITIONS] = (OTHER, None, json.dumps(definitions))
    for space, values in (("summary", life.summary_values()), ("config", life.config_values())):
        for name, value in _leaves(values, space):
            if len(found) >= MAX_FACETS:
                return found
            found[name] = value_of(value)
    return found


def project_fields(connection: Connection, project: int, *, limit: int) -> list[tuple[str, int]]:
    """The fields that a project's runs have, by name, and how many runs have each."""
    query = (
        select(run_facets.c.field, func.count())
        .join(runs, runs.c.id == run_facets.c.run)
        .where(
            runs.c.project_id == project,
            runs.c.deleted_unix_ns.is_(None),
            run_facets.c.field != DEFINITIONS,
        )
        .group_by(run_facets.c.field)
        .order_by(run_facets.c.field)
        .limit(limit)
    )
    return [(field, count) for field, count in connection.execute(query)]


def value_of(value: object) -> _Value:
    """A value as kind, number and text."""
    if isinstance(value, str):
        return TEXT, None, value.replace("\0", "�")[:MAX_CHARACTERS]
    text = canonical(value)[:MAX_CHARACTERS]
    if isinstance(value, bool):
        return TRUTH, float(value), text
    if isinstance(value, (int, float)) and not isnan(value):
        return NUMBER, _number(value), text
    return OTHER, None, text


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def plain_value(kind: int, text: str) -> object:
    """A stored value as JSON has it."""
    if kind == TEXT:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # a list that was cut


def _leaves(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}.{name}")
        else:
            yield f"{path}.{name}", value
