"""Sessions as rows, of people and of keys alike; what each may do is told where its owner is.

Every function takes a connection of the writer's, inside a transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Table, delete, insert


def add_session(
    connection: Connection,
    owner: tuple[Column[Any], Any],
    session: tuple[str, str],
    *,
    now_unix_ns: int,
    expires_unix_ns: int,
) -> None:
    """Keep a session's id and the hash of its secret, and forget those that are over.

    Args:
        connection: As above.
        owner: The column that says whose sessions its table holds, and its value.
        session: Id and hash.
        now_unix_ns: The time.
        expires_unix_ns: When it is over.
    """
    column, value = owner
    session_id, secret_sha256 = session
    table = column.table
    connection.execute(delete(table).where(table.c.expires_unix_ns <= now_unix_ns))
    connection.execute(
        insert(table).values(
            {
                "id": session_id,
                "secret_sha256": secret_sha256,
                column.name: value,
                "created_unix_ns": now_unix_ns,
                "expires_unix_ns": expires_unix_ns,
            }
        )
    )


def end_session(connection: Connection, table: Table, session_id: str) -> None:
    """Forget a session."""
    connection.execute(delete(table).where(table.c.id == session_id))
