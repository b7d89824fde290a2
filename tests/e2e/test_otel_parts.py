"""`rundial.otel`: processors and exporters of OpenTelemetry programs that have no run."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord  # noqa: TID251 - a program of OpenTelemetry's own
from opentelemetry.sdk._logs import LoggerProvider  # noqa: TID251 - as above
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: TID251 - as above
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from rundial import otel
from rundial.api.adopt import sync
from rundial.errors import ConfigError
from tests.support.collector import Collector

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An OTLP endpoint."""
    with Collector() as endpoint:
        yield endpoint


@pytest.fixture
def options(collector: Collector, tmp_path: Path) -> dict[str, Any]:
    """Settings of a part."""
    return {"otlp_endpoint": collector.url, "spool_directory": str(tmp_path / "spool"), "ring_bytes": 1 << 20}


def test_spans_arrive_with_all_that_they_hold(collector: Collector, options: dict[str, Any]) -> None:
    """A processor of ours sends what OpenTelemetry's own exporter would: events, links, scope, resource."""
    processor = otel.RecordingSpanProcessor(**options)
    provider = TracerProvider()
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("shop", "1.2")
    with tracer.start_as_current_span("checkout", attributes={"n": 1}) as span:
        span.add_event("paid", {"cents": 5})
        with tracer.start_as_current_span("pay"):
            pass
    assert processor.force_flush()
    ledger = processor.ledger().spans
    provider.shutdown()

    by_name = {span.name: span for span in collector.spans}
    assert by_name["checkout"].attributes == {"n": 1}
    assert [event.name for event in by_name["checkout"].events] == ["paid"]
    assert by_name["pay"].parent_span_id == by_name["checkout"].span_id
    (scope,) = {
        each.scope.name
        for request in collector.requests
        for group in request.message().resource_spans
        for each in group.scope_spans
    }
    assert scope == "shop"
    assert (ledger.recorded, ledger.delivered, ledger.lost) == (2, 2, 0)


def test_parts_with_the_same_settings_share_one_way_out(
    collector: Collector, options: dict[str, Any]
) -> None:
    """One ring, one spool and one sender, and the last part to leave closes them."""
    # A run of another test in this process may have threads of the same names.
    before = set(threading.enumerate())
    parts = [otel.RecordingSpanProcessor(**options), otel.SpoolingSpanExporter(**options)]
    made = [thread.name for thread in threading.enumerate() if thread not in before]
    assert made.count("rundial-encoder") == 1
    parts[0].shutdown()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(parts[1]))  # type: ignore[arg-type]  # the second one
    with provider.get_tracer("t").start_as_current_span("late"):
        pass
    provider.shutdown()
    parts[1].shutdown()

    assert [span.name for span in collector.spans] == ["late"]
    # The collector's own threads see the end of a connection when they see it.
    assert {each for each in threading.enumerate() if each.name.startswith("rundial")} <= before


def test_an_export_succeeds_without_a_network_once_it_is_on_disk(
    collector: Collector, options: dict[str, Any]
) -> None:
    """A batch of OpenTelemetry's is safe when it has been exported, whatever the endpoint does."""
    collector.stop()
    exporter = otel.SpoolingSpanExporter(**options, finish_timeout_seconds=0)
    provider = TracerProvider()
    batches = BatchSpanProcessor(exporter)
    provider.add_span_processor(batches)
    for number in range(3_000):
        with provider.get_tracer("t").start_as_current_span(f"span {number}"):
            pass
        if number % 1_000 == 999:
            assert batches.force_flush()
    account = exporter.ledger().spans
    provider.shutdown()

    assert (account.recorded, account.waiting_ring, account.waiting_spool) == (3_000, 0, 3_000)
    collector.start()
    successor = otel.SpoolingSpanExporter(**options)
    assert collector.wait_for(lambda: len(collector.spans) == 3_000)
    successor.shutdown()


def test_logs_and_metrics_of_every_kind_arrive(collector: Collector, options: dict[str, Any]) -> None:
    """Log records go through a batch or at once, and sums, gauges and histograms point by point."""
    exporter = otel.SpoolingMetricExporter(**options)
    meters = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=1e9)])
    meter = meters.get_meter("m")
    meter.create_counter("sum").add(3, {"a": 1})
    meter.create_counter("sum").add(4, {"a": 2})
    meter.create_histogram("histogram").record(7)
    meter.create_gauge("gauge").set(1.5)
    logs = LoggerProvider()
    logs.add_log_record_processor(otel.RecordingLogRecordProcessor(**options))
    logs.add_log_record_processor(BatchLogRecordProcessor(otel.SpoolingLogRecordExporter(**options)))
    logs.get_logger("l").emit(LogRecord(body="line", event_name="shop.paid", attributes={"n": 1}))
    logs.force_flush()
    meters.force_flush()
    ledger = exporter.ledger()
    meters.shutdown()
    logs.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's own

    # Each collection has all of them; the reader's shutdown makes another one.
    points = sorted((point.name, point.attributes.get("a")) for point in collector.points)
    assert points == sorted([("gauge", None), ("histogram", None), ("sum", 1), ("sum", 2)] * 2)
    assert [(log.event_name, log.body) for log in collector.logs] == [("shop.paid", "line")] * 2
    assert (ledger.points.recorded, ledger.lines.recorded) == (4, 2)


def test_a_span_beyond_the_ring_keeps_the_beginnings(collector: Collector, options: dict[str, Any]) -> None:
    """A prompt of 5 MB costs the prompt's end, not the span; beside it stands how long it was."""
    processor = otel.RecordingSpanProcessor(**options)
    provider = TracerProvider()
    provider.add_span_processor(processor)
    long = {"prompt": "p" * 5_000_000, "parts": ["x" * 100_000, "y"], "short": "s"}
    many = {f"key {number}": number for number in range(100)}
    with provider.get_tracer("t").start_as_current_span("long", attributes={**long, **many}) as span:
        for number in range(100):
            span.add_event(f"event {number}", {"text": "e" * 2_000})
    assert processor.force_flush()
    account = processor.ledger().spans
    provider.shutdown()

    (found,) = collector.spans
    assert found.attributes["prompt.rundial.original_bytes"] == 5_000_000
    assert set(found.attributes["prompt"]) == {"p"}
    assert found.attributes["short"] == "s"
    assert len(found.events) == 100
    assert account.lost == 0


def test_a_full_ring_refuses_the_newest_and_counts_it(options: dict[str, Any]) -> None:
    """A program that records faster than the disk takes is never held up."""
    processor = otel.RecordingSpanProcessor(**{**options, "mode": "offline", "flush_interval_seconds": 3_600})
    provider = TracerProvider()
    provider.add_span_processor(processor)
    with processor._station._pipeline.encoder.pass_lock:
        for number in range(100):
            with provider.get_tracer("t").start_as_current_span(f"{number}", attributes={"x": "y" * 30_000}):
                pass
        dropped = processor.ledger().spans.dropped
        recorded = processor.ledger().spans.recorded
    provider.shutdown()

    assert dropped.get("queue_full", 0) > 0
    assert recorded + dropped["queue_full"] == 100


def test_several_endpoints_get_all_of_it(collector: Collector, options: dict[str, Any]) -> None:
    """As with a run, one that is away keeps nothing from the other, and gets it later."""
    with Collector() as other:
        other.stop()
        both = {**options, "otlp_endpoint": [collector.url, other.url], "finish_timeout_seconds": 0.5}
        provider = TracerProvider()
        provider.add_span_processor(otel.RecordingSpanProcessor(**both))
        with provider.get_tracer("t").start_as_current_span("twice"):
            pass
        provider.shutdown()
        assert [span.name for span in collector.spans] == ["twice"]
        other.start()

        assert [result.why for result in sync([Path(options["spool_directory"])]).results] == [""]
        assert [span.name for span in other.spans] == ["twice"]


def test_what_is_not_sampled_is_not_recorded(collector: Collector, options: dict[str, Any]) -> None:
    """The application's sampler counts."""
    processor = otel.RecordingSpanProcessor(**options)
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(processor)
    with provider.get_tracer("t").start_as_current_span("unseen"):
        pass
    provider.shutdown()

    assert collector.spans == []


def test_a_forked_child_records_on_its_own_way(collector: Collector, options: dict[str, Any]) -> None:
    """A worker's spans are its own: nothing of the parent's is sent twice."""
    processor = otel.RecordingSpanProcessor(**options)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("parent"):
        pass
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with tracer.start_as_current_span("child"):
                pass
            status = 0 if processor.force_flush(10_000) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert processor.force_flush()
    provider.shutdown()

    assert sorted(span.name for span in collector.spans) == ["child", "parent"]


def test_what_comes_after_a_shutdown_is_counted(collector: Collector, options: dict[str, Any]) -> None:
    """A program that goes on recording finds in the account what nobody took; nothing vanishes."""
    spans, exporter = otel.RecordingSpanProcessor(**options), otel.SpoolingSpanExporter(**options)
    lines, points = otel.RecordingLogRecordProcessor(**options), otel.SpoolingMetricExporter(**options)
    provider, logs = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
    provider.add_span_processor(spans)
    logs.add_log_record_processor(lines)
    reader = PeriodicExportingMetricReader(points, export_interval_millis=3_600_000)
    metrics = MeterProvider([reader], shutdown_on_exit=False)
    metrics.get_meter("shop").create_counter("sold").add(1)
    tracer = provider.get_tracer("shop")
    tracer.start_span("before").end()
    spans.shutdown()
    # The others go on, and the account is of all of them.
    tracer.start_span("late").end()
    assert lines.ledger().spans.dropped == {"after_finish": 1}
    for part in (exporter, lines, points):
        part.shutdown()

    late = tracer.start_span("later")
    late.end()
    assert exporter.export([late]) is SpanExportResult.FAILURE
    logs.get_logger("shop").emit(LogRecord(body="late"))
    metrics.force_flush()
    ledger = points.ledger()

    assert [span.name for span in collector.spans] == ["before"]
    assert (ledger.spans.recorded, ledger.spans.delivered) == (1, 1)
    assert ledger.spans.dropped == {"after_finish": 3}
    assert ledger.lines.dropped == {"after_finish": 1}
    assert ledger.points.dropped == {"after_finish": 1}
    assert ledger.closes
    assert [each.logged for each in ledger.telemetry()] == [1, 1, 4]
    metrics.shutdown()


@pytest.mark.parametrize("name", ["run_id", "project", "tags", "exporters"])
def test_settings_of_a_run_are_refused(name: str) -> None:
    """The records say whose they are, and a mistake starts nothing."""
    with pytest.raises(ConfigError, match=f"{name} belongs to a run"):
        otel.RecordingSpanProcessor(**{name: "x"})
