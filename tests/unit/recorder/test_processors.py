"""OTel's span processor on our recorder: starts and ends, all of the span, nothing of the parent's."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from rundial.recorder.layout import Kind
from rundial.recorder.processors import RecorderSpanProcessor
from rundial.signals.records import unpack_span
from tests.unit.recorder.builders import Rig, RunParts, left_in, spans


def provider_of(run: RunParts, **limits: int) -> tuple[TracerProvider, RecorderSpanProcessor]:
    """Return a provider whose spans go to a run."""
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False, span_limits=SpanLimits(**limits))
    processor = RecorderSpanProcessor(run.recorder)
    provider.add_span_processor(processor)
    return provider, processor


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A ring and a spool."""
    return Rig(tmp_path)


def test_a_span_arrives_with_all_that_it_holds(rig: Rig) -> None:
    """Name, kind, times, parent, attributes, events, links and status are OTel's own."""
    run = rig.attach()
    tracer = provider_of(run)[0].get_tracer("t")
    with tracer.start_as_current_span("outer") as outer:
        link = Link(SpanContext(5, 6, is_remote=False), {"why": "retry"})
        with tracer.start_as_current_span("inner", kind=SpanKind.CLIENT, links=[link]) as inner:
            inner.set_attribute("depth", 2)
            inner.add_event("halfway", {"at": 0.5})
            inner.set_status(Status(StatusCode.ERROR, "no answer"))
    rig.work()

    found = {span.name: span for span in spans(run.spool.path)}
    inner_span, outer_span = found["inner"], found["outer"]
    assert (
        inner_span.parent_span_id == outer_span.span_id == outer.get_span_context().span_id.to_bytes(8, "big")
    )
    assert inner_span.kind == 3
    depth, scope = inner_span.attributes
    assert (depth.key, depth.value.int_value) == ("depth", 2)
    assert (scope.key, scope.value.string_value) == ("otel.scope.name", "t")
    assert [event.name for event in inner_span.events] == ["halfway"]
    assert inner_span.links[0].span_id == (6).to_bytes(8, "big")
    assert (inner_span.status.code, inner_span.status.message) == (2, "no answer")
    assert 0 < inner_span.start_time_unix_nano <= inner_span.end_time_unix_nano
    assert run.recorder.ledger().spans.recorded == 2


def test_an_open_span_is_in_the_ring_before_it_ends(rig: Rig) -> None:
    """Rule 21: a crash inside a span leaves its start."""
    run = rig.attach()
    span = provider_of(run)[0].get_tracer("t").start_span("long")

    assert [record.kind for record in left_in(rig.ring.file)] == [Kind.SPAN_START]
    span.end()
    assert [record.kind for record in left_in(rig.ring.file)] == [Kind.SPAN_START, Kind.SPAN_END]


def test_what_limits_have_cost_is_counted(rig: Rig) -> None:
    """A span that lost attributes, events or links says how many."""
    run = rig.attach()
    tracer = provider_of(run, max_span_attributes=2, max_events=1, max_links=1)[0].get_tracer("t")
    links = [Link(SpanContext(1, number, is_remote=False)) for number in (2, 3, 4)]
    span = tracer.start_span("s", links=links)
    for index in range(5):
        span.set_attribute(f"a{index}", index)
        span.add_event("e")
    span.end()
    rig.work()

    (found,) = spans(run.spool.path)
    counts = (found.dropped_attributes_count, found.dropped_events_count, found.dropped_links_count)
    assert counts == (3, 4, 2)


def test_a_muted_processor_records_nothing(rig: Rig) -> None:
    """Rule 10: a forked child ends copies of its parent's spans; they are the parent's to report."""
    run = rig.attach()
    provider, processor = provider_of(run)
    tracer = provider.get_tracer("t")
    parents = tracer.start_span("parents")
    rig.ring.release(rig.ring.take()[1])
    processor.mute()
    parents.end()
    tracer.start_span("childs").end()

    assert left_in(rig.ring.file) == []
    assert processor.force_flush()
    processor.shutdown()


def test_events_and_links_keep_their_attributes_and_times(rig: Rig) -> None:
    """What a span says about its retries and its milestones arrives with it."""
    run = rig.attach()
    tracer = provider_of(run)[0].get_tracer("t")
    span = tracer.start_span("s", links=[Link(SpanContext(5, 6, is_remote=False), {"why": "retry"})])
    span.add_event("halfway", {"at": 0.5}, timestamp=1_234_567)
    span.add_event("bare", timestamp=1_234_568)
    span.end()
    rig.work()

    (found,) = spans(run.spool.path)
    assert [(pair.key, pair.value.string_value) for pair in found.links[0].attributes] == [("why", "retry")]
    assert found.links[0].trace_id == (5).to_bytes(16, "big")
    halfway, bare = found.events
    assert [(pair.key, pair.value.double_value) for pair in halfway.attributes] == [("at", 0.5)]
    assert (halfway.time_unix_nano, bare.time_unix_nano, len(bare.attributes)) == (1_234_567, 1_234_568, 0)


def test_a_root_span_has_no_parent_and_an_untold_status_no_words(rig: Rig) -> None:
    """Nothing is made up where a span says nothing."""
    run = rig.attach()
    provider_of(run)[0].get_tracer("t").start_span("s").end()
    rig.work()

    (found,) = spans(run.spool.path)
    assert (found.parent_span_id, found.status.code, found.status.message) == (b"", 0, "")


def test_a_span_that_has_not_ended_is_recorded_without_an_end(rig: Rig) -> None:
    """Recovery tells an interrupted span by its missing end."""
    run = rig.attach()
    provider_of(run)[0].get_tracer("t").start_span("s", start_time=77)
    (start,) = left_in(rig.ring.file)
    unpacked = unpack_span(start.body)

    assert (unpacked.start_unix_ns, unpacked.end_unix_ns) == (77, 0)


def test_a_span_is_recorded_once_however_often_it_ends(rig: Rig) -> None:
    """A processor that hears of an end twice counts one span."""
    run = rig.attach()
    provider, processor = provider_of(run)
    span = provider.get_tracer("t").start_span("s")
    span.end()
    assert isinstance(span, ReadableSpan)
    processor.on_end(span)

    assert run.recorder.ledger().spans.recorded == 1


def test_attributes_that_cannot_be_sent_are_counted_beside_those_over_the_limit(rig: Rig) -> None:
    """Every attribute that a span lost is counted, whoever refused it."""
    run = rig.attach()
    span = provider_of(run, max_span_attributes=2)[0].get_tracer("t").start_span("s")
    # OpenTelemetry keeps the last two, and these two keys are one when they are cut.
    for key in ("a", "b", "x" * 300 + "1", "x" * 300 + "2"):
        span.set_attribute(key, 1)
    span.end()
    rig.work()

    (found,) = spans(run.spool.path)
    # Beside the one there is the name of its scope.
    assert (len(found.attributes), found.dropped_attributes_count) == (2, 3)
