"""Splitting requests for servers that refuse large ones, over any request."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from rundial.signals.split import count_items, split_request

COUNTS = st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=3)
KINDS = st.sampled_from(["gauge", "sum", "histogram", "exponential_histogram", "summary"])
REQUESTS: dict[str, Any] = {
    "events": ExportLogsServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "traces": ExportTraceServiceRequest,
}


def records_request(lane: str, counts: list[list[int]]) -> Any:
    """Return a request with that many records in each scope of each resource, all distinct."""
    request, number = REQUESTS[lane](), 0
    for scopes in counts:
        resource = request.resource_spans.add() if lane == "traces" else request.resource_logs.add()
        resource.resource.attributes.add(key="r").value.int_value = number
        for count in scopes:
            scope = resource.scope_spans.add() if lane == "traces" else resource.scope_logs.add()
            scope.scope.name, scope.schema_url = f"s{number}", "http://schema"
            for _ in range(count):
                number += 1
                if lane == "traces":
                    scope.spans.add(name=str(number))
                else:
                    scope.log_records.add(time_unix_nano=number)
    return request


def metrics_request(counts: list[list[int]], kinds: list[str]) -> ExportMetricsServiceRequest:
    """Return a request with a metric of that many points for each number, all distinct."""
    request, number = ExportMetricsServiceRequest(), 0
    for points in counts:
        resource = request.resource_metrics.add()
        resource.resource.attributes.add(key="r").value.int_value = number
        scope = resource.scope_metrics.add()
        for index, count in enumerate(points):
            metric = scope.metrics.add(name=f"m{number}", unit="s")
            data = getattr(metric, kinds[index])
            data.SetInParent()
            if kinds[index] == "sum":
                data.is_monotonic, data.aggregation_temporality = True, 2
            for _ in range(count):
                number += 1
                data.data_points.add(time_unix_nano=number)
    return request


def flat(lane: str, body: bytes) -> list[tuple[bytes, ...]]:
    """Return each item with everything that stands around it, in order."""
    request = REQUESTS[lane].FromString(body)
    out = []
    if lane == "metrics":
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    out += flat_points(resource.resource.SerializeToString(), metric)
        return out
    for resource in request.resource_spans if lane == "traces" else request.resource_logs:
        for scope in resource.scope_spans if lane == "traces" else resource.scope_logs:
            shell = (
                resource.resource.SerializeToString(),
                scope.scope.SerializeToString(),
                scope.schema_url.encode(),
            )
            items = scope.spans if lane == "traces" else scope.log_records
            out += [(*shell, item.SerializeToString()) for item in items]
    return out


def flat_points(resource: bytes, metric: Metric) -> list[tuple[bytes, ...]]:
    """Return each point of a metric with the metric around it."""
    data = getattr(metric, str(metric.WhichOneof("data")))
    points = [point.SerializeToString() for point in data.data_points]
    del data.data_points[:]
    return [(resource, metric.SerializeToString(), point) for point in points]


def check(lane: str, body: bytes) -> None:
    """Split a request and hold both parts against the whole."""
    items = flat(lane, body)
    parts = split_request(lane, body)

    assert count_items(lane, body) == len(items)
    if len(items) < 2:
        assert parts is None
        return
    assert parts is not None
    assert [count for _, count in parts] == [len(flat(lane, part)) for part, _ in parts]
    assert flat(lane, parts[0][0]) + flat(lane, parts[1][0]) == items
    assert abs(parts[0][1] - parts[1][1]) <= 1


@pytest.mark.parametrize("lane", ["events", "logs", "traces"])
@given(counts=COUNTS)
def test_split_of_any_records_keeps_each_once_in_order(lane: str, counts: list[list[int]]) -> None:
    """A request that a server finds too large arrives in two, complete and in order."""
    check(lane, records_request(lane, counts).SerializeToString())


@given(COUNTS, st.lists(KINDS, min_size=3, max_size=3))
def test_split_of_any_metrics_keeps_each_point_once_in_order(
    counts: list[list[int]], kinds: list[str]
) -> None:
    """Points of every metric kind keep their metric's name, unit and kind on both sides of a split."""
    check("metrics", metrics_request(counts, kinds).SerializeToString())


@given(st.sampled_from(list(REQUESTS)), st.binary(max_size=200))
def test_split_of_any_bytes_never_raises(lane: str, body: bytes) -> None:
    """A damaged request in the spool cannot stop the sender."""
    parts = split_request(lane, body)

    assert parts is None or parts[0][1] + parts[1][1] >= 2


@given(COUNTS.filter(lambda counts: sum(map(sum, counts)) > 1), st.data())
def test_split_repeated_ends_with_single_records(counts: list[list[int]], data: st.DataObject) -> None:
    """Bisecting always ends: each part is smaller, down to one record."""
    waiting, singles = [records_request("logs", counts).SerializeToString()], []
    total = count_items("logs", waiting[0])
    while waiting:
        body = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
        parts = split_request("logs", body)
        if parts is None:
            singles.append(body)
        else:
            waiting += [part for part, _ in parts]

    assert [count_items("logs", body) for body in singles] == [1] * total
