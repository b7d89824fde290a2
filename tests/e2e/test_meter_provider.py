"""Metrics of a run's meter provider: stored as OpenTelemetry has them, with their scope, and queryable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from opentelemetry import context, metrics, trace
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.util._once import Once

import rundial as rd
from tests.support.collector import Collector
from tests.support.processes import own_parts
from tests.support.program import ServerProgram

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
SPAN = SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=False, trace_flags=TraceFlags(1))


@pytest.fixture
def global_meters(monkeypatch: pytest.MonkeyPatch) -> Iterator[MeterProvider]:
    """An application's own global provider, whose histograms are exponential."""
    view = View(instrument_type=Histogram, aggregation=ExponentialBucketHistogramAggregation(max_size=20))
    provider = MeterProvider(views=[view], shutdown_on_exit=False)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", provider)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER_SET_ONCE", Once())
    yield provider
    provider.shutdown()


def start(**options: Any) -> rd.Run:
    """Start a run that collects at its end alone."""
    return rd.init(project="meters", system_metrics=False, system_metrics_interval_seconds=3600, **options)


def data_points(server: ServerProgram, run: rd.Run) -> dict[str, dict[str, Any]]:
    """What the server has, by the metric's name."""
    body = json.dumps({"projectId": run.identity["project_id"], "runId": run.run_id}).encode()
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    with urlopen(Request(f"{server.url}/api/v1/query/datapoints", body, headers), timeout=10) as answer:
        return {row["metricKey"]: row for row in json.load(answer)["rows"]}


def test_every_kind_of_instrument_is_stored_as_it_is(server: ServerProgram, tmp_path: Path) -> None:
    """Sums and histograms with their temporality, bucket by bucket, with exemplars of the spans around."""
    with own_parts():
        run = start(endpoint=server.url, api_key=server.key, spool_directory=str(tmp_path / "spool"))
        meter = run.meter_provider.get_meter("shop", "1.2")
        meter.create_counter("calls", unit="1").add(2**53 + 1, {"model": "m", "retries": 3})
        meter.create_up_down_counter("open").add(-1)
        meter.create_gauge("temperature", unit="Cel").set(36.5)
        histogram = meter.create_histogram(
            "took", unit="s", explicit_bucket_boundaries_advisory=[0.5, 1.0, 5.0]
        )
        token = context.attach(trace.set_span_in_context(NonRecordingSpan(SPAN)))
        for value in (0.25, 0.75, 0.8, 9.0):
            histogram.record(value)
        context.detach(token)
        assert run.finish(30)
        ledger = run.diagnostics().ledger.points
        summary = dict(run.summary)

    found = data_points(server, run)
    calls, took = found["calls"], found["took"]
    assert (calls["kind"], calls["value"], calls["temporality"]) == ("sum", 2**53 + 1, "cumulative")
    assert (calls["monotonic"], calls["unit"], calls["step"]) == (True, "1", 0)
    assert calls["context"] == {"model": "m", "retries": 3}
    assert (found["open"]["value"], found["open"]["monotonic"]) == (-1, False)
    assert (took["kind"], took["temporality"], took["unit"]) == ("histogram", "cumulative", "s")
    assert (took["bounds"], took["counts"]) == ([0.5, 1.0, 5.0], [1, 2, 0, 1])
    assert (took["count"], took["sum"], took["min"], took["max"]) == (4, 10.8, 0.25, 9.0)
    assert took["startNs"] is not None
    exemplars = {each["traceId"] for each in took["exemplars"]}
    assert exemplars == {f"{SPAN.trace_id:032x}"}
    # Numbers are series as well, and a histogram has some beside it.
    base = f"/api/v1/metrics/keys?projectId={run.identity['project_id']}&runId={run.run_id}"
    keys = {each["metricKey"] for each in server.get(base)["keys"]}
    assert {"calls", "open", "temperature", "took/count", "took/sum", "took/min", "took/max"} <= keys
    assert (ledger.delivered, ledger.lost, ledger.waiting) == (8, 0, 0)
    assert (summary["temperature"], summary["took/max"]) == (36.5, 9.0)


def test_exponential_histograms_of_an_attached_provider_are_stored_as_such(
    server: ServerProgram, tmp_path: Path, global_meters: MeterProvider
) -> None:
    """Scale, zero count and both sides arrive, as the application's own view makes them."""
    with own_parts():
        run = start(
            endpoint=server.url, api_key=server.key, otel="attach", spool_directory=str(tmp_path / "spool")
        )
        histogram = global_meters.get_meter("app").create_histogram("size")
        for value in (0.0, 1.0, 3.0, 900.0):
            histogram.record(value)
        assert run.finish(30)

    size = data_points(server, run)["size"]
    assert (size["kind"], size["temporality"], size["count"]) == ("exponentialHistogram", "cumulative", 4)
    assert (size["zeroCount"], size["sum"], size["min"], size["max"]) == (1, 904.0, 0.0, 900.0)
    assert sum(size["positive"]["counts"]) == 3


def test_points_arrive_in_the_scope_that_they_were_given(tmp_path: Path) -> None:
    """An endpoint sees whose metric it is; two libraries with one name are two, and both are there."""
    with Collector() as collector, own_parts():
        run = start(otlp_endpoint=collector.url, spool_directory=str(tmp_path / "spool"))
        run.log({"loss": 1.0}, step=0)
        one = run.meter_provider.get_meter("one", "1.0", "https://schema", {"team": "a"})
        two = run.meter_provider.get_meter("two")
        for meter in (one, two):
            meter.create_counter("requests").add(1, {"route": "/"})
            meter.create_histogram("took").record(2.0)
        run.log({"loss": 2.0}, step=1)
        assert run.finish(30)

    scopes: dict[tuple[str, str], list[str]] = {}
    times: list[int] = []
    for request in collector.requests:
        for group in getattr(request.message(), "resource_metrics", ()):
            assert {each.key for each in group.resource.attributes} >= {"rundial.run.id", "service.name"}
            for scope in group.scope_metrics:
                names = scopes.setdefault((scope.scope.name, scope.scope.version), [])
                names += [metric.name for metric in scope.metrics]
                times += [
                    metric.sum.data_points[0].time_unix_nano
                    for metric in scope.metrics
                    if metric.name == "requests"
                ]
                if scope.scope.name == "one":
                    assert (scope.schema_url, scope.scope.attributes[0].key) == ("https://schema", "team")
    theirs = ["requests", "took", "took/count", "took/sum", "took/min", "took/max"]
    assert scopes[("one", "1.0")] == scopes[("two", "")] == theirs
    assert scopes[("rundial", rd.__version__)] == ["loss"]
    assert len(set(times)) == len(times) == 2
    assert [point.value for point in collector.points if point.name == "loss"] == [1.0, 2.0]
