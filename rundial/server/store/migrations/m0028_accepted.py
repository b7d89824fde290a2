"""How far each series' points are numbered, so that what is new is found without a look at the others."""

from __future__ import annotations

from sqlalchemy import Connection, select, text, update

from rundial.server.store.clickhouse.mark import mark_of
from rundial.server.store.dialect import POSTGRESQL, dialect_of
from rundial.server.store.migrations.changes import add_column
from rundial.server.store.tables import ACCEPTED_BLOCK, accepted_blocks, facts, series


def upgrade(connection: Connection) -> None:
    """Add the column; no point that is there has a greater number than what all series get."""
    add_column(connection, series.c.accepted)
    connection.execute(update(series).values(accepted=max(_greatest(connection), mark_of(connection).points)))


def _greatest(connection: Connection) -> int:
    if dialect_of(connection) == POSTGRESQL:
        last, is_used = connection.execute(
            text(f"SELECT last_value, is_called FROM {accepted_blocks.name}")
        ).one()
        return int(last) + ACCEPTED_BLOCK - 1 if is_used else 0
    known = connection.execute(select(facts.c.value).where(facts.c.name == "accepted")).scalar()
    return 0 if known is None else int(known) - 1
