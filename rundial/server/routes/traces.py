"""GET /api/v1/workspaces/{w}/projects/{p}/traces/{trace}: all spans of a trace, as one tree."""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.arguments import of_query
from rundial.server.genai.lines import told
from rundial.server.keys import PROJECT_READ
from rundial.server.problems import Problem
from rundial.server.routes.spans import id_of
from rundial.server.routes.workspaces import need_project
from rundial.server.services import principal_of, services_of
from rundial.server.spanview import MAX_SPAN_BYTES, as_json, as_list, message_budget, settled
from rundial.server.store.budget import Budget
from rundial.server.store.history import need_run
from rundial.server.store.traces import ended_runs, instance_names, runs_of
from rundial.server.tracetree import Node, Place, planted

MAX_SPANS: Final = 20_000


async def trace(request: Request) -> Response:
    """Give all spans of a trace, parents before their children."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, run_id = arguments.limit(10_000, greatest=MAX_SPANS), arguments.optional_text("runId")
    place, services = request.path_params, services_of(request)
    trace_id = id_of("trace", place["trace_id"], 16)
    assert trace_id is not None

    def read(connection: Connection) -> bytes:
        project = need_project(connection, principal, place["workspace"], place["project"])
        one = need_run(connection, project.id, run_id) if run_id else None
        runs = runs_of(connection, project.id) if one is None else {one.id: one.run_id}
        budget = Budget(MAX_SPAN_BYTES, limit)
        spans, total = services.events.spans.trace(connection, list(runs), trace_id, budget=budget)
        if not spans:
            raise Problem(404, f"there is no trace {trace_id.hex()} in this project")
        held = {span.run for span in spans}
        messages = message_budget(budget)
        ids = [(trace_id, span.span_id) for span in spans]
        events = told(services.events.lines.said(connection, sorted(held), ids, messages))
        over = ended_runs(connection, held, services.clock.time_unix_ns(), services.silence_ns)
        names = instance_names(connection, (span.instance for span in spans))
        head = {
            "traceId": trace_id.hex(),
            "runIds": sorted(runs[run] for run in held),
            "totalSpans": total,
            "truncated": total > len(spans),
            "messagesTruncated": messages.is_cut,
        }
        nodes = [
            Node(span.span_id, span.parent_span_id, span.start_unix_ns, names[span.instance])
            for span in spans
        ]
        shown = []
        for each in planted(nodes):
            span = spans[each.index]
            more = _placed(runs[span.run], each)
            span = settled(span, is_over=span.run in over)
            shown.append(as_json(span, names[span.instance], more, events))
        return f'{json.dumps(head)[:-1]},"spans":{as_list(shown)}}}'.encode()

    return Response(await services.read(read), media_type="application/json")


def _placed(run_id: str, place: Place) -> str:
    skew = f'"{place.clock_skew_ns}"' if place.clock_skew_ns else "null"
    problem = f'"{place.problem}"' if place.problem else "null"
    # A run's id is letters, digits, '.', '_' and '-'.
    return f'"runId":"{run_id}","depth":{place.depth},"parentProblem":{problem},"clockSkewNs":{skew}'


ROUTES: Final = [
    Route("/api/v1/workspaces/{workspace}/projects/{project}/traces/{trace_id}", trace, methods=["GET"])
]
