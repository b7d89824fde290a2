"""POST /api/v1/query/series: curves of one run or several, as points or in buckets.

A curve shows one point a step (the latest attempt's, accepted last). A long one is thinned so that no
spike is lost; how, and from what it is read, is `rundial.server.store.views`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.arguments import Arguments, of_body, time_range
from rundial.server.buckets import Bucket
from rundial.server.curves import Shown
from rundial.server.keys import PROJECT_READ
from rundial.server.problems import invalid
from rundial.server.rolling import READ_POINTS
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.runlife import load
from rundial.server.services import principal_of, services_of
from rundial.server.store import views
from rundial.server.store.events import PointStore
from rundial.server.store.history import AnyRow, need_run
from rundial.server.store.parts import END_OF_STEPS, Part, Span
from rundial.server.store.streams import series_named
from rundial.server.summaries import definition_of

MAX_NAMES: Final = 200
MAX_RUNS: Final = 200
MAX_SERIES: Final = 1_000
MAX_POINTS: Final = 100_000
# Of all series of one answer: what it may hold in memory.
MAX_POINTS_IN_ALL: Final = 1_000_000
DEFAULT_POINTS: Final = 2_000
_FEW_X: Final = 10_000
_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a query asks for.

    Attributes:
        run_ids: Runs of one project.
        names: Metrics.
        span: Which part of each curve.
        max_points: Most points or buckets of each series.
        is_bucketed: Whether buckets are wanted instead of points.
        is_ascending: Their order.
        x_choice: `step`, or `stepMetric` for what each metric's definition says.
        x_metric: A metric that is x for all series, None to go by the choice.
    """

    run_ids: tuple[str, ...]
    names: tuple[str, ...]
    span: Span
    max_points: int
    is_bucketed: bool
    is_ascending: bool
    x_choice: str
    x_metric: str | None

    def x_metric_for(self, step_metric: str | None) -> str | None:
        """Return the metric that is a series' x axis, None for the step."""
        return self.x_metric or (step_metric if self.x_choice == "stepMetric" else None)


class _Reader(NamedTuple):
    """Where curves are read from."""

    points: PointStore
    connection: Connection


async def query(request: Request) -> Response:
    """Show curves of one run or several."""
    principal = principal_of(request, PROJECT_READ)
    services = services_of(request)
    arguments = await of_body(request)
    project_id, wanted = arguments.text("projectId"), _wanted(arguments)
    behind: list[int] = []

    def read(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        shown: list[dict[str, object]] = []
        reader = _Reader(services.events.points, connection)
        has_more = False
        for run_id in wanted.run_ids:
            run = need_run(connection, project.id, run_id)
            definitions = load(run.life).metric_definitions()
            room = MAX_SERIES - len(shown)
            rows = series_named(connection, run.id, wanted.names, limit=room + 1)
            has_more |= len(rows) > room
            for row in rows[:room]:
                step_metric = definition_of(row.name, definitions).step_metric
                shown.append({"runId": run_id, **_shown(reader, row, wanted, step_metric, behind)})
        return {"runId": wanted.run_ids[0], "series": shown, "hasMoreSeries": has_more}

    answer = await services.answer(read)
    for series_id in behind:
        services.roller.ask(services, series_id)
    return answer


def _wanted(arguments: Arguments) -> _Wanted:
    single, several = arguments.optional_text("runId"), arguments.texts("runIds")
    if bool(single) == bool(several):
        raise invalid("neither or both of runId and runIds are given", "send one run's id, or a list of ids")
    run_ids = tuple(dict.fromkeys(several)) or (single or "",)
    if len(run_ids) > MAX_RUNS:
        raise invalid(f"runIds has {len(run_ids)} ids; it must have 1 to {MAX_RUNS}")
    names = tuple(dict.fromkeys(arguments.texts("metricKeys")))
    if not 1 <= len(names) <= MAX_NAMES:
        raise invalid(f"metricKeys has {len(names)} names; it must have 1 to {MAX_NAMES}")
    arguments.one_of("range", ("full_run",))
    asked = arguments.whole("maxPointsPerSeries")
    max_points = DEFAULT_POINTS if asked is None else asked
    if not 1 <= max_points <= MAX_POINTS:
        raise invalid(f"maxPointsPerSeries is {max_points}; it must be 1 to {MAX_POINTS:,}")
    if max_points * len(run_ids) * len(names) > MAX_POINTS_IN_ALL:
        raise invalid(
            f"{len(run_ids)} runs x {len(names)} metrics x {max_points:,} points are more than "
            f"{MAX_POINTS_IN_ALL:,}",
            "ask for fewer points a series, or in several requests",
        )
    wanted = _Wanted(
        run_ids,
        names,
        _span(arguments),
        max_points,
        is_bucketed=arguments.one_of("form", ("points", "buckets")) == "buckets",
        is_ascending=arguments.one_of("order", ("asc", "desc")) == "asc",
        x_choice=arguments.one_of("xAxis", ("step", "stepMetric")),
        x_metric=arguments.optional_text("xMetric"),
    )
    if wanted.is_bucketed and (wanted.x_metric or wanted.x_choice != "step"):
        raise invalid("buckets are ranges of steps", "leave out xAxis and xMetric, or ask for points")
    return wanted


def _span(arguments: Arguments) -> Span:
    start, end = arguments.whole("startStep"), arguments.whole("endStep")
    low = 0 if start is None else max(0, start)
    high = END_OF_STEPS if end is None else end
    if low > high:
        raise invalid(f"startStep {low} is after endStep {high}")
    return Span(low, high, *time_range(arguments))


def _shown(
    reader: _Reader, row: AnyRow, wanted: _Wanted, step_metric: str | None, behind: list[int]
) -> dict[str, object]:
    most = wanted.max_points if wanted.is_bucketed else views.most_for(wanted.max_points)
    parts = views.parts_of(*reader, row.id, row._mapping["count"], wanted.span, most)
    if max(part.read_points for part in parts) > READ_POINTS:
        behind.append(row.id)
    x_metric = wanted.x_metric_for(step_metric)
    found: dict[str, object] = {
        "stepMetric": step_metric,
        "xMetric": x_metric,
        "metricKey": row.name,
        "context": json.loads(row.attributes),
        "unit": row.unit,
        "totalPoints": sum(part.total for part in parts),
    }
    if wanted.is_bucketed:
        buckets = [_bucket(each, part) for part in parts for each in part.buckets]
        return {**found, "buckets": buckets if wanted.is_ascending else buckets[::-1]}
    points = views.points_of(*reader, row.id, parts, wanted.span, wanted.max_points)
    x = None if x_metric is None else _x_values(reader, row, x_metric, points)
    shown = [_point(each, x) for each in (points if wanted.is_ascending else reversed(points))]
    return {**found, "points": shown}


def _x_values(reader: _Reader, row: AnyRow, name: str, points: list[Shown]) -> Mapping[int | None, float]:
    """The x axis by step: of the metric's series the one with the same context, else the plain one."""
    found = {each.attributes: each for each in series_named(reader.connection, row.run, [name])}
    chosen = found.get(row.attributes, found.get("{}"))
    if chosen is None:
        return {}
    if chosen._mapping["count"] > _FEW_X:
        steps = [each.step for each in points if each.step is not None]
        return views.values_at(*reader, chosen.id, steps)
    whole = views.curve(*reader, chosen.id)
    return {step: value for step, value in zip(whole.steps, whole.values, strict=True) if step >= 0}


def _point(point: Shown, x: Mapping[int | None, float] | None) -> dict[str, object]:
    shown: dict[str, object] = {
        "step": point.step,
        "timestampMs": point.time_unix_ns // _MS,
        "value": point.value,
    }
    if x is not None:
        # By step: what was logged at the same step belongs together. None where the x was not logged.
        shown["x"] = x.get(point.step)
    return shown


def _bucket(bucket: Bucket, part: Part) -> dict[str, object]:
    def step(x: int) -> int | None:
        return None if part.is_stepless else x

    return {
        "firstStep": step(bucket.first_x),
        "lastStep": step(bucket.last_x),
        "startMs": bucket.min_time // _MS,
        "endMs": bucket.max_time // _MS,
        "count": bucket.points,
        "min": bucket.low,
        "minStep": step(bucket.low_x),
        "max": bucket.high,
        "maxStep": step(bucket.high_x),
        "mean": bucket.mean,
    }


ROUTES: Final = [Route("/api/v1/query/series", query, methods=["POST"])]
