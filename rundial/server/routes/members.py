"""The people of a workspace: add, list, give another role, remove; and the owner's reset of a password.

Who administers a workspace adds accounts that exist. Only the server's owner makes accounts: whoever made
one knows its first password, and would come along into every workspace that it is added to.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server.arguments import Arguments, of_body, of_query, page
from rundial.server.keys import ADMIN, Principal
from rundial.server.passwords import check_new
from rundial.server.problems import Problem, invalid
from rundial.server.roles import OWNER, ROLES
from rundial.server.routes.apikeys import need_administration
from rundial.server.routes.workspaces import need_workspace
from rundial.server.services import principal_of, services_of
from rundial.server.store.apikeys import live_keys, revoke_keys
from rundial.server.store.audit import Deed, record
from rundial.server.store.places import Workspace
from rundial.server.store.users import (
    create_user,
    find_user,
    members_of,
    owners_of,
    plain_email,
    role_in,
    roles_of,
    set_password,
    set_role,
)

_MS: Final = 1_000_000
MAX_NAME_CHARS: Final = 128


def _managed(connection: Connection, principal: Principal, request: Request) -> Workspace:
    workspace = need_workspace(connection, principal, request.path_params["workspace"])
    need_administration(principal, workspace)
    return workspace


async def listing(request: Request) -> JSONResponse:
    """List the people of a workspace, by e-mail."""
    principal = principal_of(request, ADMIN)
    arguments = of_query(request)
    limit, cursor = arguments.limit(100), arguments.cursor(str)

    def read(connection: Connection) -> dict[str, object]:
        workspace = _managed(connection, principal, request)
        rows = members_of(connection, workspace.id, after=cursor[0] if cursor else None, limit=limit + 1)
        ended = [rows[limit - 1].email] if len(rows) > limit else None
        return {"members": [_shown(row, row.role) for row in rows[:limit]], "page": page(ended)}

    return JSONResponse(await services_of(request).read(read))


async def add(request: Request) -> JSONResponse:
    """Add a person; the server's owner makes the account with it when a password is given."""
    principal, services = principal_of(request, ADMIN), services_of(request)
    arguments = await of_body(request)
    email, role = plain_email(arguments.text("email")), _role(arguments)
    name = arguments.optional_text("name") or ""
    if len(name) > MAX_NAME_CHARS:
        raise invalid(f"name is longer than {MAX_NAME_CHARS} characters")
    password = arguments.optional_text("password")
    hashed: str | None = None
    if password is not None:
        _need_owner(principal)
        check_new(password)
        hashed = await services.passwords.hash(password)
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> dict[str, object]:
        workspace = _managed(connection, principal, request)
        user = find_user(connection, email=email)
        is_new = user is None
        if user is None:
            if hashed is None:
                raise Problem(
                    404, "there is no such account", "the server's owner makes it: rundial server user add"
                )
            public_id = create_user(connection, email, name=name, password_hash=hashed, now_unix_ns=now_ns)
            user = find_user(connection, public_id=public_id)
            assert user is not None
        elif role_in(connection, user.id, workspace.id) is not None:
            raise Problem(409, "this person is in the workspace already", "change the role instead")
        set_role(connection, user.id, workspace.id, role, now_ns)
        deed = Deed("member.add", "user", user.public_id, details={"role": role, "isNewAccount": is_new})
        record(connection, workspace.id, principal.doer, deed, now_unix_ns=now_ns)
        return {**_shown(user, role), "created": is_new}

    return JSONResponse(await services.change_identities(change))


async def change_role(request: Request) -> JSONResponse:
    """Give a person another role in the workspace."""
    return await _change(request, _role(await of_body(request)))


async def remove(request: Request) -> JSONResponse:
    """Take a person out of the workspace; the keys that they made there end with it."""
    return await _change(request, None)


async def _change(request: Request, role: str | None) -> JSONResponse:
    principal, services = principal_of(request, ADMIN), services_of(request)
    user_id = request.path_params["user_id"]
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> dict[str, object]:
        workspace = _managed(connection, principal, request)
        user = find_user(connection, public_id=user_id)
        before = None if user is None else role_in(connection, user.id, workspace.id)
        if user is None or before is None:
            raise Problem(
                404, f"there is no member {user_id[:80]!r} here", "list the members of the workspace"
            )
        is_last = before == OWNER and role != OWNER and owners_of(connection, workspace.id) == 1
        if is_last and not principal.is_owner:
            raise Problem(409, "this is the workspace's last owner", "make another owner first")
        ended = _end_keys(connection, user.id, workspace.id, role, now_ns)
        set_role(connection, user.id, workspace.id, role, now_ns)
        details = {"before": before, "role": role, "keyIds": ended}
        action = "member.remove" if role is None else "member.role"
        deed = Deed(action, "user", user.public_id, details=details)
        record(connection, workspace.id, principal.doer, deed, now_unix_ns=now_ns)
        return _shown(user, role)

    return JSONResponse(await services.change_identities(change))


def _end_keys(
    connection: Connection, user_id: int, workspace_id: int, role: str | None, now_ns: int
) -> list[str]:
    """End the keys that a person made, as far as they do more than the person may from now on."""
    allowed = ROLES[role] if role is not None else frozenset()
    if ADMIN in allowed:
        return []
    made = live_keys(connection, maker=(user_id, workspace_id))
    beyond = [key_id for key_id, scopes in made.items() if role is None or scopes - allowed]
    return revoke_keys(connection, beyond, now_ns)


async def reset_password(request: Request) -> JSONResponse:
    """Give an account another password; all its sessions end. The server's owner alone."""
    principal, services = principal_of(request, ADMIN), services_of(request)
    _need_owner(principal)
    password = (await of_body(request)).text("password")
    check_new(password)
    hashed = await services.passwords.hash(password)
    user_id = request.path_params["user_id"]
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> None:
        user = find_user(connection, public_id=user_id)
        if user is None:
            raise Problem(404, f"there is no account {user_id[:80]!r}", "list the members of a workspace")
        set_password(connection, user.id, hashed)
        for row in roles_of(connection, user.id):
            deed = Deed("user.password", "user", user_id)
            record(connection, row.id, principal.doer, deed, now_unix_ns=now_ns)

    await services.change_identities(change)
    return JSONResponse({"userId": user_id})


def _need_owner(principal: Principal) -> None:
    if not principal.is_owner:
        raise Problem(
            403, "accounts and their passwords are the server owner's", "use the owner's key of the server"
        )


def _role(arguments: Arguments) -> str:
    role = arguments.text("role")
    if role not in ROLES:
        raise invalid(f"{role[:80]!r} is no role", f"use {', '.join(ROLES)}")
    return role


def _shown(row: Any, role: str | None) -> dict[str, object]:
    return {
        "userId": row.public_id,
        "email": row.email,
        "name": row.name,
        "role": role,
        "createdAtMs": row.created_unix_ns // _MS,
    }


_MEMBERS: Final = "/api/v1/workspaces/{workspace}/members"

ROUTES: Final = [
    Route(_MEMBERS, listing, methods=["GET"]),
    Route(_MEMBERS, add, methods=["POST"]),
    Route(f"{_MEMBERS}/{{user_id}}/role", change_role, methods=["POST"]),
    Route(f"{_MEMBERS}/{{user_id}}/remove", remove, methods=["POST"]),
    Route("/api/v1/users/{user_id}/password", reset_password, methods=["POST"]),
]
