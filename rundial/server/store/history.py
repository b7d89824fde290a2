"""Reading runs, projects and workspaces back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from rundial.server.keys import Principal
from rundial.server.ledger import InstanceLedger
from rundial.server.problems import Problem
from rundial.server.store.tables import events, instances, projects, runs, workspaces
from rundial.signals import semconv

AnyRow = Row[Any]
_IS_THERE: Final = runs.c.deleted_unix_ns.is_(None)


def workspaces_of(
    connection: Connection, principal: Principal, *, after: str | None, limit: int
) -> Sequence[AnyRow]:
    """Workspaces that the key may see, by slug."""
    query = select(workspaces).order_by(workspaces.c.slug).limit(limit)
    if principal.reach is not None:
        query = query.where(workspaces.c.id.in_(principal.reach))
    if after is not None:
        query = query.where(workspaces.c.slug > after)
    return connection.execute(query).all()


def projects_of(
    connection: Connection, principal: Principal, workspace: int, *, after: str | None, limit: int
) -> Sequence[AnyRow]:
    """Projects of a workspace that the key may see, by slug, with the number of their runs."""
    count = select(func.count()).where(runs.c.project_id == projects.c.id, _IS_THERE).scalar_subquery()
    query = (
        select(projects, count.label("run_count"))
        .where(projects.c.workspace_id == workspace)
        .order_by(projects.c.slug)
        .limit(limit)
    )
    if principal.project_id is not None:
        query = query.where(projects.c.id == principal.project_id)
    if after is not None:
        query = query.where(projects.c.slug > after)
    return connection.execute(query).all()


def find_run(connection: Connection, project: int, run_id: str) -> AnyRow | None:
    """A run of a project by its id."""
    query = select(runs).where(runs.c.project_id == project, runs.c.run_id == run_id, _IS_THERE)
    return connection.execute(query).one_or_none()


def need_run(connection: Connection, project: int, run_id: str) -> AnyRow:
    """A run of a project by its id.

    Raises:
        Problem: 404, there is none.
    """
    run = find_run(connection, project, run_id)
    if run is None:
        raise Problem(
            404,
            f"there is no run {run_id[:128]!r} in this project",
            "a run appears with its first record; `rundial sync` delivers what waits on disk",
        )
    return run


def runs_with_id(connection: Connection, principal: Principal, run_id: str) -> Sequence[AnyRow]:
    """Runs of this id in every project that the key may touch: ids are only unique within a project."""
    query = (
        select(runs, projects.c.public_id)
        .join(projects, projects.c.id == runs.c.project_id)
        .where(runs.c.run_id == run_id, _IS_THERE)
    )
    if principal.reach is not None:
        query = query.where(projects.c.workspace_id.in_(principal.reach))
    if principal.project_id is not None:
        query = query.where(projects.c.id == principal.project_id)
    return connection.execute(query).all()


def run_instances(connection: Connection, run: int) -> Sequence[AnyRow]:
    """The instances of a run, in the order in which they were first heard, with when each says it began."""
    began = (
        select(func.min(events.c.time_unix_ns))
        .where(events.c.instance == instances.c.id, events.c.name == semconv.EVENT_RUN_START)
        .scalar_subquery()
        .label("began_unix_ns")
    )
    query = select(instances, began).where(instances.c.run == run).order_by(instances.c.id)
    return connection.execute(query).all()


def run_environment(connection: Connection, run: int) -> dict[str, object] | None:
    """What the latest attempt of a run said about its environment; None when none ever did."""
    query = (
        select(events.c.body)
        .join(instances, instances.c.id == events.c.instance)
        .where(instances.c.run == run, events.c.name == semconv.EVENT_RUN_ENVIRONMENT)
        .order_by(instances.c.attempt.desc(), events.c.time_unix_ns.desc(), events.c.id.desc())
        .limit(1)
    )
    found = connection.execute(query).scalar()
    body = None if found is None else json.loads(found)
    return body if isinstance(body, dict) else None


def instance_ledgers(rows: Sequence[AnyRow]) -> list[InstanceLedger]:
    """What each instance says beside what is stored of it; instances with neither are left out."""
    ledgers = []
    for row in rows:
        stored = {"points": row.points, "lines": row.lines, "spans": row.spans}
        said = json.loads(row.ledger)
        if said or any(stored.values()):
            ledgers.append(InstanceLedger(said, stored))
    return ledgers
