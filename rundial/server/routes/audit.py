"""GET /api/v1/workspaces/{w}/audit: who changed what, the newest first; for who administers the workspace."""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server.arguments import of_query, page
from rundial.server.keys import ADMIN
from rundial.server.routes.apikeys import need_administration
from rundial.server.routes.workspaces import need_workspace
from rundial.server.services import principal_of, services_of
from rundial.server.store.audit import DeedFilter, deeds_of

_MS: Final = 1_000_000
_KINDS: Final = ("all", "user", "api_key", "agent", "system")


async def listing(request: Request) -> JSONResponse:
    """List what was done in a workspace."""
    principal = principal_of(request, ADMIN)
    arguments = of_query(request)
    limit, cursor = arguments.limit(50), arguments.cursor(int)
    kind = arguments.one_of("actorKind", _KINDS)
    wanted = DeedFilter(arguments.optional_text("agentId"), None if kind == "all" else kind)

    def read(connection: Connection) -> dict[str, object]:
        workspace = need_workspace(connection, principal, request.path_params["workspace"])
        need_administration(principal, workspace)
        before = cursor[0] if cursor else None
        rows = deeds_of(connection, workspace.id, wanted, before=before, limit=limit + 1)
        ended = [rows[limit - 1].id] if len(rows) > limit else None
        return {"events": [_event(row) for row in rows[:limit]], "page": page(ended)}

    return JSONResponse(await services_of(request).read(read))


def _event(row: Any) -> dict[str, object]:
    return {
        "createdAtMs": row.created_unix_ns // _MS,
        "actorKind": row.actor_kind,
        "actorId": row.actor_id,
        "action": row.action,
        "targetKind": row.target_kind,
        "targetId": row.target_id,
        "agentId": row.agent_id,
        "details": json.loads(row.details),
    }


ROUTES: Final = [Route("/api/v1/workspaces/{workspace}/audit", listing, methods=["GET"])]
