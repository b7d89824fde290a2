"""GET /health/live, /health/ready and /metrics.

`live` says that the process answers; a supervisor restarts it when it does not. `ready` says that it takes
records: not while it is leaving, nor while its store cannot be read or, within 10 s, could not be written.
Both need no key.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rundial.server.keys import STREAM_READ
from rundial.server.problems import Problem, busy
from rundial.server.services import principal_of, services_of
from rundial.server.store.events import EventStore
from rundial.server.store.tables import facts

# The version of the text form that Prometheus' own library writes.
_OPERATORS_WORKSPACE: Final = 1  # the first start's; others are their people's
_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"


async def live(_request: Request) -> JSONResponse:
    """Say that the process answers."""
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> JSONResponse:
    """Say that the server is ready; 503 while it takes no records."""
    services = services_of(request)
    if services.draining.is_set() or not services.writer.is_alive:
        raise busy("the server is shutting down")
    try:
        await services.read(lambda connection: _look(connection, services.events))
    except SQLAlchemyError as error:
        raise busy("the store cannot be read") from error
    if services.store.is_broken(services.clock.monotonic_s()):
        raise busy("the store could not be written a moment ago")
    return JSONResponse({"status": "ready", "serverId": services.server_id})


async def metrics(request: Request) -> Response:
    """Show the server's counters, to a key of whoever runs it."""
    principal = principal_of(request, STREAM_READ)
    is_of_operators = principal.project_id is None and principal.sees_workspace(_OPERATORS_WORKSPACE)
    if principal.is_person or not is_of_operators:
        raise Problem(
            403,
            "this key sees no counters of the whole server",
            f"use a key with {STREAM_READ} of the whole of the workspace that the first start made",
        )
    return Response(services_of(request).telemetry.exposition(), headers={"content-type": _EXPOSITION})


def _look(connection: Connection, events: EventStore) -> None:
    connection.execute(select(facts.c.name).limit(1))
    events.check()


ROUTES: Final = [
    Route("/health/live", live, methods=["GET"]),
    Route("/health/ready", ready, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
]
