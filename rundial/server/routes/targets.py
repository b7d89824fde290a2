"""POST /api/v1/runs/resolve-target: names of a workspace and a project to their ids."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server.arguments import of_body
from rundial.server.keys import ARTIFACTS_WRITE, EVALS_WRITE, PROJECT_READ, WRITE_SCOPES
from rundial.server.problems import invalid
from rundial.server.resources import TargetError, slug
from rundial.server.routes.workspaces import need_project, need_workspace
from rundial.server.services import principal_of, services_of
from rundial.server.store.places import Project, claim_project, find_workspace

# Whoever may record something, an evaluation too, may do so in a project that is not there yet.
_MAKING: Final = (EVALS_WRITE, *WRITE_SCOPES)


async def resolve_target(request: Request) -> JSONResponse:
    """Resolve a target, making the project when the key may write there."""
    principal = principal_of(request, PROJECT_READ, ARTIFACTS_WRITE, *_MAKING)
    writer = principal.within(*_MAKING)
    services = services_of(request)
    arguments = await of_body(request)
    name = arguments.text("project")
    workspace = arguments.optional_text("workspace") or None
    try:
        project_slug = slug(name)
        workspace_slug = slug(workspace) if workspace else None
    except TargetError as error:
        raise invalid(str(error), "use letters, digits, '.', '_' and '-'") from error

    def claim(connection: Connection) -> Project:
        now_ns = services.clock.time_unix_ns()
        if workspace_slug is not None:
            place = find_workspace(connection, principal, workspace_slug)
            if place is not None and not writer.sees_workspace(place.id):
                return find(connection)  # a viewer there, who may write elsewhere
        return claim_project(
            connection, writer, workspace_slug, project_slug, project_name=name, now_unix_ns=now_ns
        )

    def find(connection: Connection) -> Project:
        home = find_workspace(connection, principal, workspace_slug) or need_workspace(
            connection, principal, workspace_slug or ""
        )
        return need_project(connection, principal, home.slug, project_slug)

    project = await (services.write(claim) if principal.may(*_MAKING) else services.read(find))
    return JSONResponse(
        {
            "orgId": f"org_{project.workspace.id}",
            "workspaceSlug": project.workspace.slug,
            "workspaceName": project.workspace.name,
            "projectSlug": project.slug,
            "projectName": project.name,
            "projectId": project.public_id,
            "serverId": services.server_id,
        }
    )


ROUTES: Final = [Route("/api/v1/runs/resolve-target", resolve_target, methods=["POST"])]
