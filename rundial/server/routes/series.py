"""Series: their keys, their curves, their raw points.

POST /api/v1/query/series shows one point a step (the latest attempt's, accepted last) and thins long
curves without losing a spike; POST /api/v1/export/metrics gives every stored point as it is.
"""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rundial.server.arguments import Arguments, of_body, of_query, page
from rundial.server.curves import Shown
from rundial.server.keys import PROJECT_READ
from rundial.server.problems import invalid
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.rows import NO_STEP
from rundial.server.services import principal_of, services_of
from rundial.server.store.history import AnyRow, need_run
from rundial.server.store.streams import curve, raw_points, series_keys, series_named

MAX_SERIES: Final = 200
MAX_POINTS: Final = 100_000
DEFAULT_POINTS: Final = 2_000
EXPORT_LIMIT: Final = 10_000
_MS: Final = 1_000_000
_END_OF_TIME: Final = 2**63 - 1


async def keys(request: Request) -> JSONResponse:
    """List the series of a run, or of a project."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    project_id, run_id = arguments.text("projectId"), arguments.optional_text("runId")
    limit, cursor = arguments.limit(500), arguments.cursor(str, int)

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id).id if run_id else None
        after = (cursor[0], cursor[1]) if cursor else None
        rows = series_keys(connection, project.id, run, after=after, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        return {
            "keys": [_key(row) for row in rows[:limit]],
            "page": page([last.name, last.id] if last is not None else None),
        }

    return JSONResponse(await services_of(request).read(read))


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


async def query(request: Request) -> JSONResponse:
    """Show curves of a run."""
    principal = principal_of(request, PROJECT_READ)
    arguments = await of_body(request)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    names = arguments.texts("metricKeys")
    if not 1 <= len(names) <= MAX_SERIES:
        raise invalid(f"metricKeys has {len(names)} names; it must have 1 to {MAX_SERIES}")
    arguments.one_of("range", ("full_run",))
    is_ascending = arguments.one_of("order", ("asc", "desc")) == "asc"
    asked = arguments.whole("maxPointsPerSeries")
    max_points = DEFAULT_POINTS if asked is None else asked
    if not 1 <= max_points <= MAX_POINTS:
        raise invalid(f"maxPointsPerSeries is {max_points}; it must be 1 to {MAX_POINTS:,}")

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id)
        shown = []
        for row in series_named(connection, run.id, names)[:MAX_SERIES]:
            whole = curve(connection, row.id)
            points = whole.thin(max_points)
            shown.append(
                {
                    "metricKey": row.name,
                    "context": json.loads(row.attributes),
                    "unit": row.unit,
                    "totalPoints": len(whole),
                    "points": [_point(each) for each in (points if is_ascending else reversed(points))],
                }
            )
        return {"runId": run_id, "series": shown}

    return JSONResponse(await services_of(request).read(read))


def _point(point: Shown) -> dict[str, object]:
    return {"step": point.step, "timestampMs": point.time_unix_ns // _MS, "value": point.value}


async def export(request: Request) -> JSONResponse:
    """Give every stored point of a run, page by page."""
    principal = principal_of(request, PROJECT_READ)
    arguments = await of_body(request)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    names, times = arguments.texts("metricKeys"), time_range(arguments)
    arguments.one_of("format", ("json",))
    limit = arguments.limit(1_000, greatest=EXPORT_LIMIT)
    cursor = arguments.cursor(int, int, int, int)

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id)
        after = (cursor[0], cursor[1], cursor[2], cursor[3]) if cursor else None
        rows = raw_points(connection, run.id, names, times=times, after=after, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        ended = [last.series, last.step, last.instance, last.time_unix_ns] if last is not None else None
        return {"runId": run_id, "rows": [_raw(row) for row in rows[:limit]], "page": page(ended)}

    return JSONResponse(await services_of(request).read(read))


def time_range(arguments: Arguments) -> tuple[int, int]:
    """`startMs` and `endMs` as nanoseconds, both inclusive; all of time when they are absent."""
    start_ms, end_ms = arguments.whole("startMs"), arguments.whole("endMs")
    start = 0 if start_ms is None else start_ms * _MS
    end = _END_OF_TIME if end_ms is None else (end_ms + 1) * _MS - 1
    if start > end:
        raise invalid("startMs is after endMs")
    return max(0, min(start, _END_OF_TIME)), max(0, min(end, _END_OF_TIME))


def _raw(row: AnyRow) -> dict[str, object]:
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
    Route("/api/v1/query/series", query, methods=["POST"]),
    Route("/api/v1/export/metrics", export, methods=["POST"]),
]
