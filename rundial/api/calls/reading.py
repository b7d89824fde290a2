"""What a run has recorded, read back: series, points, text, spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from rundial.api.caller import given
from rundial.api.calls import paging, paths

if TYPE_CHECKING:
    from rundial.api.calls.shapes import (
        LogPage,
        LogRow,
        MetricKey,
        PointPage,
        PointRow,
        SeriesAnswer,
        SpanRow,
        Trace,
    )
    from rundial.api.client import Client


def list_metric_keys(
    self: Client, *, project_id: str, run_id: str | None = None, limit: int = 8
) -> list[MetricKey]:
    """Return `{"metricKey": …}` of a project or a run, at most `limit`."""
    query = given(projectId=project_id, limit=limit, runId=run_id)
    found = self.caller.get("/api/v1/metrics/keys", query=query, what="listing metric keys")
    return cast("list[MetricKey]", paging.rows_of(found, "keys", self.endpoint))


def query_series(
    self: Client,
    *,
    project_id: str,
    run_id: str,
    metric_keys: Sequence[str],
    max_points_per_series: int = 25,
    x_axis: str = "step",
) -> SeriesAnswer:
    """Return curves, one point a step, long ones thinned without losing a spike.

    Args:
        project_id: The project's id.
        run_id: The run.
        metric_keys: At most 200 names.
        max_points_per_series: 1 to 100,000.
        x_axis: `step`, or `stepMetric`: each point then has an `x` too, what the metric that
            `run.define_metric` named as its axis was at the same step, None where it was not logged.

    Returns:
        `{"runId", "series": [{"metricKey", "points": [{"step", "timestampMs", "value"}]}]}`.
    """
    body = {
        "xAxis": x_axis,
        "projectId": project_id,
        "runId": run_id,
        "metricKeys": list(metric_keys),
        "range": "full_run",
        "maxPointsPerSeries": max_points_per_series,
        "order": "asc",
    }
    found = self.caller.post("/api/v1/query/series", body, what=f"reading series of {run_id}")
    paging.rows_of(found, "series", self.endpoint)
    return cast("SeriesAnswer", found)


def query_logs(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    run_id: str,
    limit: int = 100,
    min_level: str = "trace",
    text: str | None = None,
    cursor: str | None = None,
) -> LogPage:
    """Return one page of a run's text, newest first; `iter_lines` yields all of it, oldest first.

    Args:
        project_id: The project's id.
        run_id: The run.
        limit: Rows of a page.
        min_level: trace, debug, info, warn, error or fatal.
        text: Only lines that hold this.
        cursor: `page.nextCursor` of the page before.

    Returns:
        `{"runId", "rows": [{"timestampMs", "sequence", "level", "message"}], "page"}`.
    """
    body = given(
        projectId=project_id,
        runId=run_id,
        limit=limit,
        minLevel=min_level,
        order="desc",
        text=text,
        cursor=cursor,
    )
    return cast("LogPage", _rows(self, "/api/v1/query/logs", body, f"reading text of {run_id}"))


def export_metrics_page(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    run_id: str,
    start_ms: int,
    end_ms: int,
    metric_keys: Sequence[str] | None = None,
    limit: int = 1000,
    cursor: str | None = None,
) -> PointPage:
    """Return one page of every stored point as it is; `iter_points` yields them all.

    Args:
        project_id: The project's id.
        run_id: The run.
        start_ms: From this time on, in milliseconds since 1970.
        end_ms: Up to and with this time.
        metric_keys: Only these names; None is all.
        limit: Rows of a page, at most 10,000.
        cursor: `page.nextCursor` of the page before.

    Returns:
        `{"rows": [{"metricKey", "step", "timestampMs", "value"}], "page": {"hasMore", "nextCursor"}}`.
    """
    asked = _export(project_id, run_id, (start_ms, end_ms), limit, cursor)
    if metric_keys:
        asked["metricKeys"] = list(metric_keys)
    return cast("PointPage", _rows(self, "/api/v1/export/metrics", asked, f"exporting points of {run_id}"))


def export_logs_page(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    run_id: str,
    start_ms: int,
    end_ms: int,
    limit: int = 1000,
    cursor: str | None = None,
) -> LogPage:
    """Return one page of a run's text, oldest first; `iter_lines` yields all of it.

    Args:
        project_id: The project's id.
        run_id: The run.
        start_ms: From this time on, in milliseconds since 1970.
        end_ms: Up to and with this time.
        limit: Rows of a page, at most 1,000.
        cursor: `page.nextCursor` of the page before.

    Returns:
        `{"rows": [{"timestampMs", "sequence", "level", "message"}], "page": {"hasMore", "nextCursor"}}`.
    """
    asked = _export(project_id, run_id, (start_ms, end_ms), limit, cursor)
    return cast("LogPage", _rows(self, "/api/v1/export/logs", asked, f"exporting text of {run_id}"))


def iter_points(  # noqa: PLR0913 - those of export_metrics_page
    self: Client,
    *,
    project_id: str,
    run_id: str,
    metric_keys: Sequence[str] | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    page_size: int = 1000,
) -> Iterator[PointRow]:
    """Yield every stored point of a run, asking for `page_size` at a time.

    Args:
        project_id: The project's id.
        run_id: The run.
        metric_keys: Only these names; None is all.
        start_ms: From this time on, in milliseconds since 1970; None is the beginning.
        end_ms: Up to and with this time; None is the end.
        page_size: Rows of one request, at most 10,000.
    """

    def fetch(cursor: str | None) -> Mapping[str, Any]:
        asked = _export(project_id, run_id, (start_ms, end_ms), page_size, cursor)
        if metric_keys:
            asked["metricKeys"] = list(metric_keys)
        return _rows(self, "/api/v1/export/metrics", asked, f"exporting points of {run_id}")

    for page in paging.pages(fetch):
        yield from page["rows"]


def iter_lines(
    self: Client,
    *,
    project_id: str,
    run_id: str,
    start_ms: int | None = None,
    end_ms: int | None = None,
    page_size: int = 1000,
) -> Iterator[LogRow]:
    """Yield a run's whole text, oldest first, asking for `page_size` lines at a time.

    Args:
        project_id: The project's id.
        run_id: The run.
        start_ms: From this time on, in milliseconds since 1970; None is the beginning.
        end_ms: Up to and with this time; None is the end.
        page_size: Rows of one request, at most 1,000.
    """

    def fetch(cursor: str | None) -> Mapping[str, Any]:
        asked = _export(project_id, run_id, (start_ms, end_ms), page_size, cursor)
        return _rows(self, "/api/v1/export/logs", asked, f"exporting text of {run_id}")

    for page in paging.pages(fetch):
        yield from page["rows"]


def list_spans(  # noqa: PLR0913 - a published signature, and what narrows it
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    run_id: str,
    step: int | None = None,
    limit: int = 1000,
    max_pages: int = 1000,
    order: str = "asc",
    trace_id: str | None = None,
) -> list[SpanRow]:
    """Return a run's spans, ended, interrupted and running, at most `limit * max_pages`.

    Args:
        workspace_slug: The workspace's slug.
        project_slug: The project's slug.
        run_id: The run.
        limit: Rows of a page, at most 1,000.
        max_pages: Requests at most.
        order: `asc`, those that began first come first; `desc`, those that began last.
        trace_id: Only this trace, 32 hexadecimal digits.
        step: Only the spans of this step of the run's points; None for all.
    """
    path = f"{paths.project(workspace_slug, project_slug)}/runs/{paths.part(run_id)}/spans"
    query = given(order=None if order == "asc" else order, trace=trace_id, step=step)
    return cast(
        "list[SpanRow]", self.caller.pages(path, "spans", limit=limit, max_pages=max_pages, query=query)
    )


def iter_spans(  # noqa: PLR0913 - what narrows it
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    run_id: str,
    trace_id: str | None = None,
    parent: str | None = None,
    page_size: int = 1000,
) -> Iterator[SpanRow]:
    """Yield a run's spans by their start, asking for `page_size` at a time.

    Args:
        workspace_slug: The workspace's slug.
        project_slug: The project's slug.
        run_id: The run.
        trace_id: Only this trace, 32 hexadecimal digits.
        parent: `none`, only those at the top of a trace; a span's id, only its children, with `trace_id`.
        page_size: Rows of one request, at most 1,000.
    """
    path = f"{paths.project(workspace_slug, project_slug)}/runs/{paths.part(run_id)}/spans"

    def fetch(cursor: str | None) -> Mapping[str, Any]:
        asked = given(limit=page_size, cursor=cursor, trace=trace_id, parent=parent)
        return self.caller.get(path, query=asked, what=f"reading spans of {run_id}")

    for page in paging.pages(fetch):
        yield from cast("list[SpanRow]", paging.rows_of(page, "spans", self.endpoint))


def get_trace(
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    trace_id: str,
    run_id: str | None = None,
    limit: int = 10_000,
) -> Trace:
    """Return a whole trace, its spans in the order of their tree, each with its `depth`.

    Args:
        workspace_slug: The workspace's slug.
        project_slug: The project's slug.
        trace_id: 32 hexadecimal digits.
        run_id: Only the spans of this run; None is all runs of the project.
        limit: Spans at most, up to 20,000; `truncated` says whether there are more.
    """
    path = f"{paths.project(workspace_slug, project_slug)}/traces/{paths.part(trace_id)}"
    found = self.caller.get(path, query=given(runId=run_id, limit=limit), what=f"reading trace {trace_id}")
    paging.rows_of(found, "spans", self.endpoint)
    return cast("Trace", found)


def _export(
    project_id: str, run_id: str, between: tuple[int | None, int | None], limit: int, cursor: str | None
) -> dict[str, Any]:
    return given(
        projectId=project_id,
        runId=run_id,
        startMs=between[0],
        endMs=between[1],
        limit=limit,
        format="json",
        cursor=cursor,
    )


def _rows(client: Client, path: str, body: Mapping[str, object], what: str) -> dict[str, Any]:
    found = client.caller.post(path, body, what=what)
    paging.rows_of(found, "rows", client.endpoint)
    return found
