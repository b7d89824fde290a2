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
from rundial.server.services import principal_of, services_of
from rundial.server.spanview import MAX_SPAN_BYTES, as_json, as_list, message_budget, settled
from rundial.server.store.budget import Budget
from rundial.server.store.events import Branch
from rundial.server.store.history import need_run
from rundial.server.store.traces import ended_runs, instance_names


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

    def read(connection: Connection) -> bytes:
        project = need_project(connection, principal, place["workspace"], place["project"])
        run = need_run(connection, project.id, place["run_id"])
        after = (cursor[0], cursor[1]) if cursor else None
        budget = Budget(MAX_SPAN_BYTES, limit)
        rows = services.events.spans.branch(
            connection,
            run.id,
            branch,
            after=after,
            budget=budget,
            is_newest_first=is_newest_first,
        )
        last = rows[-1] if budget.is_cut else None
        ended = [last.start_unix_ns, last.id] if last is not None else None
        is_over = run.id in ended_runs(connection, [run.id], now_ns, services.silence_ns)
        names = instance_names(connection, (row.instance for row in rows))
        shown_ids = [(row.trace_id, row.span_id) for row in rows]
        messages = message_budget(budget)
        events = told(services.events.lines.said(connection, [run.id], shown_ids, messages))
        shown = [
            as_json(row, names[row.instance], f'"childCount":{row.child_count}', events)
            for row in (settled(row, is_over=is_over) for row in rows)
        ]
        head = json.dumps({"runId": run.run_id, "messagesTruncated": messages.is_cut, "page": page(ended)})
        return f'{head[:-1]},"spans":{as_list(shown)}}}'.encode()

    return Response(await services.read(read), media_type="application/json")


def _branch(arguments: Arguments) -> Branch:
    trace, parent = arguments.optional_text("trace"), arguments.optional_text("parent")
    step = arguments.whole("step")
    if parent in (None, "none"):
        return Branch(id_of("trace", trace, 16), is_top=parent == "none", step=step)
    if trace is None:
        raise invalid("a parent is a span of a trace, and none is named", "send trace as well")
    return Branch(id_of("trace", trace, 16), id_of("parent", parent, 8), step=step)


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
