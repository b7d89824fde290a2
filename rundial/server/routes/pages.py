"""The web UI: one page for every address that people see, and the files that it loads.

Both are open: they hold no data, and whoever is not signed in must be able to load the page to sign in. All
that the page shows it asks of `/api/v1`, where the guard decides.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.problems import Problem
from rundial.server.services import services_of
from rundial.server.webfiles import WebFile, web_files

_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_ALWAYS_ASK: Final = "no-cache"


async def page(request: Request) -> Response:
    """Answer the page; which view it shows is in its address."""
    files = web_files()
    headers = {
        "cache-control": _ALWAYS_ASK,
        "content-security-policy": files.policy_with(services_of(request).blobs.elsewhere),
        "cross-origin-opener-policy": "same-origin",
        "x-frame-options": "DENY",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }
    return _answer(request, files.page(request.url.path), headers)


async def asset(request: Request) -> Response:
    """Answer a file of the page's version."""
    place = request.path_params
    found = web_files().get(place["digest"], place["name"])
    if found is None:
        raise Problem(404, "this file is not part of the server's web UI", "reload the page")
    return _answer(request, found, {"cache-control": _IMMUTABLE})


def _answer(request: Request, file: WebFile, headers: dict[str, str]) -> Response:
    headers = {**headers, "etag": file.etag, "vary": "accept-encoding"}
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if file.etag in known:
        return Response(status_code=304, headers=headers)
    accepted = {
        each.partition(";")[0].strip().lower()
        for each in request.headers.get("accept-encoding", "").split(",")
        if each.partition(";")[2].replace(" ", "") not in ("q=0", "q=0.0")
    }
    body = file.body
    if file.packed is not None and "gzip" in accepted:
        body, headers["content-encoding"] = file.packed, "gzip"
    return Response(body, headers={**headers, "content-type": file.content_type})


ROUTES: Final = [
    Route("/", page, methods=["GET"]),
    Route("/sign-in", page, methods=["GET"]),
    Route("/w/{place:path}", page, methods=["GET"]),
    Route("/assets/{digest}/{name:path}", asset, methods=["GET"]),
]
