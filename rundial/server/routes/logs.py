"""Text lines: POST /api/v1/query/logs (newest first) and /api/v1/export/logs (oldest first).

GET /api/v1/stream/logs sends them as they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.arguments import Arguments, of_body, of_query, page, time_range
from rundial.server.jsonrecords import CLIENT_SEQUENCE
from rundial.server.keys import PROJECT_READ, STREAM_READ
from rundial.server.lineseek import matcher, seek
from rundial.server.livestreams import Look, Stream, event, looks
from rundial.server.problems import invalid
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.services import Services, principal_of, services_of
from rundial.server.store.events import LineFilter, LineStore, StoredLine
from rundial.server.store.history import need_run
from rundial.signals.semconv import SEVERITY, SEVERITY_TEXT

_MS: Final = 1_000_000
_LIVE_ROWS: Final = 500
# How many stored lines a reader may be behind; more are quicker read page by page.
_MAX_LAG: Final = 20_000


async def query(request: Request) -> Response:
    """Show a run's text lines."""
    arguments = await of_body(request)
    is_newest_first = arguments.one_of("order", ("desc", "asc")) == "desc"
    return await _page(request, arguments, is_newest_first=is_newest_first)


async def export(request: Request) -> Response:
    """Give a run's text lines in the order of their times."""
    arguments = await of_body(request)
    arguments.one_of("format", ("json",))
    return await _page(request, arguments, is_newest_first=False)


async def _page(request: Request, arguments: Arguments, *, is_newest_first: bool) -> Response:
    principal = principal_of(request, PROJECT_READ)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    wanted = LineFilter(_min_severity(arguments), *time_range(arguments))
    matches = _matcher(arguments)
    limit, cursor = arguments.limit(200), arguments.cursor(int, int)
    services = services_of(request)

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id)
        found = seek(
            services.events.lines,
            connection,
            run.id,
            wanted,
            matches,
            after=(cursor[0], cursor[1]) if cursor else None,
            limit=limit,
            is_newest_first=is_newest_first,
            monotonic_s=services.clock.monotonic_s,
        )
        return {
            "runId": run_id,
            "rows": [_line(row) for row in found.rows],
            "page": page(None if found.ended is None else list(found.ended)),
            "searchCut": found.is_cut,
        }

    return await services.answer(read)


def _min_severity(arguments: Arguments) -> int:
    level = arguments.one_of("minLevel", ("trace", *list(SEVERITY)[1:]))
    # Foreign lines may carry no severity (0); "trace" means everything.
    return 0 if level == "trace" else SEVERITY[level]


def _matcher(arguments: Arguments) -> Callable[[str], bool] | None:
    return matcher(arguments.optional_text("text") or "", arguments.optional_text("pattern") or "")


async def stream(request: Request) -> Response:
    """Send a run's text lines as they are stored, as server-sent events."""
    principal = principal_of(request, STREAM_READ)
    services = services_of(request)
    arguments = of_query(request)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    severity, matches = _min_severity(arguments), _matcher(arguments)
    is_followed = arguments.one_of("follow", ("true", "false")) == "true"
    seen = request.headers.get("last-event-id", "")
    if seen and not (seen.isascii() and seen.isdecimal() and len(seen) < 19):
        raise invalid(
            "Last-Event-ID is not one of this server's", "leave it out to begin with what comes next"
        )

    def begin(connection: Connection) -> tuple[int, int]:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id)
        newest = services.events.lines.newest(connection)
        # What is beyond the newest is of another state of the database, such as that before it was restored.
        return run.id, min(int(seen), newest) if seen else newest

    row_id, after = await services.read(begin)
    services.streams.need_room()
    wanted = _Wanted(row_id, severity, matches, is_followed)
    look = _Looks(services, wanted, after)
    return Stream(lambda: looks(services.streams, services.clock, str(after), look.next))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a stream shows: a run, its least severity, which of its lines, and whether it waits for more."""

    run: int
    severity: int
    matches: Callable[[str], bool] | None
    is_followed: bool


class _Looks:
    """The looks of a stream at a run's lines; it ends when its reader lags."""

    def __init__(self, services: Services, wanted: _Wanted, after: int) -> None:
        self._services: Final = services
        self._wanted: Final = wanted
        self._after = after

    async def next(self) -> Look:
        """Find what is behind the look before."""
        wanted = self._wanted
        lines, after = self._services.events.lines, self._after
        rows, newest = await self._services.read(partial(_since, lines, wanted=wanted, after=after))
        shown = [row for row in rows if wanted.matches is None or wanted.matches(row.body)]
        sent = [event(_line(row), name="line", event_id=str(row.id)) for row in shown]
        self._after = after = rows[-1].id if rows else max(after, newest)
        is_more = len(rows) == _LIVE_ROWS
        end: dict[str, object] | None = None
        if is_more and newest - after > _MAX_LAG:
            end = {"reason": "slow", "behind": newest - after}
        elif not (is_more or wanted.is_followed):
            end = {"reason": "caught up"}
        return Look(str(after), sent, is_more, end)


def _since(
    lines: LineStore, connection: Connection, *, wanted: _Wanted, after: int
) -> tuple[Sequence[StoredLine], int]:
    newest = lines.newest(connection)
    if newest <= after:
        return [], newest
    return lines.since(connection, wanted.run, wanted.severity, after, _LIVE_ROWS), newest


def _line(row: StoredLine) -> dict[str, object]:
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
    Route("/api/v1/stream/logs", stream, methods=["GET"]),
]
