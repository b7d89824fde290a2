"""Up to which row ClickHouse holds what was acknowledged, as the catalog says it.

Rows are inserted before the catalog's commit, which writes down the greatest number of each table. So what
was acknowledged is always there; and what was inserted and never committed is invisible to readers, who read
the mark in the same state of the catalog as everything else, and is deleted before the mark moves on.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from rundial.server.store.dialect import set_fact
from rundial.server.store.statements import Prepared
from rundial.server.store.tables import facts

FACT: Final = "events_mark"

_MARK: Final = Prepared(select(facts.c.value).where(facts.c.name == bindparam("b_name")))


class Mark(NamedTuple):
    """The greatest number of each table; 0 for none."""

    points: int = 0
    lines: int = 0
    spans: int = 0


def mark_of(connection: Connection) -> Mark:
    """The mark as this transaction sees it."""
    found = _MARK.run(connection, b_name=FACT).scalar()
    return Mark() if found is None else Mark._make(map(int, found.split()))


def locked_mark(connection: Connection) -> Mark:
    """The mark, once nobody else's transaction may still move it."""
    query = select(facts.c.value).where(facts.c.name == FACT).with_for_update()
    found = connection.execute(query).scalar()
    return Mark() if found is None else Mark._make(map(int, found.split()))


def set_mark(connection: Connection, mark: Mark) -> None:
    """Move the mark; what lies up to it is acknowledged by this transaction's commit."""
    set_fact(connection, facts, FACT, " ".join(map(str, mark)))
