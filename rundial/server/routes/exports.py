"""POST /api/v1/export/{metrics,logs,evals}/file: all that a run, or an evaluation run, holds as one file.

One state of the database, however long it takes; streamed, so neither side holds the whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Final

from anyio import to_thread
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.arguments import Arguments, of_body, time_range
from rundial.server.keys import PROJECT_READ
from rundial.server.livestreams import Stream
from rundial.server.routes.logs import level_of
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.services import Services, principal_of, services_of
from rundial.server.store.evals import need_eval_run, result_rows
from rundial.server.store.history import need_run
from rundial.server.tabular import FORMATS, Column, need_format, written

_MS: Final = 1_000_000
# The first four, and the first four of the lines, are those of the published client's files.
POINT_COLUMNS: Final = (
    Column("metricKey", "text"),
    Column("step", "int"),
    Column("timestampMs", "int"),
    Column("value", "float"),
    Column("timestampNs", "time"),
    Column("context", "text"),
    Column("instanceId", "text"),
    Column("attempt", "int"),
)
LINE_COLUMNS: Final = (
    Column("timestampMs", "int"),
    Column("sequence", "int"),
    Column("level", "text"),
    Column("message", "text"),
    Column("timestampNs", "time"),
    Column("step", "int"),
    Column("traceId", "text"),
    Column("spanId", "text"),
    Column("attributes", "text"),
    Column("truncated", "bool"),
)

RESULT_COLUMNS: Final = (
    Column("exampleId", "text"),
    Column("scorer", "text"),
    Column("score", "float"),
    Column("passed", "bool"),
    Column("timestampMs", "int"),
    Column("traceId", "text"),
    Column("spanId", "text"),
    Column("evidenceRef", "text"),
    Column("meta", "text"),
)

_Batches = Iterator[list[tuple[Any, ...]]]


async def metrics(request: Request) -> Response:
    """Give every stored point of a run as a file."""
    arguments = await of_body(request)
    points = services_of(request).events.points
    names, times = arguments.texts("metricKeys"), time_range(arguments)
    return await file_of(
        request,
        arguments,
        "points",
        POINT_COLUMNS,
        lambda connection, run: points.rows(connection, run, names, times),
    )


async def logs(request: Request) -> Response:
    """Give every text line of a run as a file."""
    arguments = await of_body(request)
    stored, times = services_of(request).events.lines, time_range(arguments)

    def lines(connection: Connection, run: int) -> _Batches:
        for rows in stored.rows(connection, run, times):
            yield [_line(*row) for row in rows]

    return await file_of(request, arguments, "lines", LINE_COLUMNS, lines)


def _line(  # noqa: PLR0913 -- the columns of a row
    time: int,
    seq: int,
    severity: int,
    body: str,
    step: int | None,
    trace_id: bytes | None,
    span_id: bytes | None,
    attributes: str,
    is_truncated: bool,
) -> tuple[Any, ...]:
    return (
        time // _MS,
        seq if seq >= 0 else None,
        level_of(severity),
        body,
        time,
        step,
        bytes(trace_id).hex() if trace_id else None,
        bytes(span_id).hex() if span_id else None,
        attributes or "{}",
        bool(is_truncated),
    )


async def evals(request: Request) -> Response:
    """Give every result of an evaluation run as a file."""
    arguments = await of_body(request)
    return await file_of(request, arguments, "results", RESULT_COLUMNS, result_rows)


async def file_of(
    request: Request,
    arguments: Arguments,
    subject: str,
    columns: tuple[Column, ...],
    rows: Callable[[Connection, int], _Batches],
) -> Response:
    """Answer with rows of a run as a file.

    Args:
        request: By whoever asks.
        arguments: Its `projectId`, `runId` and `format`.
        subject: What the file holds, for its name.
        columns: As many as each row has values.
        rows: Yields some thousand rows each time, read in the connection's transaction.
    """
    principal = principal_of(request, PROJECT_READ)
    services = services_of(request)
    is_of_run = columns is not RESULT_COLUMNS
    project_id, owner_id = arguments.text("projectId"), arguments.text("runId" if is_of_run else "evalRunId")
    name = arguments.one_of("format", tuple(FORMATS))
    need_format(name)

    def find(connection: Connection) -> int:
        project = need_project_by_id(connection, principal, project_id)
        need = need_run if is_of_run else need_eval_run
        return int(need(connection, project.id, owner_id).id)

    owner = await services.read(find)
    services.exports.need_room()
    media_type, ending = FORMATS[name]
    return Stream(
        lambda: _chunks(services, lambda connection: written(name, columns, rows(connection, owner))),
        media_type,
        # The id of a run, of either kind, is letters, digits, '.', '_' and '-'.
        {"content-disposition": f'attachment; filename="{owner_id}-{subject}.{ending}"'},
    )


async def _chunks(
    services: Services, made: Callable[[Connection], Iterator[bytes]]
) -> AsyncGenerator[bytes, None]:
    """Pieces of a file, made one after the other in a reading transaction of their own."""
    async with services.exports.one():
        connection = await to_thread.run_sync(services.engines.reading.connect)
        try:
            await to_thread.run_sync(connection.begin)
            pieces = made(connection)
            while (piece := await to_thread.run_sync(next, pieces, None)) is not None:
                if services.exports.is_closed:
                    raise ConnectionAbortedError("the server is shutting down")
                if piece:
                    yield piece
        finally:
            connection.close()


ROUTES: Final = [
    Route("/api/v1/export/metrics/file", metrics, methods=["POST"]),
    Route("/api/v1/export/logs/file", logs, methods=["POST"]),
    Route("/api/v1/export/evals/file", evals, methods=["POST"]),
]
