"""GET /api/v1/workspaces/{w}/projects/{p}/runs/{id}/spans: a run's spans by start time."""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.arguments import Arguments, of_query, page
from rundial.server.genai.lines import told
from rundial.server.keys import PROJECT_READ
from rundial.server.problems import invalid
from rundial.server.routes.workspaces import need_project
from rundial.server.rows import SPAN_INTERRUPTED, SPAN_RUNNING
from rundial.server.runlife import status_at
from rundial.server.services import principal_of, services_of
from rundial.server.spanview import MAX_TOLD, as_json, as_list
from rundial.server.store.events import Branch, StoredSpan
from rundial.server.store.history import need_run
from rundial.server.store.traces import instance_names


async def spans(request: Request) -> Response:
    """List spans, open and interrupted ones included."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, cursor = arguments.limit(200), arguments.cursor(int, int)
    place = request.path_params
    branch = _branch(arguments)
    is_newest_first = arguments.one_of("order", ("asc", "desc")) == "desc"
    services = services_of(request)
    now_ns = services.clock.time_unix_ns()

    def read(connection: Connection) -> str:
        project = need_project(connection, principal, place["workspace"], place["project"])
        run = need_run(connection, project.id, place["run_id"])
        after = (cursor[0], cursor[1]) if cursor else None
        rows = services.events.spans.branch(
            connection, run.id, branch, after=after, limit=limit + 1, is_newest_first=is_newest_first
        )
        last = rows[limit - 1] if len(rows) > limit else None
        ended = [last.start_unix_ns, last.id] if last is not None else None
        seen = status_at(
            run.status,
            alive_ns=run.alive_unix_ns,
            now_unix_ns=now_ns,
            silence_ns=services.silence_ns,
            is_foreign=run.is_foreign,
        )
        if seen != "running":
            rows = [_of_the_past(row) for row in rows]
        names = instance_names(connection, (row.instance for row in rows))
        traces = sorted({row.trace_id for row in rows})
        events = told(services.events.lines.said(connection, [run.id], traces, MAX_TOLD))
        shown = [
            as_json(row, names[row.instance], f'"childCount":{row.child_count}', events)
            for row in rows[:limit]
        ]
        head = json.dumps({"runId": run.run_id, "page": page(ended)})
        return f'{head[:-1]},"spans":{as_list(shown)}}}'

    return Response(await services.read(read), media_type="application/json")


def _branch(arguments: Arguments) -> Branch:
    trace, parent = arguments.optional_text("trace"), arguments.optional_text("parent")
    step = arguments.whole("step")
    if parent in (None, "none"):
        return Branch(id_of("trace", trace, 16), is_top=parent == "none", step=step)
    if trace is None:
        raise invalid("a parent is a span of a trace, and none is named", "send trace as well")
    return Branch(id_of("trace", trace, 16), id_of("parent", parent, 8), step=step)


def _of_the_past(span: StoredSpan) -> StoredSpan:
    """A span of a run that is over: nothing runs; what its process had no time to say is said here."""
    if span.state != SPAN_RUNNING:
        return span
    words = "the run ended before the span did"
    return span._replace(state=SPAN_INTERRUPTED, status="error", status_message=words)


def id_of(name: str, text: str | None, size: int) -> bytes | None:
    """A trace's or span's id of so many bytes; None stays None.

    Raises:
        Problem: 400, it is not that many hexadecimal digits.
    """
    if text is None:
        return None
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        raise invalid(f"{name} {text[:80]!r} is not {2 * size} hexadecimal digits")
    return found


ROUTES: Final = [
    Route("/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}/spans", spans, methods=["GET"])
]
