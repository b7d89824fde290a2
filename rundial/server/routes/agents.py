"""Agents: programs that act by themselves, with keys of their own that end together.

Managed by who administers the workspace. An agent's key opens one project and never administers.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server.arguments import of_body, of_query, page
from rundial.server.keys import ADMIN, Principal
from rundial.server.problems import Problem, invalid
from rundial.server.routes.apikeys import make_key, need_administration, shown, wish_of
from rundial.server.routes.workspaces import need_project, need_workspace
from rundial.server.services import principal_of, services_of
from rundial.server.store.agents import ACTIVE, REVOKED, agents_of, create_agent, find_agent, revoke_agent
from rundial.server.store.apikeys import keys_of_agent
from rundial.server.store.audit import Deed, record
from rundial.server.store.places import Workspace

_MS: Final = 1_000_000
MAX_NAME_CHARS: Final = 128


def _agent(row: Any) -> dict[str, object]:
    revoked = row.revoked_unix_ns
    return {
        "agentId": row.public_id,
        "name": row.name,
        "status": ACTIVE if revoked is None else REVOKED,
        "createdAtMs": row.created_unix_ns // _MS,
        "updatedAtMs": (revoked or row.created_unix_ns) // _MS,
        "revokedAtMs": None if revoked is None else revoked // _MS,
    }


def _managed(connection: Connection, principal: Principal, request: Request) -> Workspace:
    workspace = need_workspace(connection, principal, request.path_params["workspace"])
    need_administration(principal, workspace)
    return workspace


def _need_agent(connection: Connection, workspace: Workspace, request: Request) -> Any:
    agent_id: str = request.path_params["agent_id"]
    found = find_agent(connection, workspace.id, agent_id)
    if found is None:
        raise Problem(404, f"there is no agent {agent_id[:80]!r} here", "list the agents of the workspace")
    return found


async def create(request: Request) -> JSONResponse:
    """Make an agent."""
    principal, services = principal_of(request, ADMIN), services_of(request)
    name = (await of_body(request)).text("name").strip()
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise invalid(f"name is not 1 to {MAX_NAME_CHARS} printable characters")
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> dict[str, object]:
        workspace = _managed(connection, principal, request)
        agent = create_agent(connection, workspace.id, name, now_ns)
        deed = Deed(
            "agent.create", "agent", agent.public_id, agent_id=agent.public_id, details={"name": name}
        )
        record(connection, workspace.id, principal.doer, deed, now_unix_ns=now_ns)
        return _agent(agent)

    return JSONResponse(await services.write(change))


async def listing(request: Request) -> JSONResponse:
    """List a workspace's agents, the oldest first."""
    principal = principal_of(request, ADMIN)
    arguments = of_query(request)
    limit, cursor = arguments.limit(100), arguments.cursor(int)
    status = arguments.one_of("status", ("all", ACTIVE, REVOKED))

    def read(connection: Connection) -> dict[str, object]:
        workspace = _managed(connection, principal, request)
        rows = agents_of(
            connection,
            workspace.id,
            status=None if status == "all" else status,
            after=cursor[0] if cursor else None,
            limit=limit + 1,
        )
        ended = [rows[limit - 1].id] if len(rows) > limit else None
        return {"agents": [_agent(row) for row in rows[:limit]], "page": page(ended)}

    return JSONResponse(await services_of(request).read(read))


async def revoke(request: Request) -> JSONResponse:
    """End an agent and every key that it has, at once."""
    principal, services = principal_of(request, ADMIN), services_of(request)
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> dict[str, object]:
        workspace = _managed(connection, principal, request)
        agent = _need_agent(connection, workspace, request)
        if agent.revoked_unix_ns is None:
            ended = revoke_agent(connection, agent, now_ns)
            deed = Deed(
                "agent.revoke",
                "agent",
                agent.public_id,
                agent_id=agent.public_id,
                details={"keyIds": ended},
            )
            record(connection, workspace.id, principal.doer, deed, now_unix_ns=now_ns)
        return _agent(_need_agent(connection, workspace, request))

    return JSONResponse(await services.change_identities(change))


async def create_key(request: Request) -> JSONResponse:
    """Make a key for an agent, for one project."""
    principal, services = principal_of(request, ADMIN), services_of(request)
    arguments = await of_body(request)
    project_slug = arguments.text("projectSlug")
    now_ns = services.clock.time_unix_ns()
    wish = wish_of(arguments, now_ns)
    if ADMIN in wish.scopes:
        raise invalid("an agent's key does not administer", "leave the scope admin out")

    def change(connection: Connection) -> dict[str, object]:
        workspace = _managed(connection, principal, request)
        agent = _need_agent(connection, workspace, request)
        if agent.revoked_unix_ns is not None:
            raise Problem(409, "this agent is revoked", "make another agent")
        project = need_project(connection, principal, workspace.slug, project_slug)
        return make_key(connection, principal, wish, (workspace, project), now_ns, agent=agent)

    return JSONResponse(await services.change_identities(change))


async def list_keys(request: Request) -> JSONResponse:
    """List an agent's keys, the oldest first, ended ones too."""
    principal, services = principal_of(request, ADMIN), services_of(request)
    arguments = of_query(request)
    limit, cursor = arguments.limit(100), arguments.cursor(int, str)
    uses = services.known.uses()

    def read(connection: Connection) -> dict[str, object]:
        agent = _need_agent(connection, _managed(connection, principal, request), request)
        after = (cursor[0], cursor[1]) if cursor else None
        rows = keys_of_agent(connection, agent.id, after=after, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        ended = None if last is None else [last.created_unix_ns, last.id]
        return {"keys": [shown(row, uses) for row in rows[:limit]], "page": page(ended)}

    return JSONResponse(await services.read(read))


_AGENTS: Final = "/api/v1/workspaces/{workspace}/agents"

ROUTES: Final = [
    Route(_AGENTS, create, methods=["POST"]),
    Route(_AGENTS, listing, methods=["GET"]),
    Route(f"{_AGENTS}/{{agent_id}}/revoke", revoke, methods=["POST"]),
    Route(f"{_AGENTS}/{{agent_id}}/api-keys", create_key, methods=["POST"]),
    Route(f"{_AGENTS}/{{agent_id}}/api-keys", list_keys, methods=["GET"]),
]
