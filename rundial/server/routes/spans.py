"""GET /api/v1/workspaces/{w}/projects/{p}/runs/{id}/spans: a run's spans by start time."""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import Arguments, of_query, page
from rundial.server.keys import PROJECT_READ
from rundial.server.problems import invalid
from rundial.server.routes.workspaces import need_project
from rundial.server.rows import SPAN_INTERRUPTED, SPAN_RUNNING
from rundial.server.runlife import status_at
from rundial.server.services import principal_of, services_of
from rundial.server.store.events import Branch, StoredSpan
from rundial.server.store.history import need_run


async def spans(request: Request) -> Answer:
    """List spans, open and interrupted ones included."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, cursor = arguments.limit(200), arguments.cursor(int, int)
    place = request.path_params
    branch = _branch(arguments)
    services = services_of(request)
    now_ns = services.clock.time_unix_ns()

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        run = need_run(connection, project.id, place["run_id"])
        after = (cursor[0], cursor[1]) if cursor else None
        rows = services.events.spans.branch(connection, run.id, branch, after=after, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        ended = [last.start_unix_ns, last.id] if last is not None else None
        is_over = (
            status_at(
                run.status,
                alive_ns=run.alive_unix_ns,
                now_unix_ns=now_ns,
                silence_ns=services.silence_ns,
                is_foreign=run.is_foreign,
            )
            != "running"
        )
        return {
            "runId": run.run_id,
            "spans": [_span(row, is_over=is_over) for row in rows[:limit]],
            "page": page(ended),
        }

    return Answer(await services.read(read))


def _branch(arguments: Arguments) -> Branch:
    trace, parent = arguments.optional_text("trace"), arguments.optional_text("parent")
    step = arguments.whole("step")
    if parent in (None, "none"):
        return Branch(_id("trace", trace, 16), is_top=parent == "none", step=step)
    if trace is None:
        raise invalid("a parent is a span of a trace, and none is named", "send trace as well")
    return Branch(_id("trace", trace, 16), _id("parent", parent, 8), step=step)


def _id(name: str, text: str | None, size: int) -> bytes | None:
    if text is None:
        return None
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        raise invalid(f"{name} {text[:80]!r} is not {2 * size} hexadecimal digits")
    return found


def _span(row: StoredSpan, *, is_over: bool) -> dict[str, object]:
    # Of a run that is over nothing runs; what its process had no time to say is said here.
    is_lost = is_over and row.state == SPAN_RUNNING
    return {
        "traceId": row.trace_id.hex(),
        "spanId": row.span_id.hex(),
        "parentSpanId": row.parent_span_id.hex() if row.parent_span_id else None,
        "name": row.name,
        "kind": row.kind,
        "startNs": str(row.start_unix_ns),
        "endNs": None if row.end_unix_ns is None else str(row.end_unix_ns),
        "durationNs": None if row.end_unix_ns is None else str(row.end_unix_ns - row.start_unix_ns),
        "childCount": row.child_count,
        "status": "error" if is_lost else row.status,
        "statusMessage": "the run ended before the span did" if is_lost else row.status_message,
        "interrupted": is_lost or row.state == SPAN_INTERRUPTED,
        "running": row.state == SPAN_RUNNING and not is_lost,
        "attributes": json.loads(row.attributes) if row.attributes else {},
        "events": json.loads(row.events) if row.events else [],
        "links": json.loads(row.links) if row.links else [],
    }


ROUTES: Final = [
    Route("/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}/spans", spans, methods=["GET"])
]
