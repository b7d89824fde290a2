"""The published 1.0 client's way in: POST /api/v1/ingest/metrics, /logs, /traces. Answered after the commit.

Its records go into the same rows as OTLP's. A record that cannot be kept is counted and named in the
answer; the rest of its request is stored, and the client counts the difference as lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.routing import Route

from rundial.server import keys
from rundial.server.answers import Answer
from rundial.server.bodies import MAX_JSON_BYTES, unpack
from rundial.server.jsonrecords import decode_json
from rundial.server.keys import Principal
from rundial.server.problems import busy
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.rows import Decoded, Delivery, Signal
from rundial.server.security import REQUEST_ID
from rundial.server.services import principal_of, services_of
from rundial.server.store.places import Project


async def metrics(request: Request) -> Answer:
    """Take points."""
    principal = principal_of(request, keys.METRICS_WRITE)
    return await _take(request, "metrics", principal)


async def logs(request: Request) -> Answer:
    """Take text lines."""
    principal = principal_of(request, keys.LOGS_WRITE)
    return await _take(request, "logs", principal)


async def traces(request: Request) -> Answer:
    """Take spans."""
    principal = principal_of(request, keys.TRACES_WRITE)
    return await _take(request, "traces", principal)


async def _take(request: Request, signal: Signal, principal: Principal) -> Answer:
    services = services_of(request)
    if not services.writer.has_room():
        raise busy("the server's write queue is full")
    body = await services.bodies.read(request)
    encoding = request.headers.get("content-encoding", "")
    decoded = await services.decode(
        lambda: decode_json(signal, unpack(body, encoding, max_bytes=MAX_JSON_BYTES))
    )
    received_ns = services.clock.time_unix_ns()

    def store(connection: Connection) -> None:
        for delivery in _placed(connection, principal, decoded):
            problem = services.intake.store(connection, principal, delivery, received_ns)
            if problem is not None:
                raise problem

    # A client's report of its own losses is no record of the request.
    accepted = sum(delivery.items() - len(delivery.events) for delivery in decoded.deliveries)
    if decoded.deliveries:
        await services.write(store, weight=max(1, accepted))
    services.telemetry.count_records(signal, accepted=accepted, refused=decoded.refusals.items)
    answer = {"accepted": accepted, "requestId": request.scope[REQUEST_ID]}
    if decoded.refusals.items:
        answer |= {"rejected": decoded.refusals.items, "reasons": decoded.refusals.reasons}
    return Answer(answer)


def _placed(connection: Connection, principal: Principal, decoded: Decoded) -> list[Delivery]:
    """The deliveries with their projects by name.

    Raises:
        Problem: 404, one of the projects is not there for this key; nothing of the request is stored.
    """
    known: dict[str, Project] = {}
    placed = []
    for delivery in decoded.deliveries:
        public_id = delivery.target.project
        project = known.get(public_id) or need_project_by_id(connection, principal, public_id)
        known[public_id] = project
        target = replace(
            delivery.target,
            workspace=project.workspace.slug,
            project=project.slug,
            project_name=project.name,
        )
        placed.append(replace(delivery, target=target))
    return placed


ROUTES: Final = [
    Route("/api/v1/ingest/metrics", metrics, methods=["POST"]),
    Route("/api/v1/ingest/logs", logs, methods=["POST"]),
    Route("/api/v1/ingest/traces", traces, methods=["POST"]),
]
