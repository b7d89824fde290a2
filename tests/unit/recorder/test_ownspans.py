"""Spans without the SDK: the same on disk as the SDK's, whatever is done to them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from rundial.recorder.layout import Kind
from rundial.recorder.ownspans import OwnSpan, OwnTracer
from rundial.recorder.processors import RecorderSpanProcessor
from tests.unit.recorder.builders import Rig, RunParts, left_in, spans

LINKED = SpanContext(5, 6, is_remote=True)


def own_tracer(run: RunParts) -> OwnTracer:
    """Return a tracer whose spans go to a run."""
    return OwnTracer(RecorderSpanProcessor(run.recorder), RandomIdGenerator())


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A ring and a spool."""
    return Rig(tmp_path)


def plain(span: Any) -> None:
    """The commonest span."""
    span.set_attribute("b", 2)


def told(span: Any) -> None:
    """Everything that a span may be told."""
    span.set_attributes({"b": [1, 2], "c": "é", "d": 2.5, "e": True, "f": b"x"})
    span.add_event("first", {"n": 1}, 77)
    span.add_event("second", timestamp=78)
    span.add_link(LINKED, {"why": "retry"})
    span.set_status(Status(StatusCode.ERROR, "no answer"))
    span.update_name("renamed")


def failed(span: Any) -> None:
    """An exception."""
    span.record_exception(KeyError("k"), {"more": 1}, 79)
    span.set_status(StatusCode.ERROR, "said")


def ok_stays(span: Any) -> None:
    """A status after OK, and an unset one."""
    span.set_status(StatusCode.OK)
    span.set_status(StatusCode.ERROR, "late")
    span.set_status(StatusCode.UNSET)


def many_attributes(span: Any) -> None:
    """More attributes than fit, of which one is set again."""
    span.set_attributes({f"k{number}": number for number in range(100)})
    span.set_attribute("k1", -1)


def big_numbers(span: Any) -> None:
    """Numbers and texts beyond what the plain form takes."""
    span.set_attributes({"big": 2**70, "long": "x" * 60_000, "none": "", "odd\ud800": "\ud800"})


def after_the_end(span: Any) -> None:
    """What comes too late."""
    span.end(100)
    plain(span)
    told(span)
    span.end(200)


@pytest.mark.parametrize("act", [plain, told, failed, ok_stays, many_attributes, big_numbers, after_the_end])
@pytest.mark.parametrize("kind", [SpanKind.INTERNAL, SpanKind.CONSUMER])
def test_a_span_is_stored_as_the_sdks_is(rig: Rig, act: Callable[[Any], None], kind: SpanKind) -> None:
    """All but the ids and the frames of a stack."""
    run = rig.attach()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(RecorderSpanProcessor(run.recorder))
    for tracer in (own_tracer(run), provider.get_tracer("rundial")):
        span: Any = tracer.start_span("s", kind=kind, attributes={"a": 1}, start_time=50)
        act(span)
        span.end(100)
    rig.work()

    own, sdks = spans(run.spool.path)
    for found in (own, sdks):
        found.trace_id = found.span_id = b""
        for event in found.events:
            kept = [
                pair
                for pair in event.attributes
                if pair.key not in ("exception.stacktrace", "exception.escaped")
            ]
            del event.attributes[:]
            event.attributes.extend(sorted(kept, key=lambda pair: pair.key))
        known = sorted(found.attributes, key=lambda pair: pair.key)
        del found.attributes[:]
        found.attributes.extend(known)
    assert own == sdks


def test_a_span_is_current_and_has_the_right_parent(rig: Rig) -> None:
    """In OpenTelemetry's context, for whoever asks; with or without `with`."""
    run = rig.attach()
    tracer = own_tracer(run)
    with trace.use_span(tracer.start_span("outer"), end_on_exit=True) as outer:
        assert trace.get_current_span() is outer
        assert outer.is_recording()
        with tracer.start_span("inner") as inner:
            pass
    assert not outer.is_recording()
    remote = trace.set_span_in_context(trace.NonRecordingSpan(LINKED), context.Context())
    served = tracer.start_span("served", context=remote)
    served.end()

    assert inner.get_span_context().trace_id == outer.get_span_context().trace_id
    assert served.get_span_context().trace_id == LINKED.trace_id
    rig.work()
    found = {span.name: span for span in spans(run.spool.path)}
    assert found["inner"].parent_span_id == outer.get_span_context().span_id.to_bytes(8, "big")
    assert found["served"].parent_span_id == LINKED.span_id.to_bytes(8, "big")
    assert isinstance(outer, OwnSpan)
    assert outer.status.is_unset


def test_events_without_end_are_bounded_and_counted(rig: Rig) -> None:
    """The latest 128 of ten thousand stay; memory stays small."""
    run = rig.attach()
    span = own_tracer(run).start_span("s")
    for number in range(10_000):
        span.add_event(f"e{number}", {"n": number})
    span.end()
    rig.work()

    (found,) = spans(run.spool.path)
    assert [event.name for event in found.events] == [f"e{number}" for number in range(9_872, 10_000)]
    assert found.dropped_events_count == 9_872


def test_attributes_and_links_without_end_are_bounded_and_counted(rig: Rig) -> None:
    """The first 128 of each stay, and what the conventions name."""
    run = rig.attach()
    span = own_tracer(run).start_span("s")
    span.set_attributes({f"k{number}": number for number in range(10_000)})
    span.set_attribute("gen_ai.output.messages", "[]")
    for _ in range(200):
        span.add_link(LINKED)
    span.end()
    rig.work()

    (found,) = spans(run.spool.path)
    kept = [*(f"k{number}" for number in range(128)), "gen_ai.output.messages"]
    assert [pair.key for pair in found.attributes] == kept
    assert (found.dropped_attributes_count, len(found.links), found.dropped_links_count) == (9_872, 128, 72)


def test_a_start_is_recorded_before_the_end(rig: Rig) -> None:
    """Rule 21: a crash inside a span leaves its start, and what it was begun with."""
    run = rig.attach()
    span = own_tracer(run).start_span("s", attributes={"a": 1})

    assert [record.kind for record in left_in(rig.ring.file)] == [Kind.SPAN_START]
    span.end()
    assert [record.kind for record in left_in(rig.ring.file)] == [Kind.SPAN_START, Kind.SPAN_END]


def test_times_beyond_the_wire_cost_no_span(rig: Rig) -> None:
    """A clock that is far off is told by the ledger at worst."""
    run = rig.attach()
    span = own_tracer(run).start_span("s", start_time=50)
    span.end(2**70)
    rig.work()

    ledger = run.recorder.ledger().spans
    assert ledger.closes
    assert ledger.recorded + sum(ledger.dropped.values()) == 1


def test_threads_that_share_a_span_cost_it_nothing(rig: Rig) -> None:
    """Attributes that one thread sets while another ends the span are there or not; the span is."""
    run = rig.attach()
    tracer = own_tracer(run)
    current = [tracer.start_span("first")]
    has_ended = threading.Event()

    def annotate() -> None:
        number = 0
        while not has_ended.is_set():
            number += 1
            current[0].set_attribute(f"k{number % 100}", number)

    thread = threading.Thread(target=annotate)
    thread.start()
    try:
        for number in range(300):
            span = current[0]
            current[0] = tracer.start_span(f"s{number}")
            span.end()
    finally:
        has_ended.set()
        thread.join(10)
    current[0].end()
    rig.work()

    assert len(spans(run.spool.path)) == 301
