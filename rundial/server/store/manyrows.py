"""Rows into PostgreSQL: one statement for all of them, their columns as arrays.

Row by row its driver and the server spend ten times as long on each: a message, a plan and an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Table, Text

from rundial.server.store.statements import Bare, Row


class ManyRows:
    """An INSERT that leaves out what is there already.

    Args:
        table: Where to.
        columns: As rows give them.
        key: Columns of which two rows are never the same; those that are there stay as they are.
        identity: Columns of bytes that tell which rows were new; empty where only their number counts.
    """

    def __init__(
        self, table: Table, columns: Sequence[str], key: Sequence[str], identity: Sequence[str] = ()
    ) -> None:
        kinds = [table.c[name] for name in columns]
        told = " || ".join(identity) or "NULL::bytea"
        names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
        self._makes: Final = [_maker(column) for column in kinds]
        self._sql: Final = f"""
WITH fresh AS (
  INSERT INTO {table.name} ({names})
  SELECT {", ".join(map(_taken, kinds))} FROM unnest({places}) AS given ({names})
  ON CONFLICT ({", ".join(key)}) DO NOTHING RETURNING {told} AS told
)
SELECT count(*), CASE WHEN count(*) < %s THEN array_agg(told) END FROM fresh
"""

    def insert(self, bare: Bare, rows: Sequence[Row]) -> tuple[int, frozenset[bytes] | None]:
        """Insert rows; returns how many were new, and the identities of those, None where all were."""
        if not rows:
            return 0, None
        given = [make(column) for make, column in zip(self._makes, zip(*rows, strict=True), strict=True)]
        new, told = bare.run(self._sql, (*given, len(rows))).fetchone()
        return new, None if new == len(rows) else frozenset(map(bytes, filter(None, told or ())))


def _taken(column: Column[Any]) -> str:
    return f"{column.name} <> 0" if isinstance(column.type, Boolean) else column.name


def _maker(column: Column[Any]) -> Any:
    """What makes an array of a column's values."""
    from rundial.server.store.postgresql import Blobs, MaybeWholes, Texts, Wholes

    if isinstance(column.type, Text):
        return Texts
    if isinstance(column.type, LargeBinary):
        return Blobs
    assert isinstance(column.type, (BigInteger, Integer, Boolean))
    return MaybeWholes if column.nullable else Wholes
