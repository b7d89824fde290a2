"""Metric points that are more than a number: their names, pages of them, and a file of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import of_body, of_query, page, time_range
from rundial.server.datapoints import KINDS
from rundial.server.keys import PROJECT_READ
from rundial.server.problems import invalid
from rundial.server.routes.exports import file_of
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.rows import NO_STEP
from rundial.server.services import principal_of, services_of
from rundial.server.store.budget import ANSWER_BYTES, Budget
from rundial.server.store.datapoints import (
    AnyRow,
    StoredDataPoint,
    all_data_points,
    data_point_names,
    data_point_rows,
)
from rundial.server.store.history import need_run
from rundial.server.tabular import Column

_MS: Final = 1_000_000
QUERY_LIMIT: Final = 10_000
COLUMNS: Final = (
    Column("metricKey", "text"),
    Column("kind", "text"),
    Column("timestampNs", "time"),
    Column("startNs", "time"),
    Column("step", "int"),
    Column("unit", "text"),
    Column("context", "text"),
    Column("instanceId", "text"),
    Column("body", "text"),
)


async def names(request: Request) -> Answer:
    """List what a run has such points of."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    limit, cursor = arguments.limit(500), arguments.cursor(str, str, str)

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id)
        after = (cursor[0], cursor[1], cursor[2]) if cursor else None
        rows = data_point_names(connection, run.id, after=after, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        return {
            "runId": run_id,
            "names": [_name(row) for row in rows[:limit]],
            "page": page([last.name, last.kind, last.unit] if last is not None else None),
        }

    return Answer(await services_of(request).read(read))


def _name(row: AnyRow) -> dict[str, object]:
    return {
        "metricKey": row.name,
        "kind": row.kind,
        "unit": row.unit,
        "count": row.points,
        "lastTimestampMs": row.last_unix_ns // _MS,
    }


async def query(request: Request) -> Response:
    """Give points as they were sent, page by page."""
    principal = principal_of(request, PROJECT_READ)
    arguments = await of_body(request)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    wanted, kinds, times = arguments.texts("metricKeys"), arguments.texts("kinds"), time_range(arguments)
    unknown = sorted(set(kinds) - set(KINDS.values()))
    if unknown:
        raise invalid(f"{unknown[0][:80]!r} is no kind of point", f"send {', '.join(KINDS.values())}")
    limit, cursor = arguments.limit(200, greatest=QUERY_LIMIT), arguments.cursor(str, int, int)

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id)
        budget = Budget(ANSWER_BYTES, limit)
        rows = data_point_rows(
            connection,
            run.id,
            names=wanted,
            kinds=kinds,
            times=times,
            after=(cursor[0], cursor[1], cursor[2]) if cursor else None,
            budget=budget,
        )
        last = rows[-1] if budget.is_cut else None
        return {
            "runId": run_id,
            "rows": [_row(row) for row in rows],
            "truncated": budget.is_cut and len(rows) < limit,
            "page": page([last.name, last.time_unix_ns, last.id] if last is not None else None),
        }

    return await services_of(request).answer(read)


def _row(row: StoredDataPoint) -> dict[str, object]:
    return {
        "metricKey": row.name,
        "kind": row.kind,
        "unit": row.unit,
        "context": json.loads(row.attributes),
        "step": None if row.step == NO_STEP else row.step,
        "startNs": str(row.start_unix_ns) if row.start_unix_ns else None,
        "timestampMs": row.time_unix_ns // _MS,
        "timestampNs": str(row.time_unix_ns),
        "instanceId": row.instance_id,
        "attempt": row.attempt,
        **json.loads(row.body),
    }


async def file(request: Request) -> Response:
    """Give every such point of a run as a file."""
    arguments = await of_body(request)
    wanted, times = arguments.texts("metricKeys"), time_range(arguments)

    def rows(connection: Connection, run: int) -> Iterator[list[tuple[Any, ...]]]:
        return all_data_points(connection, run, wanted, times)

    return await file_of(request, arguments, "datapoints", COLUMNS, rows)


ROUTES: Final = [
    Route("/api/v1/metrics/datapoints", names, methods=["GET"]),
    Route("/api/v1/query/datapoints", query, methods=["POST"]),
    Route("/api/v1/export/datapoints/file", file, methods=["POST"]),
]
