"""GET /api/v1/auth/whoami: what the key of this request is and may do."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server.keys import SCOPES
from rundial.server.services import principal_of, services_of
from rundial.server.store.tables import projects, workspaces


async def whoami(request: Request) -> JSONResponse:
    """Say who asks; any key may."""
    principal = principal_of(request, *SCOPES)

    def query(connection: Connection) -> dict[str, object]:
        home = connection.execute(
            select(workspaces.c.slug).where(workspaces.c.id == principal.home_workspace_id)
        ).scalar()
        project = connection.execute(
            select(projects.c.slug).where(projects.c.id == principal.project_id)
        ).scalar()
        return {
            "keyId": principal.key_id,
            "label": principal.label,
            "role": "owner" if principal.is_owner else "member",
            "scopes": sorted(principal.scopes),
            "workspaceSlug": home,
            "projectSlug": project,
        }

    key = await services_of(request).read(query)
    body = {
        "authenticated": True,
        "principal": "api_key",
        "apiKey": key,
        "serverId": services_of(request).server_id,
    }
    return JSONResponse(body)


ROUTES: Final = [Route("/api/v1/auth/whoami", whoami, methods=["GET"])]
