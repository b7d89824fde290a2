"""The guard before every route: which host, which origin, whose key. Also the headers after it.

It wraps the whole application, so a route that someone adds is guarded before it is thought of:
- Host must be a loopback name, the bound host, or one that was allowed; compared without the port.
  This is what stops a web page from reaching a local server by rebinding its own name.
- A method other than GET, HEAD and OPTIONS that carries an Origin must come from this very host.
- Every path but `/health/live`, `/health/ready`, the login and the pages of the web UI, which hold no data,
  needs a key or a session, also on loopback: other users and programs of the machine are on loopback too.
- A key or session that sends more than its rate is told when to come back; nothing of it is read.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rundial.server.blobs.tokens import PATH as BLOBS_PATH
from rundial.server.keys import Principal
from rundial.server.pace import Pace
from rundial.server.problems import Problem

_log: Final = logging.getLogger("rundial.server")

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOGIN_PATH: Final = "/api/v1/auth/login/credentials"
OPEN_PATHS: Final = frozenset({"/health/live", "/health/ready", LOGIN_PATH})
# The web UI's page and files: who is not signed in loads them to sign in.
PAGE_PATHS: Final = frozenset({"/", "/sign-in"})
PAGE_FOLDERS: Final = ("/w/", "/assets/")
PRINCIPAL: Final = "rundial.principal"
REQUEST_ID: Final = "rundial.request_id"

_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """ASGI middleware: lets a request through, or answers it with a problem.

    Args:
        app: What is guarded.
        allowed_hosts: Host names beside the loopback ones; ports are ignored.
        authenticate: Finds out who sends a request with these headers, or raises a problem.
        pace: Counts the requests of each key and session.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Iterable[str],
        authenticate: Callable[[Headers], Awaitable[Principal]],
        pace: Pace,
    ) -> None:
        self._app = app
        self._hosts = LOOPBACK | {host_name(host) for host in allowed_hosts if host}
        self._authenticate = authenticate
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # websockets are not spoken here
        request_id = scope[REQUEST_ID] = f"req_{secrets.token_hex(8)}"

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers["x-request-id"] = request_id
            await send(message)

        try:
            await self._check(scope)
        except Problem as problem:
            # The path as a literal: a line break in it must not begin a line of the log.
            _log.info("%s %.200r refused: %s", scope["method"], scope["path"], problem.message)
            await render(problem, request_id)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    async def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host_name(host) not in self._hosts:
            raise Problem(
                403,
                f"this server does not answer to the host {host[:200]!r}",
                "use 127.0.0.1 or localhost, or start the server with --allowed-host for this name",
            )
        if scope["method"] not in SAFE_METHODS:
            _check_origin(headers, host)
        if not _is_open(scope["method"], scope["path"]):
            principal = await self._authenticate(headers)
            self._pace.take(principal)
            scope[PRINCIPAL] = principal


def _is_open(method: str, path: str) -> bool:
    """Whether a request is let in without a key or a session."""
    if path in OPEN_PATHS or path.startswith(BLOBS_PATH):
        return True
    return method in SAFE_METHODS and (path in PAGE_PATHS or path.startswith(PAGE_FOLDERS))


def shown_path(path: str) -> str:
    """A path as it may stand in a log or an answer: without the token of a signed URL."""
    return f"{BLOBS_PATH}…" if path.startswith(BLOBS_PATH) else path[:200]


def host_name(host: str) -> str:
    """A Host header's name without its port, in lower case; brackets of an IPv6 address are dropped."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    # More than one colon and no brackets is a bare IPv6 address, which carries no port.
    return text if text.count(":") > 1 else text.partition(":")[0]


def render(problem: Problem, request_id: str) -> JSONResponse:
    """A problem as the response that is sent."""
    headers: dict[str, str] = {}
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(problem.retry_after_s)
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(problem.body(request_id), problem.status, headers)


def _check_origin(headers: Headers, host: str) -> None:
    """Refuse what a web page of another origin sends; programs send no Origin."""
    origin = headers.get("origin")
    # The Host was checked before, so an Origin equal to it is our own; whole texts, no patterns.
    is_foreign = origin is not None and origin.lower() not in {
        f"http://{host.lower()}",
        f"https://{host.lower()}",
    }
    if is_foreign or headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Problem(
            403,
            f"requests from the origin {str(origin)[:200]!r} are not answered",
            "call the API from a program, or from the server's own pages",
        )
