"""The application: its parts, its route table, and the guard around both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from rundial.clock import Clock
from rundial.server.authentication import authenticate
from rundial.server.blobs.opening import BlobOptions, open_artifacts
from rundial.server.bodies import BodyReader
from rundial.server.doors import Doors
from rundial.server.janitor import Janitor
from rundial.server.known import Known
from rundial.server.owner import prepare
from rundial.server.ownotel import OwnOtel
from rundial.server.pace import Pace
from rundial.server.problems import Problem
from rundial.server.routes import (
    agents,
    apikeys,
    artifacts,
    audit,
    auth,
    blobs,
    control,
    curves,
    datapoints,
    evaldiff,
    evals,
    exports,
    fields,
    health,
    ingest,
    livepoints,
    logs,
    media,
    members,
    openapi,
    otlp,
    pages,
    runedits,
    runs,
    series,
    spans,
    targets,
    traces,
    uploads,
    workspaces,
)
from rundial.server.runlife import DEFAULT_SILENCE_S
from rundial.server.security import REQUEST_ID, Guard, render, shown_path
from rundial.server.services import Services
from rundial.server.store.apikeys import keep_uses
from rundial.server.store.clickhouse.store import need_no_clickhouse, open_clickhouse
from rundial.server.store.engine import Engines, open_engines
from rundial.server.store.events import EventStore
from rundial.server.store.intake import Intake
from rundial.server.store.sqlevents import SqlEvents
from rundial.server.store.transfer import check_finished
from rundial.server.telemetry import Observed, Telemetry
from rundial.server.writer import Writer

_log: Final = logging.getLogger("rundial.server")

_ROUTES: Final = [
    *health.ROUTES,
    *otlp.ROUTES,
    *ingest.ROUTES,
    *auth.ROUTES,
    *workspaces.ROUTES,
    *members.ROUTES,
    *apikeys.ROUTES,
    *agents.ROUTES,
    *audit.ROUTES,
    *targets.ROUTES,
    *runs.ROUTES,
    *fields.ROUTES,
    *runedits.ROUTES,
    *control.ROUTES,
    *series.ROUTES,
    *curves.ROUTES,
    *datapoints.ROUTES,
    *exports.ROUTES,
    *livepoints.ROUTES,
    *logs.ROUTES,
    *spans.ROUTES,
    *traces.ROUTES,
    *uploads.ROUTES,
    *artifacts.ROUTES,
    *blobs.ROUTES,
    *media.ROUTES,
    *evals.ROUTES,
    *evaldiff.ROUTES,
    *openapi.ROUTES,
    *pages.ROUTES,
]


def open_services(  # noqa: PLR0913 -- one argument an option of the server
    data_dir: Path,
    clock: Clock,
    *,
    bodies: BodyReader | None = None,
    silence_s: float = DEFAULT_SILENCE_S,
    blob_options: BlobOptions | None = None,
    database: str | None = None,
    events: str | None = None,
    otel: OwnOtel | None = None,
) -> Services:
    """Open a data directory, and the database, and start its writer.

    Args:
        data_dir: An existing directory; no other server uses it, unless a database is named.
        clock: Stamps arrivals.
        bodies: Bounds on bodies; the usual ones when None.
        silence_s: How long a run that sent heartbeats may be silent before it has crashed, seconds.
        blob_options: Where the bytes of artifacts are kept; in the data directory when None.
        database: As `open_engines`.
        events: `clickhouse://…`, where points, text lines and spans are; None is the database.
        otel: Where the server's own spans and metrics go; None for nowhere.

    Raises:
        ConfigError: The database cannot be used, or the directory holds what this server cannot use.
    """
    engines = open_engines(data_dir, database)
    try:
        with engines.writing.begin() as connection:
            check_finished(connection, engines.where)
            server_id = prepare(connection, data_dir, clock)
        stored = _open_events(events, engines, server_id)
    except BaseException:
        engines.close()
        raise
    intake = Intake(stored)
    writer = Writer(engines, stored, on_rollback=intake.forget)
    silence_ns = int(silence_s * 1e9)
    artifacts = open_artifacts(data_dir, clock, blob_options or BlobOptions())
    janitor = Janitor(writer, clock, stored, on_deletion=intake.forget)
    known = Known(remembers=not engines.is_shared)
    bodies = bodies or BodyReader()
    gauges = {"waiting_rows": lambda: writer.waiting_weight, "held_body_bytes": lambda: bodies.held_bytes}
    telemetry = Telemetry(gauges, otel)
    return Services(
        server_id,
        engines,
        writer,
        intake,
        stored,
        bodies,
        clock,
        silence_ns,
        artifacts,
        janitor,
        telemetry,
        known=known,
    )


def _open_events(url: str | None, engines: Engines, server_id: str) -> EventStore:
    if url is not None:
        return open_clickhouse(url, engines, server_id)
    with engines.reading.begin() as connection:
        need_no_clickhouse(connection, engines.where)
    return SqlEvents()


def close_services(services: Services) -> None:
    """Finish what was accepted and close the store; blocks until it is done."""
    services.janitor.close()
    uses = services.known.all_uses()
    if uses:
        with suppress(Problem):  # when each key was used last is not worth more than one attempt
            services.writer.submit(lambda connection: keep_uses(connection, uses))
    services.writer.close()
    services.events.close()
    services.engines.close()
    if services.telemetry.otel is not None:
        services.telemetry.otel.close()


def build_app(
    services: Services, doors: Doors | None = None, *, host: str = "", pace: Pace | None = None
) -> ASGIApp:
    """Make the guarded application.

    Args:
        services: The parts; closed when the application shuts down.
        doors: How it is reached; the usual ones when None.
        host: The name or address that is bound.
        pace: Counts the requests of each key; one of its own when None.
    """
    doors = doors or Doors()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(services.sweeper.run(services))
        yield
        await services.roller.close()
        sweeping.cancel()
        await to_thread.run_sync(close_services, services)

    app = Starlette(
        routes=_ROUTES,
        lifespan=lifespan,
        exception_handlers={Problem: _problem, HTTPException: _http_problem, Exception: _failure},
    )
    # A path is answered or it is not; nothing is sent on to another one.
    app.router.redirect_slashes = False
    app.state.services = services
    guarded = Guard(
        app,
        allowed_hosts=[host, *doors.allowed_hosts],
        authenticate=partial(authenticate, services),
        pace=pace or Pace(doors.requests_per_minute, services.clock),
    )
    return Observed(guarded, app.routes, services.telemetry)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return render(error, request.scope[REQUEST_ID])


async def _http_problem(request: Request, error: Exception) -> Response:
    """The router's own answers (no such path, no such method) in our form."""
    assert isinstance(error, HTTPException)
    hints = {404: "see the API page of the documentation", 405: "the path exists, this method does not"}
    nothing = f"there is nothing at {shown_path(request.url.path)}"
    messages = {404: nothing, 405: "this method is not answered here"}
    message = messages.get(error.status_code, str(error.detail))
    return render(
        Problem(error.status_code, message, hints.get(error.status_code, "")), request.scope[REQUEST_ID]
    )


async def _failure(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, shown_path(request.url.path), exc_info=error)
    problem = Problem(500, "the server failed", "see the server's log", retry_after_s=5)
    return render(problem, request.scope[REQUEST_ID])
