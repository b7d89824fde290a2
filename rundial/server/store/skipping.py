"""INSERTs that leave out what is there already, in the words of either database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_ROWS_AT_ONCE = 1_000


def insert_missing(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, skipping each that meets a row with the same key."""
    words: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = words.insert(table).on_conflict_do_nothing()
    waiting = iter(rows)
    while some := list(islice(waiting, _ROWS_AT_ONCE)):
        connection.execute(statement, some)
