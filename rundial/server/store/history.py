"""Reading runs, projects and workspaces back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, or_, select, true, tuple_
from sqlalchemy.sql.elements import ColumnElement

from rundial.server.keys import Principal
from rundial.server.ledger import InstanceLedger
from rundial.server.problems import Problem
from rundial.server.runlife import TERMINAL
from rundial.server.store.tables import events, instances, projects, runs, workspaces
from rundial.signals import semconv

AnyRow = Row[Any]
_IS_THERE: Final = runs.c.deleted_unix_ns.is_(None)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are wanted, and in which order.

    Attributes:
        order_by: `updated_unix_ns` or `started_unix_ns`.
        is_descending: Latest first.
        statuses: Statuses as someone sees them now; empty for all.
        search: Part of the name or the id; empty for all.
        now_unix_ns: The time of the look, which decides what has crashed.
        silence_ns: How long a run that sent heartbeats may be silent.
        is_archived: The archived ones instead of the others.
    """

    order_by: str
    is_descending: bool
    statuses: tuple[str, ...]
    search: str
    now_unix_ns: int
    silence_ns: int
    is_archived: bool = False


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


def page_of_runs(
    connection: Connection,
    project: int,
    wanted: RunFilter,
    *,
    after: tuple[int, int] | None,
    limit: int,
) -> Sequence[AnyRow]:
    """Runs of a project in the filter's order.

    Args:
        connection: In a reading transaction.
        project: The project's row id.
        wanted: Which ones, and in which order.
        after: (value of the order's column, row id) at which the last page ended.
        limit: Most rows.
    """
    key = (runs.c[wanted.order_by], runs.c.id)
    is_archived = runs.c.archived_unix_ns.is_not(None)
    query = select(runs).where(runs.c.project_id == project, _IS_THERE, _has_status(wanted))
    query = query.where(is_archived if wanted.is_archived else ~is_archived)
    if wanted.search:
        is_named = runs.c.name.contains(wanted.search, autoescape=True)
        query = query.where(or_(is_named, runs.c.run_id.contains(wanted.search, autoescape=True)))
    if after is not None:
        query = query.where(
            tuple_(*key) < tuple_(*after) if wanted.is_descending else tuple_(*key) > tuple_(*after)
        )
    order = [column.desc() for column in key] if wanted.is_descending else list(key)
    return connection.execute(query.order_by(*order).limit(limit)).all()


def _has_status(wanted: RunFilter) -> ColumnElement[bool]:
    """`runlife.status_at` as a condition."""
    if not wanted.statuses:
        return true()
    is_open = runs.c.status == "running"
    alive = runs.c.alive_unix_ns
    is_silent = and_(is_open, alive > 0, alive < wanted.now_unix_ns - wanted.silence_ns)
    conditions: list[ColumnElement[bool]] = []
    for status in wanted.statuses:
        if status == "running":
            conditions.append(and_(is_open, ~is_silent))
        elif status == "crashed":
            conditions.append(and_(is_silent, ~runs.c.is_foreign))
        elif status == "completed":
            conditions.append(or_(runs.c.status == status, and_(is_silent, runs.c.is_foreign)))
        elif status in TERMINAL:
            conditions.append(runs.c.status == status)
    return or_(*conditions) if conditions else ~true()


def run_instances(connection: Connection, run: int) -> Sequence[AnyRow]:
    """The instances of a run, in the order in which they were first heard."""
    query = select(instances).where(instances.c.run == run).order_by(instances.c.id)
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
