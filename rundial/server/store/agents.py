"""Agents as rows: names that keys belong to, and that end with all of them.

Every function takes a connection inside a transaction; those that change need the writer's.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from rundial.server.store.apikeys import live_keys, revoke_keys
from rundial.server.store.people import agents

AnyRow = Row[Any]
ACTIVE: Final = "active"
REVOKED: Final = "revoked"


def create_agent(connection: Connection, workspace_id: int, name: str, now_unix_ns: int) -> AnyRow:
    """Add an agent."""
    public_id = f"agt_{secrets.token_hex(8)}"
    connection.execute(
        insert(agents).values(
            public_id=public_id, workspace_id=workspace_id, name=name, created_unix_ns=now_unix_ns
        )
    )
    found = find_agent(connection, workspace_id, public_id)
    assert found is not None
    return found


def find_agent(connection: Connection, workspace_id: int, public_id: str) -> AnyRow | None:
    """An agent of a workspace by its public id, a revoked one too."""
    query = select(agents).where(agents.c.workspace_id == workspace_id, agents.c.public_id == public_id)
    return connection.execute(query).one_or_none()


def agents_of(
    connection: Connection, workspace_id: int, *, status: str | None, after: int | None, limit: int
) -> Sequence[AnyRow]:
    """A page of a workspace's agents, the oldest first.

    Args:
        connection: Any.
        workspace_id: Row id of the workspace.
        status: `active` or `revoked`; None for all.
        after: Row id at which the last page ended.
        limit: Most rows.
    """
    query = select(agents).where(agents.c.workspace_id == workspace_id)
    if status is not None:
        is_live = agents.c.revoked_unix_ns.is_(None)
        query = query.where(is_live if status == ACTIVE else ~is_live)
    if after is not None:
        query = query.where(agents.c.id > after)
    return connection.execute(query.order_by(agents.c.id).limit(limit)).all()


def revoke_agent(connection: Connection, agent: AnyRow, now_unix_ns: int) -> list[str]:
    """End an agent and every key of it; returns the ids of the keys that were ended now."""
    connection.execute(
        update(agents)
        .where(agents.c.id == agent.id, agents.c.revoked_unix_ns.is_(None))
        .values(revoked_unix_ns=now_unix_ns)
    )
    return revoke_keys(connection, live_keys(connection, agent_id=agent.id), now_unix_ns)
