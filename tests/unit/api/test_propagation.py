"""Parents and links from elsewhere, headers in and out, and work that is handed to executors."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from opentelemetry import baggage, context
from opentelemetry import trace as otel
from opentelemetry.propagate import inject as otel_inject
from opentelemetry.sdk.trace import TracerProvider

import rundial as rd
from rundial.api.run import Run
from tests.support.recorded import Recorded
from tests.unit.api.test_trace import parents

Read = Callable[[Run], Recorded]
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "parent",
    [
        TRACEPARENT,
        f"00-{TRACE}-{SPAN}-00",
        {"traceparent": TRACEPARENT},
        {"Host": "x", "TraceParent": TRACEPARENT, "tracestate": "a=1"},
        {"PATH": "/bin", "TRACEPARENT": TRACEPARENT},
        otel.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=True),
        otel.set_span_in_context(
            otel.NonRecordingSpan(otel.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=True)),
            context.Context(),
        ),
    ],
)
def test_a_parent_may_be_named_in_each_of_its_forms(run: Run, read: Read, parent: object) -> None:
    """A traceparent, sampled or not, headers and environments of any case, and what OpenTelemetry has."""
    with run.trace("here"), run.trace("served", parent=parent):
        pass

    span = next(span for span in read(run).spans if span.name == "served")
    assert (span.trace_id, span.parent_span_id) == (TRACE, SPAN)


def test_a_parent_may_be_another_span(run: Run, read: Read) -> None:
    """One of a run's own or one of OpenTelemetry's, ended or not."""
    theirs = TracerProvider(shutdown_on_exit=False).get_tracer("app").start_span("theirs")
    first = run.trace("first")
    first.finish()
    run.trace("of first", parent=first).finish()
    run.trace("of theirs", parent=theirs).finish()

    found = read(run)
    assert parents(found)["of first"] == "first"
    assert parents(found)["of theirs"] == f"{theirs.get_span_context().span_id:016x}"


def test_an_unreadable_parent_costs_the_span_that_place_alone(
    start: Callable[..., Run], read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    """It lies below the current span, or in a trace of its own, and the program is told."""
    run = start(strict=False)
    with run.trace("here"):
        run.trace("below", parent={"traceparent": "00-zz-1-01"}).finish()
    run.trace("alone", parent={"traceparent": "00-zz-1-01"}).finish()

    assert "take its parent" in caplog.text
    assert parents(read(run)) == {"here": "", "below": "here", "alone": ""}


def test_headers_without_a_parent_change_nothing(run: Run, read: Read) -> None:
    """A request that came without a trace is served below the current span."""
    with run.trace("here"):
        run.trace("served", parent={"accept": "*/*"}).finish()

    assert parents(read(run))["served"] == "here"


@pytest.mark.parametrize("parent", ["nonsense", f"00-{'0' * 32}-{SPAN}-01", {"traceparent": "01"}, 7])
def test_a_parent_that_is_none_costs_the_span_its_place_only(
    run: Run, read: Read, parent: object, caplog: pytest.LogCaptureFixture
) -> None:
    """It is stored in a trace of its own, and what was wrong is told."""
    with run.trace("served", parent=parent):
        pass

    (span,) = read(run).spans
    assert span.parent_span_id == ""
    assert "a span could not take its parent" in caplog.text
    assert run.diagnostics().ledger.spans.dropped == {}


def test_the_current_span_goes_into_headers_and_environments(run: Run) -> None:
    """As W3C Trace Context, and as OpenTelemetry's own propagator writes it."""
    assert rd.inject({}) == {}
    with run.trace("client") as span:
        headers = rd.inject({"accept": "*/*"})
        environment = rd.inject({"PATH": "/bin"}, environment=True)
        theirs: dict[str, str] = {}
        otel_inject(theirs)

    assert headers == {"accept": "*/*", "traceparent": span.traceparent}
    assert environment == {"PATH": "/bin", "TRACEPARENT": span.traceparent}
    assert theirs["traceparent"] == span.traceparent
    assert span.traceparent.startswith(f"00-{span.trace_id}-{span.span_id}-0")


def test_links_are_kept_in_each_of_their_forms(run: Run, read: Read) -> None:
    """A span links to others at its start and later, with words; what is no span is told and left out."""
    first = run.trace("first")
    first.finish()
    with run.trace("joined", links=[first, TRACEPARENT, 3]) as span:
        span.link({"traceparent": TRACEPARENT}, {"why": "retry"})
        span.link({})

    links = read(run).span("joined").links
    assert [link.span_id.hex() for link in links] == [first.span_id, SPAN, SPAN]
    assert [pair.value.string_value for pair in links[2].attributes] == ["retry"]


def test_a_step_ties_a_span_to_its_points(run: Run, read: Read) -> None:
    """The number is an attribute; one that is none costs the span nothing else."""
    run.trace("tied", step=7, attrs={"a": 1}).finish()
    run.trace("loose", step=-1, attrs={"a": 1}).finish()

    tied, loose = read(run).spans
    assert (tied.attributes, loose.attributes) == ({"a": 1, "rundial.step": 7}, {"a": 1})


def test_a_status_is_what_was_said_last(run: Run, read: Read) -> None:
    """`set_status` stands, also against the `ok` of a block that just ends, but not against an exception."""
    with run.trace("said") as span:
        span.set_status("error", "bad answer")
    by_hand = run.trace("by hand")
    by_hand.set_status("unset")
    by_hand.finish()
    raised = run.trace("raised")
    raised.set_status("ok")
    with pytest.raises(KeyError), raised:
        raise KeyError("k")
    with run.trace("of an instrumentation"):
        otel.get_current_span().set_status(otel.StatusCode.ERROR, "theirs")
    with pytest.raises(ValueError, match="status"):
        run.trace("x").set_status("great")

    found = {message.name: message.status for message in read(run).messages}
    assert (found["said"].code, found["said"].message) == (2, "bad answer")
    assert found["by hand"].code == 0
    assert (found["raised"].code, found["raised"].message) == (2, "KeyError: 'k'")
    assert (found["of an instrumentation"].code, found["of an instrumentation"].message) == (2, "theirs")


def test_a_caught_exception_is_kept_with_its_stack(run: Run, read: Read) -> None:
    """The span goes on, and its status is its own."""
    with run.trace("retried") as span:
        try:
            raise TimeoutError("slow")
        except TimeoutError as error:
            span.exception(error, {"attempt": 1})

    found = read(run).span("retried")
    (event,) = found.events
    said = {pair.key: pair.value.string_value for pair in event.attributes}
    assert found.status.code == 1
    assert said["exception.type"] == "TimeoutError"
    assert "test_a_caught_exception_is_kept_with_its_stack" in said["exception.stacktrace"]


def square_in_span(number: int) -> int:
    """Work, with a span of OpenTelemetry's own noted."""
    return number * number * int(otel.get_current_span().get_span_context().is_valid)


def test_work_in_a_wrapped_pool_of_threads_has_the_submitters_parent(run: Run, read: Read) -> None:
    """With `submit` and `map`; the thread is left as it was, and the pool is one pool."""

    @run.trace("item")
    def work(number: int) -> int:
        return square_in_span(number)

    with ThreadPoolExecutor(2) as threads:
        pool: Executor = rd.wrap_executor(threads)
        with run.trace("batch"):
            assert pool.submit(work, number=2).result(10) == 4
            assert list(pool.map(work, range(3), timeout=10)) == [0, 1, 4]
        assert threads.submit(otel.get_current_span).result(10).get_span_context().is_valid is False
        assert rd.wrap_executor(pool) is pool
        pool.shutdown(cancel_futures=True)
        with pytest.raises(RuntimeError):
            threads.submit(work, 1)

    assert {parents(read(run))["item"]} == {"batch"}


def test_work_keeps_the_submitters_baggage(run: Run) -> None:
    """The whole of OpenTelemetry's context goes along within a process."""
    token = context.attach(baggage.set_baggage("tenant", "a"))
    try:
        with ThreadPoolExecutor(1) as threads, run.trace("batch"):
            assert rd.wrap_executor(threads).submit(baggage.get_baggage, "tenant").result(10) == "a"
    finally:
        context.detach(token)


def worker_ids() -> tuple[str, str]:
    """The current span as a worker process sees it."""
    found = otel.get_current_span().get_span_context()
    return f"{found.trace_id:032x}", f"{found.span_id:016x}"


def test_work_in_a_wrapped_pool_of_processes_has_the_submitters_parent(run: Run) -> None:
    """The span travels with the work, also in chunks."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        pool: Any = rd.wrap_executor(processes)
        with run.trace("batch") as span:
            found = [pool.submit(worker_ids).result(15), *pool.map(_worker_ids_of, range(2), chunksize=2)]

    assert found == [(span.trace_id, span.span_id)] * 3


def _worker_ids_of(number: int) -> tuple[str, str]:
    del number
    return worker_ids()


def test_a_child_process_takes_its_parent_from_the_environment(
    run: Run, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`TRACEPARENT`, which the parent has put there."""
    with run.trace("launcher") as launcher:
        environment = rd.inject(dict(os.environ), environment=True)
    monkeypatch.setenv("TRACEPARENT", environment["TRACEPARENT"])
    run.trace("launched", parent=os.environ).finish()

    found = read(run)
    assert parents(found)["launched"] == "launcher"
    assert {span.trace_id for span in found.spans} == {launcher.trace_id}


def test_no_warning_is_shown_for_what_is_right(run: Run) -> None:
    """The whole surface, with warnings made errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with run.trace("a", step=1, parent={}, links=[]) as span:
            span.link(TRACEPARENT)
            span.event("e")
