"""Sums, histograms, exponential histograms, summaries and exemplars: kept as they were sent, once."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)
from sqlalchemy import func, select

from rundial.server.store.datapoints import data_points
from tests.support import otlp
from tests.support.server import LocalServer, fresh_id
from tests.support.waiting import wait_until

DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
T0 = otlp.T0
HUGE = 2**63 - 1
EXEMPLAR = Exemplar(
    time_unix_nano=T0 + 5,
    as_double=0.25,
    trace_id=bytes(range(16)),
    span_id=bytes(range(1, 9)),
    filtered_attributes=otlp.pairs({"user": "u1"}),
)
HISTOGRAM = HistogramDataPoint(
    start_time_unix_nano=T0 - 10,
    time_unix_nano=T0,
    count=2**60 + 6,
    sum=12.5,
    min=0.1,
    max=9.0,
    explicit_bounds=[0.5, 1.0, 5.0],
    bucket_counts=[1, 2**60, 2, 3],
    attributes=otlp.pairs({"route": "/a"}),
    exemplars=[EXEMPLAR],
)
EXPONENTIAL = ExponentialHistogramDataPoint(
    time_unix_nano=T0,
    count=9,
    sum=-1.5,
    scale=-3,
    zero_count=2,
    zero_threshold=1e-6,
    positive={"offset": -4, "bucket_counts": [1, 0, 3]},
    negative={"offset": 7, "bucket_counts": [3]},
)
SUMMARY = SummaryDataPoint(
    time_unix_nano=T0,
    count=7,
    sum=21.0,
    quantile_values=[
        SummaryDataPoint.ValueAtQuantile(quantile=0.5, value=2.0),
        SummaryDataPoint.ValueAtQuantile(quantile=0.99, value=float("nan")),
    ],
)
METRICS = [
    Metric(
        name="requests",
        unit="1",
        sum=Sum(
            aggregation_temporality=CUMULATIVE,
            is_monotonic=True,
            data_points=[
                NumberDataPoint(start_time_unix_nano=T0 - 10, time_unix_nano=T0, as_int=HUGE),
                otlp.point(3, 2.5, time=T0 + 1),
            ],
        ),
    ),
    Metric(
        name="latency", unit="s", histogram=Histogram(aggregation_temporality=DELTA, data_points=[HISTOGRAM])
    ),
    Metric(
        name="size",
        exponential_histogram=ExponentialHistogram(
            aggregation_temporality=CUMULATIVE, data_points=[EXPONENTIAL]
        ),
    ),
    Metric(name="gc", summary=Summary(data_points=[SUMMARY])),
    Metric(
        name="load",
        gauge=Gauge(data_points=[NumberDataPoint(time_unix_nano=T0, as_double=0.5, exemplars=[EXEMPLAR])]),
    ),
    otlp.gauge("plain", [otlp.point(0, 1.0)]),
]


def send(local: LocalServer, run: str, *held: Metric) -> Any:
    """Store metrics; returns what was refused."""
    reply = local.export("metrics", otlp.metrics((otlp.resource(run), held)))
    assert reply.status == 200
    return ExportMetricsServiceResponse.FromString(reply.body).partial_success


def ask(local: LocalServer, run: str, **more: object) -> dict[str, Any]:
    """A page of points."""
    body = {"projectId": local.project_id(), "runId": run, **more}
    reply = local.post("/api/v1/query/datapoints", body)
    assert reply.status == 200, reply.json
    return reply.json


def one(local: LocalServer, run: str, name: str) -> dict[str, Any]:
    """The only point of a metric."""
    (row,) = ask(local, run, metricKeys=[name])["rows"]
    assert isinstance(row, dict)
    return row


def test_every_kind_of_point_is_given_back_as_it_was_sent(local: LocalServer) -> None:
    """Bucket by bucket, whole numbers whole, and sent twice stored once."""
    run = fresh_id()
    assert send(local, run, *METRICS).rejected_data_points == 0
    assert send(local, run, *METRICS).rejected_data_points == 0

    place = {"instanceId": "instance-1", "attempt": 1, "timestampNs": str(T0), "timestampMs": T0 // 1_000_000}
    shown = {
        "value": 0.25,
        "timestampNs": str(T0 + 5),
        "traceId": bytes(range(16)).hex(),
        "spanId": bytes(range(1, 9)).hex(),
        "attributes": {"user": "u1"},
    }
    assert one(local, run, "latency") == {
        **place,
        "metricKey": "latency",
        "kind": "histogram",
        "unit": "s",
        "context": {"route": "/a"},
        "step": None,
        "startNs": str(T0 - 10),
        "temporality": "delta",
        "count": 2**60 + 6,
        "sum": 12.5,
        "min": 0.1,
        "max": 9.0,
        "bounds": [0.5, 1.0, 5.0],
        "counts": [1, 2**60, 2, 3],
        "exemplars": [shown],
    }
    exponential = one(local, run, "size")
    assert exponential["kind"] == "exponentialHistogram"
    assert (exponential["scale"], exponential["zeroCount"], exponential["zeroThreshold"]) == (-3, 2, 1e-6)
    assert exponential["positive"] == {"offset": -4, "counts": [1, 0, 3]}
    assert exponential["negative"] == {"offset": 7, "counts": [3]}
    assert (exponential["count"], exponential["sum"], exponential["min"]) == (9, -1.5, None)
    summary = one(local, run, "gc")
    assert (summary["count"], summary["sum"], summary["startNs"]) == (7, 21.0, None)
    assert summary["quantiles"] == [{"quantile": 0.5, "value": 2.0}, {"quantile": 0.99, "value": "NaN"}]
    assert one(local, run, "load")["exemplars"] == [shown]
    first, second = ask(local, run, metricKeys=["requests"])["rows"]
    assert (first["value"], first["monotonic"], first["temporality"]) == (HUGE, True, "cumulative")
    assert (first["startNs"], second["startNs"], second["step"]) == (str(T0 - 10), None, 3)
    assert ask(local, run, metricKeys=["plain"])["rows"] == []


def test_a_number_is_a_point_of_a_series_too_and_counted_once(local: LocalServer) -> None:
    """The ledger counts OpenTelemetry's points, whatever they are stored as."""
    run = fresh_id()
    send(local, run, *METRICS)
    send(local, run, *METRICS)

    assert local.details(run)["counts"]["points"] == 7
    assert local.curve(run, "requests") == [(None, float(HUGE)), (3, 2.5)]
    assert local.curve(run, "load") == [(None, 0.5)]
    assert local.curve(run, "latency") == []
    keys = local.get(f"/api/v1/metrics/keys?projectId={local.project_id()}&runId={run}").json["keys"]
    assert [each["metricKey"] for each in keys] == ["load", "plain", "requests"]


def test_points_are_paged_by_name_and_time(local: LocalServer) -> None:
    """Each once, those of a name one after the other; a filter narrows it."""
    run = fresh_id()
    held = [
        HistogramDataPoint(time_unix_nano=T0 + 1_000_000 * number, count=number, bucket_counts=[number])
        for number in range(1, 8)
    ]
    send(local, run, *METRICS, Metric(name="h", histogram=Histogram(data_points=held)))

    found: list[tuple[str, str]] = []
    cursor = None
    while True:
        page = ask(local, run, limit=3, cursor=cursor)
        found += [(row["metricKey"], row["timestampNs"]) for row in page["rows"]]
        cursor = page["page"]["nextCursor"]
        if cursor is None:
            break
    assert found == sorted(found)
    assert len(set(found)) == len(found) == 13
    times = {"startMs": T0 // 1_000_000 + 2, "endMs": T0 // 1_000_000 + 3}
    assert [row["count"] for row in ask(local, run, metricKeys=["h"], **times)["rows"]] == [2, 3]
    assert {row["kind"] for row in ask(local, run, kinds=["summary", "sum"])["rows"]} == {"summary", "sum"}
    body = {"projectId": local.project_id(), "runId": run, "kinds": ["table"]}
    assert local.post("/api/v1/query/datapoints", body).status == 400


def test_names_say_what_there_is(local: LocalServer) -> None:
    """One row for each metric of a kind."""
    run = fresh_id()
    send(local, run, *METRICS)
    path = f"/api/v1/metrics/datapoints?projectId={local.project_id()}&runId={run}"

    first = local.get(f"{path}&limit=3").json
    rest = local.get(f"{path}&cursor={first['page']['nextCursor']}").json

    names = [(each["metricKey"], each["kind"], each["unit"], each["count"]) for each in first["names"]]
    assert names == [("gc", "summary", "", 1), ("latency", "histogram", "s", 1), ("load", "gauge", "", 1)]
    assert [each["metricKey"] for each in rest["names"]] == ["requests", "size"]
    assert rest["names"][0]["lastTimestampMs"] == T0 // 1_000_000


def test_resets_and_streams_of_one_metric_are_kept_apart(local: LocalServer) -> None:
    """What restarted, what is another instance's, and what has other attributes, at one and the same time."""
    run = fresh_id()

    def point(start: int, **attributes: object) -> HistogramDataPoint:
        return HistogramDataPoint(
            start_time_unix_nano=start, time_unix_nano=T0, count=1, attributes=otlp.pairs(attributes)
        )

    held = Metric(name="h", histogram=Histogram(data_points=[point(1), point(2), point(1, a=1)]))
    for instance in ("one", "two"):
        local.export("metrics", otlp.metrics((otlp.resource(run, instance=instance), [held])))

    rows = ask(local, run)["rows"]
    assert len({(row["instanceId"], row["startNs"], str(row["context"])) for row in rows}) == len(rows) == 6
    assert local.details(run)["counts"]["points"] == 6


@pytest.mark.parametrize(
    ("point", "why"),
    [
        (HistogramDataPoint(time_unix_nano=T0, explicit_bounds=[1.0], bucket_counts=[1]), "one bucket more"),
        (HistogramDataPoint(time_unix_nano=T0, explicit_bounds=[2.0, 2.0], bucket_counts=[1] * 3), "rise"),
        (
            HistogramDataPoint(time_unix_nano=T0, explicit_bounds=[float("nan")], bucket_counts=[1] * 2),
            "rise",
        ),
        (HistogramDataPoint(time_unix_nano=T0, bucket_counts=[1] * 10_001), "at most 10,000"),
        (HistogramDataPoint(count=1), "time_unix_nano"),
        (HistogramDataPoint(time_unix_nano=2**63, count=1), "time_unix_nano"),
        (HistogramDataPoint(time_unix_nano=T0, attributes=otlp.pairs({"rundial.step": -1})), "rundial.step"),
    ],
    ids=["lengths", "order", "nan", "many", "no time", "far time", "step"],
)
def test_a_point_that_contradicts_itself_is_refused_alone(
    local: LocalServer, point: HistogramDataPoint, why: str
) -> None:
    """With the reason, and its neighbours are kept."""
    run = fresh_id()

    partial = send(local, run, Metric(name="h", histogram=Histogram(data_points=[point, HISTOGRAM])))

    assert (partial.rejected_data_points, why in partial.error_message) == (1, True)
    assert len(ask(local, run)["rows"]) == 1


def test_a_value_that_is_none_is_refused_once_or_kept_as_what_it_says(local: LocalServer) -> None:
    """NaN is no sum; a point that says that nothing was recorded is no zero either."""
    run = fresh_id()
    held = [
        NumberDataPoint(time_unix_nano=T0, as_double=float("nan")),
        NumberDataPoint(time_unix_nano=T0 + 1, flags=1),
        NumberDataPoint(time_unix_nano=T0 + 2, as_int=2),
    ]

    partial = send(local, run, Metric(name="s", sum=Sum(data_points=held)))

    assert partial.rejected_data_points == 1
    silent, spoken = ask(local, run)["rows"]
    assert (silent["noRecordedValue"], "value" in silent, spoken["value"]) == (True, False, 2)
    assert local.curve(run, "s") == [(None, 2.0)]
    assert local.details(run)["counts"]["points"] == 2


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_file_holds_every_point_of_a_run(local: LocalServer, kind: str) -> None:
    """In each format, by name and time."""
    run = fresh_id()
    send(local, run, *METRICS)
    body = {"projectId": local.project_id(), "runId": run, "format": kind}

    reply = local.post("/api/v1/export/datapoints/file", body)

    assert reply.status == 200
    if kind == "parquet":
        assert reply.body[:4] == reply.body[-4:] == b"PAR1"
        return
    rows: list[dict[str, Any]] = (
        [json.loads(line) for line in reply.body.splitlines()]
        if kind == "jsonl"
        else list(csv.DictReader(io.StringIO(reply.body.decode())))
    )
    assert [row["metricKey"] for row in rows] == ["gc", "latency", "load", "requests", "requests", "size"]
    assert json.loads(rows[1]["body"])["counts"] == [1, 2**60, 2, 3]
    assert int(rows[1]["timestampNs"]) == T0


def test_points_go_with_their_run(local: LocalServer) -> None:
    """Deleting a run leaves none of them."""
    run = fresh_id()
    send(local, run, *METRICS)
    path = f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run}"
    assert local.send("DELETE", path).status == 200

    def is_empty() -> bool:
        with local.services.engines.reading.begin() as connection:
            return connection.execute(select(func.count()).select_from(data_points)).scalar() == 0

    wait_until(is_empty, 10)


def test_a_page_of_points_ends_where_its_bytes_do(local: LocalServer) -> None:
    """However large they are; the next page goes on behind it, and every point is shown once."""
    run = fresh_id()
    for number in range(10):
        held = HistogramDataPoint(
            time_unix_nano=T0 + number, count=0, attributes=otlp.pairs({"said": "x" * 4 * 2**20})
        )
        send(local, run, Metric(name="large", histogram=Histogram(data_points=[held])))

    seen: list[str] = []
    cuts: list[bool] = []
    cursor: dict[str, object] = {}
    while not cuts or cursor:
        found = ask(local, run, limit=1_000, **cursor)
        assert sum(len(row["context"]["said"]) for row in found["rows"]) <= 32 * 2**20
        seen += [row["timestampNs"] for row in found["rows"]]
        cuts.append(found["truncated"])
        cursor = {"cursor": found["page"]["nextCursor"]} if found["page"]["hasMore"] else {}

    assert seen == [str(T0 + number) for number in range(10)]
    assert cuts == [True, False]
