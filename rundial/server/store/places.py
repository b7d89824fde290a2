"""Workspaces and projects: who may act where, and making what is named for the first time.

Every function takes a connection inside a transaction; those that may create need the writer's.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from rundial.server.keys import EVALS_WRITE, WRITE_SCOPES, Actor, Principal
from rundial.server.problems import Problem
from rundial.server.roles import PROJECTS_CREATE
from rundial.server.store.audit import Deed, record
from rundial.server.store.dialect import insert_new
from rundial.server.store.tables import facts, projects, workspaces

_ID_PREFIX = "prj_"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace as it is stored."""

    id: int
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project as it is stored, with its workspace."""

    id: int
    public_id: str
    slug: str
    name: str
    workspace: Workspace


def fact(connection: Connection, name: str) -> str | None:
    """A named value of this server, None when it was never set."""
    return connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()


def create_workspace(
    connection: Connection, slug: str, *, name: str, actor: Actor, now_unix_ns: int
) -> tuple[Workspace, bool]:
    """Add a workspace; the one that is there stays as it is.

    Returns:
        The workspace of this slug, and whether it is new.
    """
    is_new = insert_new(connection, workspaces, {"slug": slug, "name": name, "created_unix_ns": now_unix_ns})
    row = connection.execute(select(workspaces).where(workspaces.c.slug == slug)).one()
    if is_new:
        deed = Deed("workspace.create", "workspace", slug)
        record(connection, row.id, actor, deed, now_unix_ns=now_unix_ns)
    return Workspace(row.id, row.slug, row.name), is_new


def create_project(
    connection: Connection, workspace: Workspace, slug: str, *, name: str, actor: Actor, now_unix_ns: int
) -> Project:
    """Add a project; the one that is there stays as it is."""
    public_id = f"{_ID_PREFIX}{secrets.token_hex(8)}"
    new = {"public_id": public_id, "name": name, "created_unix_ns": now_unix_ns}
    # Another process may make it at this moment: then its project is the one.
    if insert_new(connection, projects, {"workspace_id": workspace.id, "slug": slug, **new}):
        deed = Deed("project.create", "project", slug, details={"projectId": public_id})
        record(connection, workspace.id, actor, deed, now_unix_ns=now_unix_ns)
    row = connection.execute(
        select(projects).where(projects.c.workspace_id == workspace.id, projects.c.slug == slug)
    ).one()
    return Project(row.id, row.public_id, row.slug, row.name, workspace)


def find_workspace(connection: Connection, principal: Principal, slug: str | None) -> Workspace | None:
    """A workspace that the key may see, its own one when no slug is given; None when there is none."""
    query = select(workspaces.c.id, workspaces.c.slug, workspaces.c.name)
    if slug is None:
        query = query.where(workspaces.c.id == principal.home_workspace_id)
    else:
        query = query.where(workspaces.c.slug == slug)
    row = connection.execute(query).one_or_none()
    if row is None or not _is_within(principal, row.id):
        return None
    return Workspace(row.id, row.slug, row.name)


def find_project(
    connection: Connection, principal: Principal, workspace: Workspace, slug: str
) -> Project | None:
    """A project of a workspace that the key may see; None when there is none."""
    row = connection.execute(
        select(projects).where(projects.c.workspace_id == workspace.id, projects.c.slug == slug)
    ).one_or_none()
    if row is None or not principal.sees(row.workspace_id, row.id):
        return None
    return Project(row.id, row.public_id, row.slug, row.name, workspace)


def find_project_by_public_id(connection: Connection, principal: Principal, public_id: str) -> Project | None:
    """A project by the id that the API shows; None when there is none or the key may not see it."""
    row = connection.execute(
        select(
            projects.c.id,
            projects.c.public_id,
            projects.c.slug,
            projects.c.name,
            projects.c.workspace_id,
            workspaces.c.slug.label("workspace_slug"),
            workspaces.c.name.label("workspace_name"),
        )
        .join(workspaces, workspaces.c.id == projects.c.workspace_id)
        .where(projects.c.public_id == public_id)
    ).one_or_none()
    if row is None or not _is_within(principal, row.workspace_id):
        return None
    if not principal.sees(row.workspace_id, row.id):
        return None
    workspace = Workspace(row.workspace_id, row.workspace_slug, row.workspace_name)
    return Project(row.id, row.public_id, row.slug, row.name, workspace)


def project_of_run(connection: Connection, run: Row[Any]) -> Project:
    """The project that a stored run lies in."""
    query = select(projects, workspaces.c.slug.label("home"), workspaces.c.name.label("home_name"))
    joined = query.join(workspaces, workspaces.c.id == projects.c.workspace_id)
    row = connection.execute(joined.where(projects.c.id == run.project_id)).one()
    return Project(
        row.id, row.public_id, row.slug, row.name, Workspace(row.workspace_id, row.home, row.home_name)
    )


def bound_project(connection: Connection, principal: Principal) -> Project:
    """The one project of a key that is bound to it.

    Raises:
        Problem: 403, it is gone.
    """
    query = select(projects.c.public_id).where(projects.c.id == principal.project_id)
    public_id = connection.execute(query).scalar()
    found = None if public_id is None else find_project_by_public_id(connection, principal, public_id)
    if found is None:
        raise Problem(403, "the project of this key is gone", "use a key of another project")
    return found


def claim_project(
    connection: Connection,
    principal: Principal,
    workspace_slug: str | None,
    project_slug: str,
    *,
    project_name: str,
    now_unix_ns: int,
) -> Project:
    """The named project, made now when the key may make it.

    A client that knows a project by its id alone names it by that; an id that the key may not see is a
    slug like any other.

    Raises:
        Problem: 403, the key may not write there; the hint says which may.
    """
    if workspace_slug is None and project_slug.startswith(_ID_PREFIX):
        known = find_project_by_public_id(connection, principal, project_slug)
        if known is not None:
            return known
    workspace = find_workspace(connection, principal, workspace_slug)
    if workspace is None:
        workspace = _claim_workspace(connection, principal, workspace_slug or "", now_unix_ns)
    found = find_project(connection, principal, workspace, project_slug)
    if found is not None:
        return found
    if principal.project_id is not None:
        raise Problem(
            403,
            f"this key may not write to project {project_slug!r}",
            "the key is bound to one project; use that project, or a key of the workspace",
        )
    if not principal.may_in(workspace.id, PROJECTS_CREATE, EVALS_WRITE, *WRITE_SCOPES):
        raise Problem(403, f"this key may not make project {project_slug!r}", "use a key that may write")
    return create_project(
        connection,
        workspace,
        project_slug,
        name=project_name,
        actor=principal.doer,
        now_unix_ns=now_unix_ns,
    )


def _claim_workspace(connection: Connection, principal: Principal, slug: str, now_unix_ns: int) -> Workspace:
    if not principal.is_owner or not slug:
        raise Problem(
            403,
            f"this key may not write to workspace {slug!r}",
            "use the key's own workspace (leave the workspace out), or the owner's key, which may make one",
        )
    made, _ = create_workspace(connection, slug, name=slug, actor=principal.doer, now_unix_ns=now_unix_ns)
    return made


def _is_within(principal: Principal, workspace_id: int) -> bool:
    """Whether a workspace is within reach; a person hears of the role that stands in the way.

    Raises:
        Problem: 403, it is one of the person's own, and the role there does not allow this.
    """
    if not principal.sees_workspace(workspace_id) and workspace_id in principal.rights:
        raise Problem(
            403,
            "your role in this workspace does not allow that",
            "ask an owner of the workspace for another",
        )
    return principal.sees_workspace(workspace_id)
