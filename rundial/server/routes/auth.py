"""Who asks: whoami, login and logout of people, their passwords, and what this server can do."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server import keys
from rundial.server.arguments import of_body
from rundial.server.authentication import SESSION_COOKIE
from rundial.server.keys import SCOPES, SESSION_PREFIX, Actor, Principal
from rundial.server.passwords import check_new
from rundial.server.problems import Problem
from rundial.server.roles import role_in
from rundial.server.security import LOGIN_PATH
from rundial.server.services import Services, bearer_of, services_of
from rundial.server.store.audit import Deed, record
from rundial.server.store.people import agents, key_sessions, sessions
from rundial.server.store.sessions import add_session, end_session
from rundial.server.store.tables import projects, workspaces
from rundial.server.store.users import find_user, plain_email, roles_of, set_password
from rundial.version import __version__

SESSION_S: Final = 30 * 86_400


async def whoami(request: Request) -> JSONResponse:
    """Say who asks; anyone may who is let in at all."""
    principal = bearer_of(request)
    read = _person if principal.is_person else _key
    found = await services_of(request).read(lambda connection: read(connection, principal))
    return JSONResponse({"authenticated": True, **found, "serverId": services_of(request).server_id})


def _person(connection: Connection, principal: Principal) -> dict[str, Any]:
    user = find_user(connection, public_id=principal.doer.id)
    if user is None:
        raise Problem(401, "this session is unknown or over", "log in again")
    return {"principal": "user", "user": _shown(connection, user)}


def _shown(connection: Connection, user: Any) -> dict[str, Any]:
    return {
        "userId": user.public_id,
        "email": user.email,
        "name": user.name,
        "workspaces": [
            {"workspaceSlug": row.slug, "name": row.name, "role": row.role}
            for row in roles_of(connection, user.id)
        ],
    }


def _key(connection: Connection, principal: Principal) -> dict[str, Any]:
    home = connection.execute(
        select(workspaces.c.slug).where(workspaces.c.id == principal.home_workspace_id)
    ).scalar()
    project = connection.execute(
        select(projects.c.slug).where(projects.c.id == principal.project_id)
    ).scalar()
    facts = {
        "keyId": principal.key_id,
        "label": principal.label,
        "role": role_in(principal, principal.home_workspace_id),
        "scopes": sorted(principal.scopes),
        "workspaceSlug": home,
        "projectSlug": project,
    }
    found: dict[str, Any] = {"principal": "api_key", "apiKey": facts}
    if principal.doer.kind == "agent":
        name = connection.execute(
            select(agents.c.name).where(agents.c.public_id == principal.doer.id)
        ).scalar()
        found["agent"] = {"agentId": principal.doer.id, "name": name}
    return found


async def login(request: Request) -> JSONResponse:
    """Begin a session; wrong credentials are answered alike, whatever is wrong about them."""
    services = services_of(request)
    arguments = await of_body(request)
    email, password = plain_email(arguments.text("email")), arguments.text("password")
    sources = (
        (services.address_logins, request.client.host if request.client else ""),
        (services.account_logins, keys.digest(email)),
    )
    now_s = services.clock.monotonic_s()
    for throttle, source in sources:
        wait_s = throttle.take(source, now_s)
        if wait_s > 0:
            raise Problem(
                429, "too many attempts to log in", "wait, then try again", retry_after_s=ceil(wait_s)
            )
    user = await services.read(lambda connection: find_user(connection, email=email))
    is_right = await services.passwords.is_right(password, user.password_hash if user is not None else None)
    if user is None or not is_right:
        raise Problem(
            401, "e-mail or password is wrong", "check both; the server's owner can set another password"
        )
    for throttle, source in sources:
        throttle.give_back(source)
    token, shown = await _begin(services, user.id, user.password_hash)
    answer = JSONResponse(
        {"authenticated": True, "principal": "user", "user": shown, "serverId": services.server_id}
    )
    _set_cookie(request, answer, token)
    return answer


async def _begin(services: Services, user_id: int, password_hash: str) -> tuple[str, dict[str, Any]]:
    session_id, secret = keys.generate_session()
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> dict[str, Any]:
        user = find_user(connection, row_id=user_id)
        if user is None or user.password_hash != password_hash:
            raise Problem(401, "the password was changed a moment ago", "log in with the new one")
        add_session(
            connection,
            (sessions.c.user_id, user_id),
            (session_id, keys.digest(secret)),
            now_unix_ns=now_ns,
            expires_unix_ns=now_ns + SESSION_S * 10**9,
        )
        _tell(connection, user, Deed("session.create", "session", session_id), now_ns)
        return _shown(connection, user)

    shown = await services.write(change)
    return keys.render(session_id, secret, prefix=SESSION_PREFIX), shown


def _tell(connection: Connection, user: Any, deed: Deed, now_ns: int) -> None:
    """Write a person's own deed into the record of each of their workspaces."""
    for row in roles_of(connection, user.id):
        record(connection, row.id, Actor("user", user.public_id), deed, now_unix_ns=now_ns)


async def login_key(request: Request) -> JSONResponse:
    """Begin a session of the key that this request carries, for a browser to hold in the key's place."""
    services, principal = services_of(request), bearer_of(request)
    if principal.is_person or not request.headers.get("authorization"):
        raise Problem(403, "this request carries no API key to sign in with", "send it as a bearer")
    session_id, secret = keys.generate_session()
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> dict[str, Any]:
        add_session(
            connection,
            (key_sessions.c.key_id, principal.key_id),
            (session_id, keys.digest(secret)),
            now_unix_ns=now_ns,
            expires_unix_ns=now_ns + SESSION_S * 10**9,
        )
        _tell_of_key(connection, principal, Deed("session.create", "session", session_id), now_ns)
        return _key(connection, principal)

    shown = await services.write(change)
    answer = JSONResponse({"authenticated": True, **shown, "serverId": services.server_id})
    _set_cookie(request, answer, keys.render(session_id, secret, prefix=SESSION_PREFIX))
    return answer


def _tell_of_key(connection: Connection, principal: Principal, deed: Deed, now_ns: int) -> None:
    record(connection, principal.home_workspace_id, principal.doer, deed, now_unix_ns=now_ns)


def _set_cookie(request: Request, answer: JSONResponse, token: str) -> None:
    answer.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=SESSION_S if token else 0,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


async def logout(request: Request) -> JSONResponse:
    """End the session of this request; a key by itself has none to end."""
    services, principal = services_of(request), bearer_of(request)
    parts = keys.parse(request.cookies.get(SESSION_COOKIE, ""), prefix=SESSION_PREFIX)
    if parts is None or request.headers.get("authorization"):
        raise Problem(403, "an API key has no session", "revoke it, or log in as a person")
    session_id, now_ns = parts[0], services.clock.time_unix_ns()
    deed = Deed("session.end", "session", session_id)

    def change(connection: Connection) -> None:
        if principal.is_person:
            end_session(connection, sessions, session_id)
            user = find_user(connection, public_id=principal.doer.id)
            _tell(connection, user, deed, now_ns)
        else:
            end_session(connection, key_sessions, session_id)
            _tell_of_key(connection, principal, deed, now_ns)

    await services.change_identities(change)
    answer = JSONResponse({"authenticated": False})
    _set_cookie(request, answer, "")
    return answer


async def password(request: Request) -> JSONResponse:
    """Give oneself another password; every session of the person ends."""
    services = services_of(request)
    principal = _a_person(request)
    arguments = await of_body(request)
    current, wanted = arguments.text("currentPassword"), arguments.text("newPassword")
    check_new(wanted)
    source, now_s = f"own:{principal.doer.id}", services.clock.monotonic_s()
    wait_s = services.account_logins.take(source, now_s)
    if wait_s > 0:
        raise Problem(429, "too many attempts", "wait, then try again", retry_after_s=ceil(wait_s))
    user = await services.read(lambda connection: find_user(connection, public_id=principal.doer.id))
    if user is None or not await services.passwords.is_right(current, user.password_hash):
        raise Problem(403, "the current password is wrong", "nothing was changed")
    services.account_logins.give_back(source)
    hashed = await services.passwords.hash(wanted)
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> None:
        set_password(connection, user.id, hashed)
        _tell(connection, user, Deed("user.password", "user", user.public_id), now_ns)

    await services.change_identities(change)
    return JSONResponse({"userId": user.public_id})


def _a_person(request: Request) -> Principal:
    principal = bearer_of(request)
    if not principal.is_person:
        raise Problem(403, "an API key has no session and no password", "log in as a person")
    return principal


async def capabilities(request: Request) -> JSONResponse:
    """Say what this server can do, for command lines."""
    return JSONResponse(
        {
            "version": __version__,
            "serverId": services_of(request).server_id,
            "auth": ["api_key", "credentials"],
            "scopes": sorted(SCOPES),
        }
    )


ROUTES: Final = [
    Route("/api/v1/auth/whoami", whoami, methods=["GET"]),
    Route(LOGIN_PATH, login, methods=["POST"]),
    Route("/api/v1/auth/login/key", login_key, methods=["POST"]),
    Route("/api/v1/auth/logout", logout, methods=["POST"]),
    Route("/api/v1/auth/password", password, methods=["POST"]),
    Route("/api/v1/cli/capabilities", capabilities, methods=["GET"]),
]
