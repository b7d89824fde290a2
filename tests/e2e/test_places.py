"""A run that goes to several places at once: OTLP endpoints beside its server, and exporters."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import propagate
from opentelemetry.sdk._logs.export import (  # noqa: TID251 - an exporter of a third party
    InMemoryLogRecordExporter,
)
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import rundial as rd
from rundial.api.adopt import sync
from rundial.errors import ConfigError
from tests.support.collector import Collector, key_required
from tests.support.processes import own_parts
from tests.support.scripts import start_script
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]
STEPS = 200


@pytest.fixture
def collectors() -> Iterator[tuple[Collector, Collector]]:
    """Two endpoints."""
    with Collector() as one, Collector() as two:
        yield one, two


def record(run: rd.Run, steps: int = STEPS) -> None:
    """Log points, lines and spans."""
    for step in range(steps):
        assert run.log({"loss": float(step)}, step=step)
    assert run.log_text("line")
    with run.trace("epoch", attrs={"n": 1}):
        pass


def steps_of(collector: Collector) -> list[int]:
    """The steps that arrived."""
    return [int(point.attributes["rundial.step"]) for point in collector.points if point.name == "loss"]


def is_whole(collector: Collector) -> bool:
    """Whether all that `record` logs has arrived, with the end of the run."""
    names = [event.event_name for event in collector.events]
    return (
        sorted(steps_of(collector)) == list(range(STEPS))
        and [line.body for line in collector.lines] == ["line"]
        and [span.name for span in collector.spans] == ["epoch"]
        and "rundial.run.start" in names
        and "rundial.run.finish" in names
    )


def init(spool: Path, **options: object) -> rd.Run:
    """Start a run."""
    return rd.init(project="places", spool_directory=str(spool), system_metrics=False, **options)


def test_every_endpoint_gets_the_whole_run(collectors: tuple[Collector, Collector], tmp_path: Path) -> None:
    """Each with an account of its own, and nothing is left on disk."""
    with own_parts():
        run = init(tmp_path / "spool", otlp_endpoint=[each.url for each in collectors])
        record(run)
        assert run.finish()
        (place,) = run.diagnostics().places
        ledger = run.diagnostics().ledger

    assert all(map(is_whole, collectors))
    assert place.place == collectors[1].url
    assert place.closes
    assert (place.points.delivered, place.lines.delivered, place.spans.delivered) == (STEPS, 1, 1)
    assert ledger.closes
    assert [path for path in (tmp_path / "spool").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("away", [0, 1])
def test_one_endpoint_that_is_away_delays_no_other(
    collectors: tuple[Collector, Collector], tmp_path: Path, away: int
) -> None:
    """The other has the run while it goes on, and `rundial sync` brings the rest to the one that was away."""
    here = collectors[1 - away]
    collectors[away].stop()
    with own_parts():
        run = init(
            tmp_path / "spool",
            otlp_endpoint=[each.url for each in collectors],
            finish_timeout_seconds=0.5,
        )
        record(run)
        assert here.wait_for(lambda: sorted(steps_of(here)) == list(range(STEPS)))
        assert not run.finish()
        diagnostics = run.diagnostics()
        accounts = [diagnostics.ledger, *diagnostics.places]

    assert is_whole(here)
    assert (accounts[1 - away].points.delivered, accounts[1 - away].points.waiting) == (STEPS, 0)
    assert (accounts[away].points.delivered, accounts[away].points.waiting) == (0, STEPS)
    assert all(account.closes for account in accounts)
    assert diagnostics.health == "degraded"
    collectors[away].start()
    assert [result.why for result in sync([tmp_path / "spool"]).results if result.why] == []
    assert all(map(is_whole, collectors))


def test_a_hanging_endpoint_costs_the_loop_nothing(
    collectors: tuple[Collector, Collector], tmp_path: Path
) -> None:
    """`log` waits for no network, however many endpoints there are."""
    collectors[1].script += ["hang"] * 100
    with own_parts():
        run = init(
            tmp_path / "spool",
            otlp_endpoint=[each.url for each in collectors],
            finish_timeout_seconds=0.2,
        )
        before = time.process_time(), time.monotonic()
        record(run)
        spent = time.process_time() - before[0], time.monotonic() - before[1]
        assert collectors[0].wait_for(lambda: len(steps_of(collectors[0])) == STEPS)
        assert steps_of(collectors[1]) == []
        collectors[1].release()

    assert spent[1] < 5


def test_no_key_goes_to_another_place(collectors: tuple[Collector, Collector], tmp_path: Path) -> None:
    """The run's key is for its server; each OTLP endpoint gets the headers that were said for it."""
    server, other = collectors
    server.rules = [
        lambda request: 404 if request.path.startswith("/api/") else None,
        key_required("rdk_secret"),
    ]
    with own_parts():
        run = init(
            tmp_path / "spool",
            endpoint=None,
            otlp_endpoint=[server.url, other.url],
            api_key="rdk_secret",
            otlp_headers={other.url: {"x-token": "other"}},
        )
        record(run)
        assert run.finish()

    assert is_whole(server)
    assert is_whole(other)
    assert {request.headers.get("authorization") for request in other.requests} == {None}
    assert {request.headers.get("x-token") for request in other.requests} == {"other"}
    assert {request.headers.get("x-token") for request in server.requests} == {None}


def test_sync_sends_a_collectors_headers_to_that_collector_alone(
    collectors: tuple[Collector, Collector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`RUNDIAL_OTLP_HEADERS` counts for the endpoint that the environment names, as it does for a run."""
    one, two = collectors
    for each in collectors:
        each.rules = [lambda request: None if request.headers.get("x-token") == "secret" else 401]
    with own_parts():
        for each in collectors:
            run = init(tmp_path / "spool", endpoint=None, otlp_endpoint=each.url, mode="offline")
            record(run)
            run.finish()
    monkeypatch.setenv("RUNDIAL_OTLP_HEADERS", "X-Token=secret")
    monkeypatch.setenv("RUNDIAL_OTLP_ENDPOINT", one.url)

    report = sync([tmp_path / "spool"], timeout_s=5)

    assert len([result for result in report.results if result.why == ""]) == 1
    assert is_whole(one)
    assert two.points == []
    assert {request.headers.get("x-token") for request in two.requests} == {None}


def test_a_deleted_spool_directory_is_made_again_for_every_endpoint(
    collectors: tuple[Collector, Collector], tmp_path: Path
) -> None:
    """What had waited is counted as lost at each place, and the run goes on to all of them."""
    for collector in collectors:
        collector.stop()
    with own_parts():
        run = init(tmp_path / "spool", otlp_endpoint=[each.url for each in collectors])
        record(run, 10)
        assert not run.flush(0.2)
        shutil.rmtree(tmp_path / "spool")
        wait_until(lambda: len(list((tmp_path / "spool").rglob("lock"))) == 2, 10)
        for collector in collectors:
            collector.start()
        for step in range(10, STEPS):
            assert run.log({"loss": float(step)}, step=step)
        assert run.finish()
        ledger, (place,) = run.diagnostics().ledger, run.diagnostics().places

    for account in (ledger, place):
        assert account.closes
        assert account.points.delivered == STEPS - 10
        assert account.points.evicted == {"internal_error": 10}
    assert sorted(steps_of(collectors[0])) == sorted(steps_of(collectors[1])) == list(range(10, STEPS))


PROGRAM = """
spool, urls = given["spool"], given["urls"]
run = rd.init(project="places", spool_directory=spool, otlp_endpoint=urls, system_metrics=False)
for step in range(given["steps"]):
    assert run.log({"loss": float(step)}, step=step)
assert run.log_text("line")
with run.trace("epoch"):
    pass
print(run.run_id, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["sync", "next run"])
def test_a_killed_run_reaches_every_endpoint_once(
    collectors: tuple[Collector, Collector], tmp_path: Path, how: str
) -> None:
    """After `kill -9`, the ring is brought into each endpoint's own spool, as far as that had not come."""
    urls = [each.url for each in collectors]
    collectors[1].stop()
    victim = start_script(PROGRAM, spool=str(tmp_path / "spool"), urls=urls, steps=STEPS)
    assert victim.stdout is not None
    assert victim.stdout.readline()
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    collectors[1].start()

    if how == "sync":
        report = sync([tmp_path / "spool"])
        assert [result.why for result in report.results] == ["", ""]
    else:
        with own_parts():
            run = init(tmp_path / "spool", otlp_endpoint=urls)
            for each in collectors:
                assert each.wait_for(lambda each=each: len(set(steps_of(each))) == STEPS and each.spans)  # type: ignore[misc] # mypy cannot infer a default
            assert run.finish()
    for collector in collectors:
        # What was answered and not yet acknowledged may come twice: the server knows it again.
        assert set(steps_of(collector)) == set(range(STEPS))
        assert {line.body for line in collector.lines} == {"line"}
        assert {span.name for span in collector.spans} == {"epoch"}
    assert sync([tmp_path / "spool"]).results == ()


def test_the_context_of_the_programs_own_requests_is_untouched(
    collectors: tuple[Collector, Collector], tmp_path: Path
) -> None:
    """What a program sends elsewhere carries its own span, and what Rundial sends carries none."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("program")
    found: list[dict[str, str]] = []
    with own_parts(), tracer.start_as_current_span("request") as span:
        run = init(tmp_path / "spool", otlp_endpoint=[each.url for each in collectors])
        record(run)
        for _ in range(2):
            headers: dict[str, str] = {}
            propagate.inject(headers)
            found.append(headers)
            assert run.finish()
        context = span.get_span_context()

    ids = f"{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert found == [{"traceparent": f"00-{ids}"}] * 2
    for collector in collectors:
        assert collector.requests
        assert not any("traceparent" in request.headers for request in collector.requests)


class Metrics(MetricExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[tuple[str, Any, float]] = []
        self.is_shut_down = False

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any
    ) -> MetricExportResult:
        """Keep points."""
        for group in metrics_data.resource_metrics:
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        attributes = point.attributes or {}
                        self.points.append((metric.name, attributes["rundial.step"], point.value))  # type: ignore[union-attr] # a gauge's
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Remember it."""
        self.is_shut_down = True


class Broken(SpanExporter):
    """Fails in one way or another."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.released = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Fail."""
        if self.how == "raises":
            raise RuntimeError("rdk_secret is the key")
        if self.how == "hangs":
            self.released.wait(20)
        return SpanExportResult.FAILURE


def test_exporters_get_what_the_run_records(collectors: tuple[Collector, Collector], tmp_path: Path) -> None:
    """Points with their steps, lines, events and spans come as OpenTelemetry's own objects."""
    spans, logs, metrics = InMemorySpanExporter(), InMemoryLogRecordExporter(), Metrics()
    with own_parts():
        run = init(tmp_path / "spool", otlp_endpoint=collectors[0].url, exporters=[spans, logs, metrics])
        record(run)
        assert run.flush(10)
        finished = spans.get_finished_spans()
        lines = [each.log_record.body for each in logs.get_finished_logs()]
        names = [each.log_record.event_name for each in logs.get_finished_logs()]
        assert run.finish()
        places = {place.place: place for place in run.diagnostics().places}

    (span,) = finished
    assert (span.name, dict(span.attributes or {})) == ("epoch", {"n": 1})
    assert span.resource.attributes["rundial.run.id"] == run.run_id
    assert f"{span.context.span_id:016x}" == collectors[0].spans[0].span_id
    assert "line" in lines
    assert "rundial.run.start" in names
    assert metrics.points == [("loss", step, float(step)) for step in range(STEPS)]
    assert metrics.is_shut_down
    assert places["Metrics"].points.delivered == STEPS
    assert places["InMemorySpanExporter"].spans.delivered == 1
    assert places["InMemorySpanExporter"].points.recorded == 0
    assert all(place.closes for place in places.values())
    assert is_whole(collectors[0])


@pytest.mark.parametrize("how", ["fails", "raises", "hangs"])
def test_an_exporter_that_fails_is_counted_and_holds_up_nobody(
    collectors: tuple[Collector, Collector], tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """The run's own account is untouched, and no word of an exporter's error is repeated."""
    exporter = Broken(how)
    with own_parts():
        run = init(
            tmp_path / "spool",
            otlp_endpoint=collectors[0].url,
            exporters=[exporter],
            finish_timeout_seconds=1,
        )
        record(run)
        assert collectors[0].wait_for(lambda: len(collectors[0].spans) == 1)
        is_done = run.finish()
        (place,) = run.diagnostics().places
        ledger = run.diagnostics().ledger
        exporter.released.set()

    assert is_whole(collectors[0])
    assert (ledger.spans.delivered, ledger.spans.rejected) == (1, 0)
    assert place.closes
    if how == "hangs":
        assert not is_done
        assert place.spans.waiting == 1
    else:
        assert is_done
        assert place.spans.rejected == 1
        assert "RuntimeError" in caplog.text or how == "fails"
    assert "rdk_secret" not in caplog.text


def test_what_is_no_exporter_is_refused(tmp_path: Path) -> None:
    """A mistake starts nothing."""
    with pytest.raises(ConfigError, match="must be a list of exporters"):
        init(tmp_path / "spool", exporters=[json])
