"""Text lines: POST /api/v1/query/logs (newest first) and /api/v1/export/logs (oldest first)."""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import Arguments, of_body, page
from rundial.server.jsonrecords import CLIENT_SEQUENCE
from rundial.server.keys import PROJECT_READ
from rundial.server.routes.series import time_range
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.services import principal_of, services_of
from rundial.server.store.history import AnyRow, need_run
from rundial.server.store.streams import LineFilter, text_lines
from rundial.signals.semconv import SEVERITY, SEVERITY_TEXT

_MS: Final = 1_000_000


async def query(request: Request) -> Answer:
    """Show a run's text lines."""
    arguments = await of_body(request)
    is_newest_first = arguments.one_of("order", ("desc", "asc")) == "desc"
    return await _page(request, arguments, is_newest_first=is_newest_first)


async def export(request: Request) -> Answer:
    """Give a run's text lines in the order of their times."""
    arguments = await of_body(request)
    arguments.one_of("format", ("json",))
    return await _page(request, arguments, is_newest_first=False)


async def _page(request: Request, arguments: Arguments, *, is_newest_first: bool) -> Answer:
    principal = principal_of(request, PROJECT_READ)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    start, end = time_range(arguments)
    level = arguments.one_of("minLevel", ("trace", *list(SEVERITY)[1:]))
    # Foreign lines may carry no severity (0); "trace" means everything.
    min_severity = 0 if level == "trace" else SEVERITY[level]
    wanted = LineFilter(min_severity, arguments.optional_text("text") or "", start, end)
    limit, cursor = arguments.limit(200), arguments.cursor(int, int)

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id)
        rows = text_lines(
            connection,
            run.id,
            wanted,
            after=(cursor[0], cursor[1]) if cursor else None,
            limit=limit + 1,
            is_newest_first=is_newest_first,
        )
        last = rows[limit - 1] if len(rows) > limit else None
        ended = [last.time_unix_ns, last.id] if last is not None else None
        return {"runId": run_id, "rows": [_line(row) for row in rows[:limit]], "page": page(ended)}

    return Answer(await services_of(request).read(read))


def _line(row: AnyRow) -> dict[str, object]:
    attributes = json.loads(row.attributes) if row.attributes else {}
    return {
        "timestampMs": row.time_unix_ns // _MS,
        "timestampNs": str(row.time_unix_ns),
        # A line of the published client has a number that does not identify it.
        "sequence": row.seq if row.seq >= 0 else attributes.pop(CLIENT_SEQUENCE, None),
        "level": level_of(row.severity),
        "message": row.body,
        "truncated": row.is_truncated,
        "step": row.step,
        "traceId": row.trace_id.hex() if row.trace_id else None,
        "spanId": row.span_id.hex() if row.span_id else None,
        "attributes": attributes,
    }


def level_of(severity: int) -> str:
    """The level's name of an OTel severity number: each name stands for four numbers; 0 is info."""
    if not severity:
        return "info"
    return SEVERITY_TEXT[max(1, min(21, (severity - 1) // 4 * 4 + 1))].lower()


ROUTES: Final = [
    Route("/api/v1/query/logs", query, methods=["POST"]),
    Route("/api/v1/export/logs", export, methods=["POST"]),
]
