"""Series: their keys, and POST /api/v1/export/metrics, which gives every stored point as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import of_body, of_query, page, time_range
from rundial.server.keys import PROJECT_READ
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.rows import NO_STEP
from rundial.server.runlife import load
from rundial.server.services import principal_of, services_of
from rundial.server.store.events import StoredPoint
from rundial.server.store.history import AnyRow, need_run
from rundial.server.store.streams import series_keys
from rundial.server.summaries import definition_of

Definitions = Mapping[str, Mapping[str, object]]
EXPORT_LIMIT: Final = 10_000
_MS: Final = 1_000_000


async def keys(request: Request) -> Answer:
    """List the series of a run, or of a project."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    project_id, run_id = arguments.text("projectId"), arguments.optional_text("runId")
    limit, cursor = arguments.limit(500), arguments.cursor(str, int)

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        row = need_run(connection, project.id, run_id) if run_id else None
        run = None if row is None else row.id
        definitions = {} if row is None else load(row.life).metric_definitions()
        after = (cursor[0], cursor[1]) if cursor else None
        rows = series_keys(connection, project.id, run, after=after, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        return {
            "keys": [_key(each) | _read_as(each.name, definitions) for each in rows[:limit]],
            "page": page([last.name, last.id] if last is not None else None),
        }

    return Answer(await services_of(request).read(read))


def _read_as(name: str, definitions: Definitions) -> dict[str, object]:
    """How a metric is to be read, as `run.define_metric` said."""
    found = definition_of(name, definitions)
    return {"stepMetric": found.step_metric, "summaryRule": found.summary, "goal": found.goal}


def _key(row: AnyRow) -> dict[str, object]:
    return {
        "metricKey": row.name,
        "context": json.loads(row.attributes),
        "unit": row.unit,
        "count": row.count,
        "min": row.min_value,
        "max": row.max_value,
        "lastStep": None if row.last_step == NO_STEP else row.last_step,
        "lastValue": row.last_value,
        "lastTimestampMs": row.last_unix_ns // _MS,
    }


async def export(request: Request) -> Answer:
    """Give every stored point of a run, page by page."""
    principal = principal_of(request, PROJECT_READ)
    arguments = await of_body(request)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    names, times = arguments.texts("metricKeys"), time_range(arguments)
    arguments.one_of("format", ("json",))
    limit = arguments.limit(1_000, greatest=EXPORT_LIMIT)
    cursor = arguments.cursor(int, int, int, int)

    services = services_of(request)

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id)
        after = (cursor[0], cursor[1], cursor[2], cursor[3]) if cursor else None
        rows = services.events.points.page(
            connection, run.id, names, times=times, after=after, limit=limit + 1
        )
        last = rows[limit - 1] if len(rows) > limit else None
        ended = [last.series, last.step, last.instance, last.time_unix_ns] if last is not None else None
        return {"runId": run_id, "rows": [_raw(row) for row in rows[:limit]], "page": page(ended)}

    return Answer(await services.read(read))


def _raw(row: StoredPoint) -> dict[str, object]:
    return {
        "metricKey": row.name,
        "context": json.loads(row.attributes),
        "step": None if row.step == NO_STEP else row.step,
        "timestampMs": row.time_unix_ns // _MS,
        "timestampNs": str(row.time_unix_ns),
        "value": row.value,
        "instanceId": row.instance_id,
        "attempt": row.attempt,
    }


ROUTES: Final = [
    Route("/api/v1/metrics/keys", keys, methods=["GET"]),
    Route("/api/v1/export/metrics", export, methods=["POST"]),
]
