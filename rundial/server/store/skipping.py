"""INSERTs of many rows that leave out what is there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Table

from rundial.server.store.dialect import dialect_of, insert_into

_ROWS_AT_ONCE: Final = 1_000


def insert_missing(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, skipping each that meets a row with the same key."""
    statement = insert_into(table, dialect_of(connection)).on_conflict_do_nothing()
    waiting = iter(rows)
    while some := list(islice(waiting, _ROWS_AT_ONCE)):
        connection.execute(statement, some)
