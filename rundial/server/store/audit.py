"""The record of deeds: who changed what in a workspace, written in the transaction of the change itself.

Threads: `record` on the writer's; `deeds_of` on any.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from rundial.server.keys import Actor
from rundial.server.store.people import audit


@dataclass(frozen=True, slots=True)
class Deed:
    """One change, in the words of the audit log; no field may hold a secret.

    Attributes:
        action: What was done, `thing.verb`; API.
        target_kind: What it was done to: `workspace`, `project`, `run`, `member`, `api_key`, `agent`,
            `session`, `artifact`.
        target_id: Which one, by its public id or name.
        agent_id: The agent that it is about, when it is about one.
        details: More, in plain values.
    """

    action: str
    target_kind: str
    target_id: str
    agent_id: str | None = None
    details: Mapping[str, object] | None = None


def record(connection: Connection, workspace_id: int, actor: Actor, deed: Deed, *, now_unix_ns: int) -> None:
    """Write down what this very transaction changes."""
    connection.execute(
        insert(audit).values(
            workspace_id=workspace_id,
            created_unix_ns=now_unix_ns,
            actor_kind=actor.kind,
            actor_id=actor.id,
            agent_id=deed.agent_id or (actor.id if actor.kind == "agent" else None),
            action=deed.action,
            target_kind=deed.target_kind,
            target_id=deed.target_id,
            details=json.dumps(deed.details or {}, ensure_ascii=False),
        )
    )


@dataclass(frozen=True, slots=True)
class DeedFilter:
    """Which deeds are wanted.

    Attributes:
        agent_id: By or about this agent; None for all.
        actor_kind: By this kind of actor; None for all.
    """

    agent_id: str | None = None
    actor_kind: str | None = None


def deeds_of(
    connection: Connection, workspace_id: int, wanted: DeedFilter, *, before: int | None, limit: int
) -> Sequence[Row[Any]]:
    """A workspace's deeds, the newest first, those before a row id."""
    query = select(audit).where(audit.c.workspace_id == workspace_id)
    if wanted.agent_id is not None:
        query = query.where(audit.c.agent_id == wanted.agent_id)
    if wanted.actor_kind is not None:
        query = query.where(audit.c.actor_kind == wanted.actor_kind)
    if before is not None:
        query = query.where(audit.c.id < before)
    return connection.execute(query.order_by(audit.c.id.desc()).limit(limit)).all()
