"""OTLP/HTTP: POST /v1/metrics, /v1/logs, /v1/traces, in protobuf or JSON. Answered after the commit."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server import keys
from rundial.server.bodies import MAX_JSON_BYTES, unpack
from rundial.server.ingest import answer, decode
from rundial.server.keys import Principal
from rundial.server.otlpjson import decode_otlp_json, encode_otlp_json
from rundial.server.problems import Problem, busy
from rundial.server.rows import Decoded, Delivery, Refusals, Signal
from rundial.server.services import Services, principal_of, services_of

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"


async def metrics(request: Request) -> Response:
    """Take points."""
    principal = principal_of(request, keys.METRICS_WRITE)
    return await _take(request, "metrics", principal)


async def logs(request: Request) -> Response:
    """Take text lines and run events."""
    # A run's start and end are log records too: a key that may write its points alone must carry them.
    principal = principal_of(request, *keys.WRITE_SCOPES)
    return await _take(request, "logs", principal)


async def traces(request: Request) -> Response:
    """Take spans."""
    principal = principal_of(request, keys.TRACES_WRITE)
    return await _take(request, "traces", principal)


async def _take(request: Request, signal: Signal, principal: Principal) -> Response:
    services = services_of(request)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in (PROTOBUF, JSON):
        raise Problem(
            415, f"content-type {content_type[:80]!r} is not read here", f"send {PROTOBUF} or {JSON}"
        )
    if not services.writer.has_room():
        raise busy("the server's write queue is full")  # before the body is read: it would only take memory
    body = await services.bodies.read(request)
    encoding = request.headers.get("content-encoding", "")
    is_json = content_type == JSON
    decoded = await services.decode(lambda: _decode(signal, body, encoding, is_json=is_json))
    refusals = await _store(services, principal, decoded)
    items = sum(delivery.items() for delivery in decoded.deliveries)
    refused_later = refusals.items - decoded.refusals.items
    services.telemetry.count_records(signal, accepted=items - refused_later, refused=refusals.items)
    found = answer(signal, refusals)
    # The answer is in the request's own form, as OTLP wants it.
    encoded = encode_otlp_json(found) if is_json else found.SerializeToString()
    return Response(encoded, media_type=content_type)


def _decode(signal: Signal, body: bytes, encoding: str, *, is_json: bool) -> Decoded:
    if is_json:
        return decode_otlp_json(signal, unpack(body, encoding, max_bytes=MAX_JSON_BYTES))
    return decode(signal, unpack(body, encoding))


async def _store(services: Services, principal: Principal, decoded: Decoded) -> Refusals:
    received_ns = services.clock.time_unix_ns()

    def store(connection: Connection) -> Refusals:
        refusals = Refusals(decoded.refusals.items, list(decoded.refusals.reasons))
        forbidden: list[Problem] = []
        for delivery in deliveries:
            problem = _unwritable(principal, delivery)
            problem = problem or services.intake.store(connection, principal, delivery, received_ns)
            if problem is not None:
                forbidden.append(problem)
                refusals.add(delivery.items(), problem.message)
        # Of a deleted run the sender is told by the count, and keeps nothing for it.
        forbidden = [each for each in forbidden if each.status == 403]
        if forbidden and len(forbidden) == len(decoded.deliveries):
            raise forbidden[0]  # nothing of it may be written: the sender keeps it until it may
        return refusals

    if not decoded.deliveries:
        return decoded.refusals
    # Several servers on one database take the locks of the runs in one order, and never wait in a ring.
    deliveries = sorted(decoded.deliveries, key=lambda each: each.target.place)
    weight = sum(delivery.items() for delivery in deliveries)
    return await services.write(store, weight=max(1, weight), locks=deliveries[0].target.place)


def _unwritable(principal: Principal, delivery: Delivery) -> Problem | None:
    """What forbids a delivery of text to a key that may write events alone."""
    if not delivery.texts or principal.may(keys.LOGS_WRITE):
        return None
    return Problem(
        403,
        f"this key may not do that; it lacks {keys.LOGS_WRITE}",
        f"use a key with the scope {keys.LOGS_WRITE}",
    )


ROUTES: Final = [
    Route("/v1/metrics", metrics, methods=["POST"]),
    Route("/v1/logs", logs, methods=["POST"]),
    Route("/v1/traces", traces, methods=["POST"]),
]
