"""Whose request it is: an API key in the header, or the session of a person who logged in.

A key that stands in the header is the only thing that counts, also when it is wrong: nobody is taken for
somebody else because a cookie lay about.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from rundial.server.keys import SESSION_PREFIX, Principal, StoredKey, parse
from rundial.server.problems import Problem
from rundial.server.services import Services

SESSION_COOKIE: Final = "rd_session"
_HINT: Final = (
    "send `authorization: Bearer rdk_…`, or log in; "
    "the owner's key is in owner.key in the server's data directory"
)


async def authenticate(services: Services, headers: Headers) -> Principal:
    """Find out who sends a request.

    Raises:
        Problem: 401, nobody that this server knows.
    """
    shown = headers.get("authorization", "")
    if shown:
        scheme, _, key = shown.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Problem(401, "this request carries no API key", _HINT)
        parts = parse(key)
        stored = await services.find_key(parts[0]) if parts else None
        principal = _opened(services, parts, stored)
        if principal is None:
            raise Problem(401, "this API key is unknown, expired or revoked", _HINT)
        services.note_use(principal.key_id)
        return principal
    token = cookie_parser(headers.get("cookie", "")).get(SESSION_COOKIE, "")
    if not token:
        raise Problem(401, "this request carries no API key and no session", _HINT)
    parts = parse(token, prefix=SESSION_PREFIX)
    stored = await services.find_session(parts[0]) if parts else None
    principal = _opened(services, parts, stored)
    if principal is None:
        raise Problem(401, "this session is unknown or over", "log in again")
    return principal


def _opened(services: Services, parts: tuple[str, str] | None, stored: StoredKey | None) -> Principal | None:
    if parts is None or stored is None or not stored.opens_with(parts[1], services.clock.time_unix_ns()):
        return None
    return stored.principal
