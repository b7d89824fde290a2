"""PUT and GET /api/v1/blobs/<token>: the local store's own signed URLs.

The token is the right, so the guard asks for no key here. A body streams to disk with a buffer in memory; a
download honours Range. What a browser could run is never handed out as what it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from anyio import CapacityLimiter, current_time, fail_after, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from rundial.server.blobs.local import LocalStore, disk_problem
from rundial.server.blobs.receiving import Receiving
from rundial.server.blobs.tokens import PATH
from rundial.server.problems import Problem, busy
from rundial.server.services import services_of

_BUFFER_BYTES: Final = 2**20
_SEND_BYTES: Final = 2**18
_MAX_AT_ONCE: Final = 128
# Between two pieces of a body: a client that hangs must not hold a place for ever.
_SILENCE_S: Final = 60.0
# Pictures that carry no script; everything else is a file to save.
_SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_WRITERS: Final = CapacityLimiter(8)


async def put(request: Request) -> Response:
    """Take the bytes that the token allows."""
    store, claims = _allowed(request, "put", "part")
    size = int(claims["size"])
    announced = request.headers.get("content-length", "")
    if not announced.isdecimal():
        raise Problem(411, "the request does not say how long its body is", "send a Content-Length")
    if int(announced) != size:
        raise Problem(
            400,
            f"the body has {int(announced):,} bytes and {size:,} were announced",
            "nothing was kept; the file may have changed: begin again with its size and sha256",
        )
    if _WRITERS.statistics().tasks_waiting > _MAX_AT_ONCE:
        raise busy("too many uploads at once")
    try:
        etag = await (_take_small if size <= _BUFFER_BYTES else _take_large)(request, store, claims)
    except ClientDisconnect as error:
        raise Problem(400, "the client hung up before its body ended", "send it again") from error
    except TimeoutError as error:
        raise Problem(
            408, f"nothing came for {_SILENCE_S:.0f} s", "nothing was kept; send it again"
        ) from error
    except FileNotFoundError as error:
        raise Problem(409, "this upload is over", "begin another one") from error
    except OSError as error:
        raise disk_problem(error, "these bytes") from error
    return Response(status_code=200, headers={"etag": etag})


async def _take_small(request: Request, store: LocalStore, claims: Mapping[str, Any]) -> str:
    """Take a body that fits one buffer: one way to a worker thread, of many small files the greatest cost."""
    pieces: list[bytes] = []
    count = 0
    with fail_after(_SILENCE_S) as patience:
        async for piece in request.stream():
            patience.deadline = current_time() + _SILENCE_S
            pieces.append(piece)
            count += len(piece)
            if count > _BUFFER_BYTES:
                break  # more than was announced: `finish` says so

    def keep() -> str:
        receiving = store.receive(claims)
        try:
            receiving.write(pieces)
            return receiving.finish()
        finally:
            receiving.close()

    return await to_thread.run_sync(keep, limiter=_WRITERS)


async def _take_large(request: Request, store: LocalStore, claims: Mapping[str, Any]) -> str:
    """Take a body of any size with a buffer in memory."""
    receiving = await to_thread.run_sync(store.receive, claims, limiter=_WRITERS)
    try:
        await _receive(request, receiving)
        return await to_thread.run_sync(receiving.finish, limiter=_WRITERS)
    finally:
        await to_thread.run_sync(receiving.close, limiter=_WRITERS)


async def _receive(request: Request, receiving: Receiving) -> None:
    pieces: list[bytes] = []
    count = 0
    with fail_after(_SILENCE_S) as patience:
        async for piece in request.stream():
            pieces.append(piece)
            count += len(piece)
            if count >= _BUFFER_BYTES:
                # The disk may be slower than that; it is the client's silence that counts.
                patience.deadline = math.inf
                await to_thread.run_sync(receiving.write, pieces, limiter=_WRITERS)
                pieces, count = [], 0
            patience.deadline = current_time() + _SILENCE_S
    await to_thread.run_sync(receiving.write, pieces, limiter=_WRITERS)


async def get(request: Request) -> Response:
    """Hand out a blob."""
    store, claims = _allowed(request, "get")
    path = store.file(str(claims["at"]))
    if not await to_thread.run_sync(path.is_file):
        raise Problem(404, "these bytes are not here any more", "the artifact was deleted")
    kind = str(claims["type"]).lower()
    is_shown = kind in _SHOWN
    response = FileResponse(
        path,
        media_type=kind if is_shown else "application/octet-stream",
        headers={
            "content-disposition": _disposition(str(claims["name"]), is_shown=is_shown),
            "cache-control": "private, max-age=3600, immutable",
            "etag": f'"{path.name.partition("-")[0]}"',
        },
    )
    response.chunk_size = _SEND_BYTES
    return response


def _disposition(name: str, *, is_shown: bool) -> str:
    # Encoded throughout: a user's name never breaks out of a header.
    return f"{'inline' if is_shown else 'attachment'}; filename*=UTF-8''{quote(name, safe='')}"


def _allowed(request: Request, *deeds: str) -> tuple[LocalStore, Mapping[str, Any]]:
    store = services_of(request).blobs
    claims = store.claims(request.path_params["token"]) if isinstance(store, LocalStore) else None
    if not isinstance(store, LocalStore) or claims is None or claims["do"] not in deeds:
        raise Problem(
            403,
            "this URL has expired, was changed, or is for something else",
            "ask for a fresh one: POST /api/v1/artifacts/upload or /api/v1/artifacts/download",
        )
    return store, claims


ROUTES: Final = [
    Route(PATH + "{token}", put, methods=["PUT"]),
    Route(PATH + "{token}", get, methods=["GET", "HEAD"]),
]
