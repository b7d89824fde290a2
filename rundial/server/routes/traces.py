"""GET /api/v1/workspaces/{w}/projects/{p}/traces/{trace}: all spans of a trace, as one tree."""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.arguments import of_query
from rundial.server.keys import PROJECT_READ
from rundial.server.problems import Problem
from rundial.server.routes.spans import id_of
from rundial.server.routes.workspaces import need_project
from rundial.server.services import principal_of, services_of
from rundial.server.spanview import as_json, as_list
from rundial.server.store.history import need_run
from rundial.server.store.spanlines import Said, said_within
from rundial.server.store.traces import Found, trace_of
from rundial.server.tracetree import Node, Place, planted

MAX_SPANS: Final = 20_000


async def trace(request: Request) -> Response:
    """Give all spans of a trace, parents before their children."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, run_id = arguments.limit(10_000, greatest=MAX_SPANS), arguments.optional_text("runId")
    place = request.path_params
    trace_id = id_of("trace", place["trace_id"], 16)
    assert trace_id is not None

    def read(connection: Connection) -> str:
        project = need_project(connection, principal, place["workspace"], place["project"])
        run = need_run(connection, project.id, run_id).id if run_id else None
        rows, total = trace_of(connection, project.id, trace_id, run=run, limit=limit)
        if not rows:
            raise Problem(404, f"there is no trace {trace_id.hex()} in this project")
        head = {
            "traceId": trace_id.hex(),
            "runIds": sorted({run_id for _, run_id, *_ in rows}),
            "totalSpans": total,
            "truncated": total > len(rows),
        }
        said = said_within(connection, {row[0] for row in rows}, [trace_id])
        shown = [_placed(rows[each.index], each, said) for each in planted([_node(row) for row in rows])]
        return f'{json.dumps(head)[:-1]},"spans":{as_list(shown)}}}'

    return Response(await services_of(request).read(read), media_type="application/json")


def _node(row: Found) -> Node:
    _, _, _, span_id, parent_id, instance, _, _, start_unix_ns, *_ = row
    return Node(span_id, parent_id, start_unix_ns, instance)


def _placed(row: Found, place: Place, said: Said) -> str:
    _, run_id, *fields = row
    skew = f'"{place.clock_skew_ns}"' if place.clock_skew_ns else "null"
    problem = f'"{place.problem}"' if place.problem else "null"
    # A run's id is letters, digits, '.', '_' and '-'.
    more = f'"runId":"{run_id}","depth":{place.depth},"parentProblem":{problem},"clockSkewNs":{skew}'
    return as_json(tuple(fields), more, said)


ROUTES: Final = [
    Route("/api/v1/workspaces/{workspace}/projects/{project}/traces/{trace_id}", trace, methods=["GET"])
]
