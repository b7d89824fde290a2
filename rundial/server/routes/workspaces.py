"""Workspaces and their projects: GET and POST /api/v1/workspaces and /api/v1/workspaces/{w}/projects."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server.arguments import of_body, of_query, page
from rundial.server.keys import ADMIN, PROJECT_READ, WRITE_SCOPES, Principal
from rundial.server.problems import Problem, invalid
from rundial.server.resources import TargetError, slug
from rundial.server.roles import OWNER, PROJECTS_CREATE, role_in
from rundial.server.services import principal_of, services_of
from rundial.server.store.history import projects_of, workspaces_of
from rundial.server.store.places import (
    Project,
    Workspace,
    create_project,
    create_workspace,
    find_project,
    find_project_by_public_id,
    find_workspace,
)
from rundial.server.store.users import find_user, set_role

MAX_NAME_CHARS: Final = 128


async def list_workspaces(request: Request) -> JSONResponse:
    """List the workspaces that the key may see."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, cursor = arguments.limit(100), arguments.cursor(str)

    def query(connection: Connection) -> dict[str, object]:
        rows = workspaces_of(connection, principal, after=cursor[0] if cursor else None, limit=limit + 1)
        shown = [
            {"workspaceSlug": row.slug, "name": row.name, "role": role_in(principal, row.id)}
            for row in rows[:limit]
        ]
        return {"workspaces": shown, "page": page([rows[limit - 1].slug] if len(rows) > limit else None)}

    return JSONResponse(await services_of(request).read(query))


async def list_projects(request: Request) -> JSONResponse:
    """List a workspace's projects that the key may see."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, cursor = arguments.limit(100), arguments.cursor(str)
    workspace_slug = request.path_params["workspace"]

    def query(connection: Connection) -> dict[str, object]:
        workspace = need_workspace(connection, principal, workspace_slug)
        rows = projects_of(
            connection, principal, workspace.id, after=cursor[0] if cursor else None, limit=limit + 1
        )
        shown = [
            {
                "projectSlug": row.slug,
                "name": row.name,
                "projectId": row.public_id,
                "runCount": row.run_count,
                "retentionDays": row.retention_days,
            }
            for row in rows[:limit]
        ]
        return {"projects": shown, "page": page([rows[limit - 1].slug] if len(rows) > limit else None)}

    return JSONResponse(await services_of(request).read(query))


async def make_workspace(request: Request) -> JSONResponse:
    """Make a workspace: the server's owner, or a person who owns one and will own this one too."""
    principal, services = principal_of(request, ADMIN), services_of(request)
    if not (principal.is_owner or principal.is_person):
        raise Problem(403, "this key may not make workspaces", "use the owner's key of the server")
    name, workspace_slug = _name_of((await of_body(request)).text("name"))
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> Workspace:
        made, is_new = create_workspace(
            connection, workspace_slug, name=name, actor=principal.doer, now_unix_ns=now_ns
        )
        if not is_new:  # whoever may see it: nobody comes to own what another has made
            raise Problem(409, f"there is a workspace {workspace_slug!r} already", "choose another name")
        if principal.is_person:
            user = find_user(connection, public_id=principal.doer.id)
            assert user is not None
            set_role(connection, user.id, made.id, OWNER, now_ns)
        return made

    made = await services.change_identities(change)
    return JSONResponse({"workspaceSlug": made.slug, "name": made.name, "role": OWNER})


async def make_project(request: Request) -> JSONResponse:
    """Make a project before its first run does."""
    principal, services = principal_of(request, PROJECTS_CREATE, *WRITE_SCOPES), services_of(request)
    name, project_slug = _name_of((await of_body(request)).text("name"))
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> Project:
        workspace = need_workspace(connection, principal, request.path_params["workspace"])
        if principal.project_id is not None:
            raise Problem(403, "this key is bound to one project", "use a key of the workspace")
        if find_project(connection, principal, workspace, project_slug) is not None:
            raise Problem(409, f"there is a project {project_slug!r} already", "choose another name")
        return create_project(
            connection, workspace, project_slug, name=name, actor=principal.doer, now_unix_ns=now_ns
        )

    made = await services.write(change)
    return JSONResponse({"projectSlug": made.slug, "name": made.name, "projectId": made.public_id})


def _name_of(text: str) -> tuple[str, str]:
    """A name and the slug that stands for it in paths."""
    name = text.strip()
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise invalid(f"name is not 1 to {MAX_NAME_CHARS} printable characters")
    try:
        return name, slug(name)
    except TargetError as error:
        raise invalid(str(error), "use letters, digits, '.', '_' and '-'") from error


def need_workspace(connection: Connection, principal: Principal, slug: str) -> Workspace:
    """A workspace by its slug.

    Raises:
        Problem: 404, there is none that the key may see.
    """
    workspace = find_workspace(connection, principal, slug)
    if workspace is None:
        raise Problem(
            404, f"there is no workspace {slug[:128]!r} for this key", "GET /api/v1/workspaces lists them"
        )
    return workspace


def need_project(connection: Connection, principal: Principal, workspace_slug: str, slug: str) -> Project:
    """A project by its slugs.

    Raises:
        Problem: 404, there is none that the key may see.
    """
    workspace = need_workspace(connection, principal, workspace_slug)
    project = find_project(connection, principal, workspace, slug)
    if project is None:
        raise Problem(
            404,
            f"there is no project {slug[:128]!r} in workspace {workspace.slug!r}",
            "`rundial project ls` lists them; a project appears with its first run",
        )
    return project


def need_project_by_id(connection: Connection, principal: Principal, public_id: str) -> Project:
    """A project by its id.

    Raises:
        Problem: 404, there is none that the key may see.
    """
    project = find_project_by_public_id(connection, principal, public_id)
    if project is None:
        raise Problem(
            404,
            f"there is no project with the id {public_id[:128]!r} for this key",
            "POST /api/v1/runs/resolve-target turns a project's name into its id",
        )
    return project


ROUTES: Final = [
    Route("/api/v1/workspaces", list_workspaces, methods=["GET"]),
    Route("/api/v1/workspaces", make_workspace, methods=["POST"]),
    Route("/api/v1/workspaces/{workspace}/projects", list_projects, methods=["GET"]),
    Route("/api/v1/workspaces/{workspace}/projects", make_project, methods=["POST"]),
]
