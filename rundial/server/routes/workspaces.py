"""GET /api/v1/workspaces and /api/v1/workspaces/{w}/projects."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server.arguments import of_query, page
from rundial.server.keys import PROJECT_READ, Principal
from rundial.server.problems import Problem
from rundial.server.services import principal_of, services_of
from rundial.server.store.history import projects_of, workspaces_of
from rundial.server.store.places import (
    Project,
    Workspace,
    find_project,
    find_project_by_public_id,
    find_workspace,
)


async def list_workspaces(request: Request) -> JSONResponse:
    """List the workspaces that the key may see."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, cursor = arguments.limit(100), arguments.cursor(str)

    def query(connection: Connection) -> dict[str, object]:
        rows = workspaces_of(connection, principal, after=cursor[0] if cursor else None, limit=limit + 1)
        role = "owner" if principal.is_owner else "member"
        shown = [{"workspaceSlug": row.slug, "name": row.name, "role": role} for row in rows[:limit]]
        return {"workspaces": shown, "page": page([rows[limit - 1].slug] if len(rows) > limit else None)}

    return JSONResponse(await services_of(request).read(query))


async def list_projects(request: Request) -> JSONResponse:
    """List a workspace's projects that the key may see."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, cursor = arguments.limit(100), arguments.cursor(str)
    slug = request.path_params["workspace"]

    def query(connection: Connection) -> dict[str, object]:
        workspace = need_workspace(connection, principal, slug)
        rows = projects_of(
            connection, principal, workspace.id, after=cursor[0] if cursor else None, limit=limit + 1
        )
        shown = [
            {"projectSlug": row.slug, "name": row.name, "projectId": row.public_id, "runCount": row.run_count}
            for row in rows[:limit]
        ]
        return {"projects": shown, "page": page([rows[limit - 1].slug] if len(rows) > limit else None)}

    return JSONResponse(await services_of(request).read(query))


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
            "GET /api/v1/workspaces/{workspace}/projects lists them; a project appears with its first run",
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
    Route("/api/v1/workspaces/{workspace}/projects", list_projects, methods=["GET"]),
]
