"""API keys as rows: made, found, listed, ended, and when each was used last.

Every function takes a connection inside a transaction; those that change need the writer's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from rundial.server.keys import Actor, Principal, StoredKey, scopes_of
from rundial.server.store.people import agents, key_facts
from rundial.server.store.tables import api_keys

AnyRow = Row[Any]


@dataclass(frozen=True, slots=True)
class Maker:
    """Whom a key is of, beside the project that it opens.

    Attributes:
        user_id: Row id of the person who made it, None when a key made it.
        agent_id: Row id of the agent that it belongs to, None when it is nobody's.
    """

    user_id: int | None = None
    agent_id: int | None = None


def add_key(connection: Connection, key: StoredKey, *, now_unix_ns: int, maker: Maker | None = None) -> None:
    """Store a key's hash and what it allows."""
    principal = key.principal
    (workspace_id,) = principal.reach if principal.reach is not None else (None,)
    connection.execute(
        insert(api_keys).values(
            id=principal.key_id,
            secret_sha256=key.secret_sha256,
            label=principal.label,
            scopes=json.dumps(sorted(principal.scopes)),
            home_workspace_id=principal.home_workspace_id,
            workspace_id=workspace_id,
            project_id=principal.project_id,
            created_unix_ns=now_unix_ns,
            expires_unix_ns=key.expires_unix_ns,
            revoked_unix_ns=key.revoked_unix_ns,
        )
    )
    if maker is not None:
        connection.execute(
            insert(key_facts).values(
                key_id=principal.key_id, maker_user_id=maker.user_id, agent_id=maker.agent_id
            )
        )


def find_key(connection: Connection, key_id: str) -> StoredKey | None:
    """A key by its public half, revoked and expired ones too."""
    query = (
        select(api_keys, agents.c.public_id.label("agent"))
        .join(key_facts, key_facts.c.key_id == api_keys.c.id, isouter=True)
        .join(agents, agents.c.id == key_facts.c.agent_id, isouter=True)
        .where(api_keys.c.id == key_id)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _stored_key(row)


def _stored_key(row: AnyRow) -> StoredKey:
    principal = Principal(
        key_id=row.id,
        label=row.label,
        scopes=scopes_of(row.scopes),
        home_workspace_id=row.home_workspace_id,
        reach=None if row.workspace_id is None else frozenset({row.workspace_id}),
        project_id=row.project_id,
        actor=Actor("api_key", row.id) if row.agent is None else Actor("agent", row.agent),
    )
    return StoredKey(principal, row.secret_sha256, row.expires_unix_ns, row.revoked_unix_ns)


def keys_of_place(connection: Connection, workspace_id: int, project_id: int | None) -> Sequence[Any]:
    """The keys of one project, or with None those of a whole workspace, the oldest first."""
    return _listed(connection, _of_place(workspace_id, project_id), after=None, limit=None)


def find_listed(
    connection: Connection, workspace_id: int, project_id: int | None, key_id: str
) -> AnyRow | None:
    """One key of a project; with None any key of the workspace, those of its projects too."""
    condition = api_keys.c.workspace_id == workspace_id
    if project_id is not None:
        condition = _of_place(workspace_id, project_id)
    return next(
        iter(_listed(connection, and_(condition, api_keys.c.id == key_id), after=None, limit=1)), None
    )


def _of_place(workspace_id: int, project_id: int | None) -> ColumnElement[bool]:
    return and_(
        api_keys.c.workspace_id == workspace_id, api_keys.c.project_id.is_not_distinct_from(project_id)
    )


def keys_of_agent(
    connection: Connection, agent_id: int, *, after: tuple[int, str] | None, limit: int
) -> Sequence[Any]:
    """A page of an agent's keys, the oldest first, ended ones too."""
    return _listed(connection, key_facts.c.agent_id == agent_id, after=after, limit=limit)


def _listed(
    connection: Connection,
    condition: ColumnElement[bool],
    *,
    after: tuple[int, str] | None,
    limit: int | None,
) -> Sequence[Any]:
    columns = [column for column in api_keys.c if column.name != "secret_sha256"]
    query = (
        select(
            *columns,
            key_facts.c.used_unix_ns,
            key_facts.c.maker_user_id,
            agents.c.public_id.label("agent"),
        )
        .join(key_facts, key_facts.c.key_id == api_keys.c.id, isouter=True)
        .join(agents, agents.c.id == key_facts.c.agent_id, isouter=True)
        .where(condition)
        .order_by(api_keys.c.created_unix_ns, api_keys.c.id)
    )
    if after is not None:
        created, key_id = after
        is_later = api_keys.c.created_unix_ns > created
        query = query.where(is_later | and_(api_keys.c.created_unix_ns == created, api_keys.c.id > key_id))
    return connection.execute(query if limit is None else query.limit(limit)).all()


def revoke_keys(connection: Connection, key_ids: Collection[str], now_unix_ns: int) -> list[str]:
    """End keys that were not ended before; returns those."""
    live = select(api_keys.c.id).where(api_keys.c.id.in_(key_ids), api_keys.c.revoked_unix_ns.is_(None))
    ended = list(connection.execute(live.order_by(api_keys.c.id)).scalars())
    connection.execute(update(api_keys).where(api_keys.c.id.in_(ended)).values(revoked_unix_ns=now_unix_ns))
    return ended


def live_keys(
    connection: Connection, *, agent_id: int | None = None, maker: tuple[int, int] | None = None
) -> dict[str, frozenset[str]]:
    """Keys that are not ended, with their scopes: an agent's, or those that a person made in a workspace.

    Args:
        connection: Any.
        agent_id: Row id of the agent.
        maker: Row ids of the person and the workspace.
    """
    query = (
        select(api_keys.c.id, api_keys.c.scopes)
        .join(key_facts, key_facts.c.key_id == api_keys.c.id)
        .where(api_keys.c.revoked_unix_ns.is_(None))
    )
    if maker is not None:
        user_id, workspace_id = maker
        query = query.where(key_facts.c.maker_user_id == user_id, api_keys.c.workspace_id == workspace_id)
    else:
        query = query.where(key_facts.c.agent_id == agent_id)
    return {row.id: scopes_of(row.scopes) for row in connection.execute(query)}


def keep_uses(connection: Connection, used_unix_ns: Mapping[str, int]) -> None:
    """Note when keys were used last."""
    known = set(
        connection.execute(
            select(key_facts.c.key_id).where(key_facts.c.key_id.in_(list(used_unix_ns)))
        ).scalars()
    )
    for key_id, used in used_unix_ns.items():
        if key_id in known:
            connection.execute(
                update(key_facts).where(key_facts.c.key_id == key_id).values(used_unix_ns=used)
            )
        else:
            connection.execute(insert(key_facts).values(key_id=key_id, used_unix_ns=used))
