"""API keys of a project, and those of a whole workspace: make, list, end.

A key may do no more than whoever makes it, and its text is in the answer to its making alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server import keys
from rundial.server.arguments import Arguments, of_body
from rundial.server.keys import ADMIN, DEFAULT_SCOPES, SCOPES, Principal, StoredKey
from rundial.server.problems import Problem, invalid
from rundial.server.roles import KEYS_MAKE
from rundial.server.routes.workspaces import need_project, need_workspace
from rundial.server.services import principal_of, services_of
from rundial.server.store.apikeys import Maker, add_key, find_listed, keys_of_place, revoke_keys
from rundial.server.store.audit import Deed, record
from rundial.server.store.places import Project, Workspace
from rundial.server.store.users import find_user

_MS: Final = 1_000_000
MAX_LABEL_CHARS: Final = 128


@dataclass(frozen=True, slots=True)
class Wish:
    """What a new key is to be.

    Attributes:
        scopes: What it may do.
        label: What people call it.
        expires_unix_ns: When it ends; None is never.
    """

    scopes: frozenset[str]
    label: str
    expires_unix_ns: int | None


def wish_of(arguments: Arguments, now_ns: int) -> Wish:
    """Read what a new key is to be.

    Raises:
        Problem: 400, a scope is unknown, the label too long, or the end has passed.
    """
    scopes = frozenset(arguments.texts("scopes")) or DEFAULT_SCOPES
    unknown = sorted(scopes - SCOPES)
    if unknown:
        raise invalid(f"{unknown[0][:80]!r} is no scope", f"use {', '.join(sorted(SCOPES))}")
    label = arguments.optional_text("label") or ""
    if len(label) > MAX_LABEL_CHARS:
        raise invalid(f"the label is longer than {MAX_LABEL_CHARS} characters")
    expires_ms = arguments.whole("expiresAtMs")
    if expires_ms is not None and not now_ns // _MS < expires_ms < 2**63 // _MS:
        raise invalid("expiresAtMs does not lie ahead", "send milliseconds since 1970, or leave it out")
    return Wish(scopes, label, None if expires_ms is None else expires_ms * _MS)


def make_key(
    connection: Connection,
    principal: Principal,
    wish: Wish,
    place: tuple[Workspace, Project | None],
    now_ns: int,
    *,
    agent: Any = None,
) -> dict[str, object]:
    """Make a key and return the one answer that shows it.

    Raises:
        Problem: 403, it would do more than its maker may.
    """
    workspace, project = place
    held = principal.held_in(workspace.id)
    beyond = sorted(wish.scopes - held)
    if ADMIN not in held and beyond:
        raise Problem(
            403, f"a key may do no more than its maker, who lacks {beyond[0]}", "ask for fewer scopes"
        )
    key_id, secret = keys.generate()
    bearer = Principal(
        key_id,
        wish.label,
        wish.scopes,
        workspace.id,
        reach=frozenset({workspace.id}),
        project_id=None if project is None else project.id,
    )
    person = find_user(connection, public_id=principal.doer.id) if principal.is_person else None
    maker = Maker(None if person is None else person.id, None if agent is None else agent.id)
    stored = StoredKey(bearer, keys.digest(secret), wish.expires_unix_ns)
    add_key(connection, stored, now_unix_ns=now_ns, maker=maker)
    slug = None if project is None else project.slug
    details = {"label": wish.label, "scopes": sorted(wish.scopes), "projectSlug": slug}
    agent_id = None if agent is None else agent.public_id
    deed = Deed("api_key.create", "api_key", key_id, agent_id=agent_id, details=details)
    record(connection, workspace.id, principal.doer, deed, now_unix_ns=now_ns)
    return {
        "keyId": key_id,
        "key": keys.render(key_id, secret),
        "label": wish.label or None,
        "scopes": sorted(wish.scopes),
        "expiresAtMs": None if wish.expires_unix_ns is None else wish.expires_unix_ns // _MS,
        "workspaceSlug": workspace.slug,
        "projectSlug": slug,
        **({} if agent_id is None else {"agentId": agent_id}),
    }


def shown(row: Any, uses: Mapping[str, int]) -> dict[str, object]:
    """A key in a list; never its secret.

    Args:
        row: As the store lists it.
        uses: Uses that are not written down yet, by key.
    """
    used = max(row.used_unix_ns or 0, uses.get(row.id, 0))
    found = {
        "keyId": row.id,
        "label": row.label or None,
        "scopes": sorted(keys.scopes_of(row.scopes)),
        "createdAtMs": row.created_unix_ns // _MS,
        "expiresAtMs": None if row.expires_unix_ns is None else row.expires_unix_ns // _MS,
        "revokedAtMs": None if row.revoked_unix_ns is None else row.revoked_unix_ns // _MS,
        "lastUsedAtMs": used // _MS or None,
    }
    return found if row.agent is None else {**found, "agentId": row.agent}


def _place(
    connection: Connection, principal: Principal, request: Request
) -> tuple[Workspace, Project | None]:
    """The project, or the workspace, whose keys a request is about.

    Raises:
        Problem: 404, there is none within reach; 403, the whole workspace is more than the bearer manages.
    """
    path = request.path_params
    if "project" in path:
        project = need_project(connection, principal, path["workspace"], path["project"])
        return project.workspace, project
    workspace = need_workspace(connection, principal, path["workspace"])
    need_administration(principal, workspace)
    return workspace, None


def need_administration(principal: Principal, workspace: Workspace) -> None:
    """Check that the bearer manages the whole of a workspace.

    Raises:
        Problem: 403.
    """
    if not principal.administers(workspace.id):
        raise Problem(
            403,
            f"managing workspace {workspace.slug!r} is its owners' alone",
            "use an owner's session, or a key of the whole workspace with the scope admin",
        )


async def create(request: Request) -> JSONResponse:
    """Make a key."""
    principal, services = principal_of(request, KEYS_MAKE), services_of(request)
    now_ns = services.clock.time_unix_ns()
    wish = wish_of(await of_body(request), now_ns)

    def change(connection: Connection) -> dict[str, object]:
        return make_key(connection, principal, wish, _place(connection, principal, request), now_ns)

    return JSONResponse(await services.change_identities(change))


async def listing(request: Request) -> JSONResponse:
    """List the keys of a project, or those of a whole workspace, ended ones too."""
    principal, services = principal_of(request, KEYS_MAKE), services_of(request)
    uses = services.known.uses()

    def read(connection: Connection) -> list[dict[str, object]]:
        workspace, project = _place(connection, principal, request)
        rows = keys_of_place(connection, workspace.id, None if project is None else project.id)
        return [shown(row, uses) for row in rows]

    return JSONResponse({"keys": await services.read(read)})


async def revoke(request: Request) -> JSONResponse:
    """End a key at once, for good; ending it again changes nothing."""
    principal, services = principal_of(request, KEYS_MAKE), services_of(request)
    now_ns = services.clock.time_unix_ns()
    key_id = request.path_params["key_id"]

    def change(connection: Connection) -> int:
        workspace, project = _place(connection, principal, request)
        row = find_listed(connection, workspace.id, None if project is None else project.id, key_id)
        if row is None:
            raise Problem(
                404, f"there is no key {key_id[:80]!r} here", "`rundial auth key list` lists the project's"
            )
        person = find_user(connection, public_id=principal.doer.id) if principal.is_person else None
        is_maker = person is not None and row.maker_user_id == person.id
        if not (is_maker or principal.may_in(workspace.id, ADMIN)):
            raise Problem(403, "a member ends the keys that they made", "ask an owner of the workspace")
        if row.revoked_unix_ns is not None:
            return int(row.revoked_unix_ns)
        revoke_keys(connection, [key_id], now_ns)
        deed = Deed("api_key.revoke", "api_key", key_id, agent_id=row.agent)
        record(connection, workspace.id, principal.doer, deed, now_unix_ns=now_ns)
        return now_ns

    revoked_ns = await services.change_identities(change)
    return JSONResponse({"keyId": key_id, "revokedAtMs": revoked_ns // _MS})


_PROJECT: Final = "/api/v1/workspaces/{workspace}/projects/{project}/api-keys"
_WORKSPACE: Final = "/api/v1/workspaces/{workspace}/api-keys"

ROUTES: Final = [
    Route(_PROJECT, create, methods=["POST"]),
    Route(_PROJECT, listing, methods=["GET"]),
    Route(f"{_PROJECT}/{{key_id}}/revoke", revoke, methods=["POST"]),
    Route(_WORKSPACE, create, methods=["POST"]),
    Route(_WORKSPACE, listing, methods=["GET"]),
    Route(f"{_WORKSPACE}/{{key_id}}/revoke", revoke, methods=["POST"]),
]
