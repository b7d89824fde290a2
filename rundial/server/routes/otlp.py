"""OTLP/HTTP: POST /v1/metrics, /v1/logs, /v1/traces, in protobuf or JSON. Answered after the commit."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.bodies import MAX_JSON_BYTES, unpack
from rundial.server.ingest import answer, decode
from rundial.server.otlpjson import decode_otlp_json, encode_otlp_json
from rundial.server.problems import Problem
from rundial.server.rows import Decoded, Signal
from rundial.server.services import principal_of, services_of
from rundial.server.taking import SCOPES, need_room, take

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"


async def metrics(request: Request) -> Response:
    """Take points."""
    return await _take(request, "metrics")


async def logs(request: Request) -> Response:
    """Take text lines and run events."""
    return await _take(request, "logs")


async def traces(request: Request) -> Response:
    """Take spans."""
    return await _take(request, "traces")


async def _take(request: Request, signal: Signal) -> Response:
    principal, services = principal_of(request, *SCOPES[signal]), services_of(request)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in (PROTOBUF, JSON):
        raise Problem(
            415, f"content-type {content_type[:80]!r} is not read here", f"send {PROTOBUF} or {JSON}"
        )
    need_room(services)
    body = await services.bodies.read(request)
    encoding = request.headers.get("content-encoding", "")
    is_json = content_type == JSON
    refusals = await take(
        services, principal, signal, lambda: _decode(signal, body, encoding, is_json=is_json)
    )
    found = answer(signal, refusals)
    # The answer is in the request's own form, as OTLP wants it.
    encoded = encode_otlp_json(found) if is_json else found.SerializeToString()
    return Response(encoded, media_type=content_type)


def _decode(signal: Signal, body: bytes, encoding: str, *, is_json: bool) -> Decoded:
    if is_json:
        return decode_otlp_json(signal, unpack(body, encoding, max_bytes=MAX_JSON_BYTES))
    return decode(signal, unpack(body, encoding))


ROUTES: Final = [
    Route("/v1/metrics", metrics, methods=["POST"]),
    Route("/v1/logs", logs, methods=["POST"]),
    Route("/v1/traces", traces, methods=["POST"]),
]
