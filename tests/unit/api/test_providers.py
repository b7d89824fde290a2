"""OpenTelemetry's providers of a run: real ones, of which nothing is global, that end with the run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest
from opentelemetry import _logs, context, metrics, trace  # noqa: TID251 - the API of logs has no other home
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rundial.api.run import Run
from tests.support.recorded import Recorded
from tests.unit.api.test_trace import parents

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]


def emit(provider: Any, body: object, **fields: Any) -> None:
    """Emit one log record."""
    provider.get_logger("app", "1.0").emit(_logs.LogRecord(body=body, **fields))


def test_spans_of_the_tracer_provider_are_the_runs(run: Run, read: Read) -> None:
    """Below the current span, and above one that is begun within them."""
    tracer = run.tracer_provider.get_tracer("library", "2.0")
    with run.trace("ours"), tracer.start_as_current_span("theirs", attributes={"a": 1}), run.trace("inner"):
        pass

    found = read(run)
    assert parents(found) == {"ours": "", "theirs": "ours", "inner": "theirs"}
    theirs = next(span for span in found.spans if span.name == "theirs")
    assert theirs.attributes == {"a": 1, "otel.scope.name": "library", "otel.scope.version": "2.0"}
    assert run.tracer_provider is run.tracer_provider


def test_log_records_are_the_runs_lines(run: Run, read: Read) -> None:
    """With severity, attributes, the event's name and the span; a body that is no text is JSON."""
    provider = run.logger_provider
    with run.trace("ours") as span:
        emit(
            provider,
            {"role": "user"},
            severity_number=_logs.SeverityNumber.WARN,
            attributes={"k": 1},
            event_name="gen_ai.choice",
            timestamp=1_700_000_000_000_000_000,
            context=context.get_current(),
        )
    emit(provider, "plain")
    emit(provider, None, event_name="rundial.run.finish")

    found = read(run)
    (first,) = [event for event in found.events if event.event_name == "gen_ai.choice"]
    second, third = found.lines
    assert (first.body, first.severity, first.event_name) == ('{"role": "user"}', 13, "gen_ai.choice")
    assert first.time_unix_ns // 10**6 == 1_700_000_000_000
    assert first.attributes["k"] == 1
    assert first.attributes["otel.scope.name"] == "app"
    assert (first.trace_id, first.span_id) == (span.trace_id, span.span_id)
    assert (second.body, second.event_name, second.span_id) == ("plain", "", "")
    # It is a line, and ends no run.
    assert (third.body, third.event_name, third.attributes["event.name"]) == ("", "", "rundial.run.finish")


def test_metrics_are_the_runs_points(start: Start, read: Read) -> None:
    """Sums, gauges and histograms, with their attributes, once more at the run's end."""
    run = start(system_metrics=False)
    meter = run.meter_provider.get_meter("app")
    meter.create_counter("calls").add(2, {"model": "m"})
    meter.create_up_down_counter("open").add(-1)
    meter.create_gauge("temperature").set(36.5)
    histogram = meter.create_histogram("took")
    histogram.record(1.0)
    histogram.record(3.0)
    meter.create_observable_gauge("asked", [lambda _: [metrics.Observation(4)]])
    beyond = meter.create_counter("beyond")
    beyond.add(1e308)
    beyond.add(1e308)
    assert run.finish(10)

    found = read(run)
    assert {point.name: point.value for point in found.points} == {
        "calls": 2.0,
        "open": -1.0,
        "temperature": 36.5,
        # The histogram itself; read back here by its sum.
        "took": 4.0,
        "took/count": 2.0,
        "took/sum": 4.0,
        "took/min": 1.0,
        "took/max": 3.0,
        "asked": 4.0,
    }
    assert {point.step for point in found.points} == {0}
    (calls,) = [point for point in found.points if point.name == "calls"]
    assert calls.attributes["model"] == "m"
    assert run.diagnostics().ledger.points.dropped == {"non_finite": 1}


def test_metrics_without_end_are_bounded(start: Start, read: Read) -> None:
    """A program that makes up attributes costs the run no more than a bound, counted."""
    run = start(system_metrics=False)
    counters = run.meter_provider.get_meter("app")
    for number in range(2_100):
        counters.create_gauge(f"g{number}").set(number)
    assert run.finish(20)

    assert len(read(run).points) == 2_000
    assert run.diagnostics().ledger.points.dropped == {"queue_full": 100}


def test_providers_that_somebody_shuts_down_cost_no_span_and_no_line(start: Start, read: Read) -> None:
    """An instrumentation that tidies up does not end the run's recording; the run ends once, quietly."""
    run = start(system_metrics=False)
    counter = run.meter_provider.get_meter("app").create_counter("calls")
    counter.add(1)
    for provider in (run.tracer_provider, run.logger_provider, run.meter_provider):
        provider.force_flush()  # type: ignore[union-attr]  # the SDK's have one
        provider.shutdown()  # type: ignore[union-attr]  # as above
    run.tracer_provider.get_tracer("app").start_span("late").end()
    with run.trace("ours"):
        emit(run.logger_provider, "late")
    assert run.finish(10)

    found = read(run)
    assert sorted(span.name for span in found.spans) == ["late", "ours"]
    assert [line.body for line in found.lines] == ["late"]
    assert found.values("calls")[-1] == 1.0


def test_a_disabled_runs_providers_do_nothing(start: Start) -> None:
    """The same surface, and no thread."""
    run = start(mode="disabled")
    run.tracer_provider.get_tracer("x").start_span("s").end()
    emit(run.logger_provider, "x")
    run.meter_provider.get_meter("x").create_counter("c").add(1)
    assert run.attach_otel() == ()


def test_nothing_global_is_touched(run: Run) -> None:
    """Using all three providers sets none of OpenTelemetry's globals."""
    before = (trace._TRACER_PROVIDER, _logs._internal._LOGGER_PROVIDER, metrics._internal._METER_PROVIDER)
    with run.trace("x"):
        emit(run.logger_provider, "x")
        run.meter_provider.get_meter("x").create_counter("c").add(1)

    after = (trace._TRACER_PROVIDER, _logs._internal._LOGGER_PROVIDER, metrics._internal._METER_PROVIDER)
    assert after == before
    assert run.attach_otel() == ()


def test_a_long_attribute_of_anybodys_span_is_kept_whole(start: Start, read: Read) -> None:
    """A prompt of 5 MB that an instrumentation puts on its span is evidence, as one of ours is."""
    run = start(system_metrics=False)
    prompt = "prompt " * 750_000
    run.tracer_provider.get_tracer("app").start_span("s", attributes={"gen_ai.input.messages": prompt}).end()
    emit(run.logger_provider, "x", attributes={"prompt": prompt})

    found = read(run)
    for attributes in (found.spans[0].attributes, found.lines[0].attributes):
        key = "prompt" if "prompt" in attributes else "gen_ai.input.messages"
        assert attributes[f"{key}.rundial.original_bytes"] == len(prompt)
        assert attributes[f"{key}.rundial.evidence.path"].startswith("evidence/")
    assert run.diagnostics().ledger.artifacts.recorded == 2


def test_a_switched_off_opentelemetry_is_the_applications(
    start: Start, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable, like those of samplers and limits, is not meant for the run's own spans."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    run = start()
    with run.trace("x", attrs={"a": "whole"}):
        pass

    assert [span.attributes for span in read(run).spans] == [{"a": "whole"}]


def test_another_processor_is_told_of_the_runs_spans(run: Run, read: Read) -> None:
    """Whoever is added to the provider sees what `run.trace` makes, as the SDK's; each is stored once."""
    kept = InMemorySpanExporter()
    run.trace("before").finish()
    run.tracer_provider.add_span_processor(SimpleSpanProcessor(kept))
    with run.trace("ours", kind="tool", attrs={"a": 1}) as span:
        span.event("e")

    (told,) = kept.get_finished_spans()
    assert (told.name, told.status.is_ok) == ("ours", True)
    assert told.attributes == {"a": 1, "rundial.span.kind": "tool"}
    found = read(run)
    assert [each.name for each in found.spans] == ["before", "ours"]
    assert found.spans[1].attributes == told.attributes
    assert [event.name for event in found.span("ours").events] == ["e"]


ATTACHED = """
    import os, sys
    import rundial as rd
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, lines, points = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()

    def set_providers():
        tracers, loggers = TracerProvider(), LoggerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(spans))
        loggers.add_log_record_processor(SimpleLogRecordProcessor(lines))
        trace.set_tracer_provider(tracers)
        _logs.set_logger_provider(loggers)
        metrics.set_meter_provider(MeterProvider([points]))

    def work(name):
        with trace.get_tracer("app").start_as_current_span(name):
            _logs.get_logger("app").emit(_logs.LogRecord(body=name))
        metrics.get_meter("app").create_counter("calls").add(1)

    def start(**more):
        return rd.init(project="p", mode="offline", spool_directory=sys.argv[1], system_metrics=False, **more)
"""


def attached(program: str, spool: object) -> subprocess.CompletedProcess[str]:
    """Run a program that has providers of its own; a process can set its globals once."""
    return subprocess.run(
        [sys.executable, "-c", dedent(ATTACHED) + dedent(program), str(spool)],
        capture_output=True,
        text=True,
        check=False,
        timeout=19,
    )


def test_an_attached_run_records_what_the_application_does(spool_dir: Any) -> None:
    """Each span, line and metric once on each side, from the run's start to its end, and none after."""
    from tests.support import recorded

    done = attached(
        """
        set_providers()
        work("before")
        provider = trace.get_tracer_provider()
        run = start(otel="attach", run_id="one")
        assert run.attach_otel() == ("traces", "logs", "metrics")
        with run.trace("ours"):
            work("during")
        assert run.finish(10)
        work("after")
        again = start(otel="attach", run_id="two")
        work("again")
        assert again.finish(10)
        assert trace.get_tracer_provider() is provider
        assert [span.name for span in spans.get_finished_spans()] == ["before", "during", "after", "again"]
        assert len(lines.get_finished_logs()) == 4
        """,
        spool_dir,
    )
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr

    found = recorded.read(spool_dir)
    by_run = {(span.resource["rundial.run.id"], span.name) for span in found.spans}
    assert by_run == {("one", "during"), ("one", "ours"), ("two", "again")}
    assert len(found.spans) == 3
    assert parents(found)["during"] == "ours"
    assert sorted((line.resource["rundial.run.id"], line.body) for line in found.lines) == [
        ("one", "during"),
        ("two", "again"),
    ]
    assert sorted(found.values("calls")) == [1.0, 1.0]


def test_a_run_is_attached_later(spool_dir: Any) -> None:
    """A program that sets its providers after `init` is told, and attaches then."""
    from tests.support import recorded

    done = attached(
        """
        import warnings
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            run = start(otel="attach")
        assert "attach_otel" in str(told[-1].message)
        set_providers()
        assert run.attach_otel() == ("traces", "logs", "metrics")
        assert run.attach_otel() == ("traces", "logs", "metrics")
        work("once")
        assert run.finish(10)
        """,
        spool_dir,
    )
    assert done.returncode == 0, done.stderr

    found = recorded.read(spool_dir)
    assert [span.name for span in found.spans] == ["once"]
    assert [line.body for line in found.lines] == ["once"]


def test_the_default_leaves_the_applications_providers_alone(spool_dir: Any) -> None:
    """Without `attach` what the application does is its own."""
    from tests.support import recorded

    done = attached(
        """
        set_providers()
        before = trace.get_tracer_provider()._active_span_processor._span_processors
        run = start()
        with run.trace("ours"):
            work("theirs")
        assert run.finish(10)
        assert trace.get_tracer_provider()._active_span_processor._span_processors == before
        """,
        spool_dir,
    )
    assert done.returncode == 0, done.stderr

    assert [span.name for span in recorded.read(spool_dir).spans] == ["ours"]


def test_detaching_takes_no_longer_than_it_is_given(start: Start) -> None:
    """The last collection gets what is left of the end of the run, and no seconds of its own."""
    run = start(system_metrics=False)
    providers = run._otel()
    given: list[float] = []
    providers._attached = {"metrics": given.append, "logs": given.append}
    providers.detach(0.25)

    assert len(given) == 2
    assert all(0 <= each <= 0.25 for each in given)
