"""Records through their ring bodies and back, whatever they hold."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rundial.signals.records import (
    MAX_EVENT_BYTES,
    MAX_SPAN_BYTES,
    MAX_SPAN_EVENTS,
    MAX_TEXT_ATTRIBUTES_BYTES,
    MAX_TEXT_BYTES,
    Event,
    SpanData,
    Text,
    cap_text,
    pack_event,
    pack_span,
    pack_text,
    unpack_event,
    unpack_span,
    unpack_text,
)

VALID = st.text(st.characters(codec="utf-8"), max_size=40)
INT64 = st.integers(-(2**63), 2**63 - 1)
SCALARS = VALID | INT64 | st.booleans() | st.floats(allow_nan=False) | st.binary(max_size=20)
VALUES = SCALARS | st.lists(VALID, max_size=4) | st.lists(INT64, max_size=4)
KEYS = VALID.filter(bool) | st.sampled_from(["$b", "$m", "$", "rundial.seq"])
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=4)
BODIES = st.dictionaries(
    KEYS,
    st.recursive(
        st.none() | SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_size=4,
)
TRACE_IDS = st.integers(1, 2**128 - 1)
SPAN_IDS = st.integers(1, 2**64 - 1)
TIMES = st.integers(0, 2**64 - 1)

SPANS = st.builds(
    SpanData,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=st.just(0) | SPAN_IDS,
    name=VALID,
    kind=st.sampled_from(["internal", "server", "client", "producer", "consumer"]),
    start_unix_ns=TIMES,
    end_unix_ns=TIMES,
    attributes=ATTRIBUTES,
    events=st.lists(st.tuples(VALID, TIMES, ATTRIBUTES), max_size=3).map(tuple),
    links=st.lists(st.tuples(TRACE_IDS, SPAN_IDS, ATTRIBUTES), max_size=3).map(tuple),
    status=st.sampled_from(["unset", "ok", "error"]),
    status_message=VALID,
    dropped_attributes=st.integers(0, 9),
    dropped_events=st.integers(0, 9),
    dropped_links=st.integers(0, 9),
)


@given(
    st.builds(
        Text,
        seq=TIMES,
        time_unix_ns=TIMES,
        severity=st.integers(0, 24),
        body=VALID,
        original_bytes=st.none() | st.integers(1, 2**32 - 1),
        step=st.none() | INT64,
        iostream=st.sampled_from([None, "stdout", "stderr"]),
        attributes=ATTRIBUTES,
    ),
    st.none() | st.tuples(TRACE_IDS, SPAN_IDS),
)
def test_text_survives_the_ring_unchanged(line: Text, ids: tuple[int, int] | None) -> None:
    """A text line that was accepted is delivered as it was logged, with its span."""
    trace_id, span_id = ids or (0, 0)
    body = pack_text(
        line.severity,
        line.body.encode(),
        line.original_bytes,
        trace_id=trace_id,
        span_id=span_id,
        iostream=line.iostream,
        attributes=line.attributes,
    )
    back = unpack_text(memoryview(body), seq=line.seq, time_unix_ns=line.time_unix_ns, step=line.step)

    assert (back.trace_id, back.span_id) == (trace_id, span_id)
    assert (back.seq, back.time_unix_ns, back.step) == (line.seq, line.time_unix_ns, line.step)
    assert (back.severity, back.body, back.original_bytes) == (line.severity, line.body, line.original_bytes)
    assert back.iostream == line.iostream
    assert (back.attributes, repr(back.attributes)) == (line.attributes, repr(line.attributes))


@given(VALID, BODIES)
def test_an_event_survives_the_ring_unchanged(name: str, body: dict[str, Any]) -> None:
    """A config or summary value arrives with its type: ints stay ints, bytes stay bytes."""
    back = unpack_event(memoryview(pack_event(name, body)), seq=3, time_unix_ns=4)

    assert back == Event(3, 4, name, body)
    assert repr(back.body) == repr(body)  # 1, 1.0 and True are equal and not the same


@given(SPANS)
def test_a_span_survives_the_ring_unchanged(span: SpanData) -> None:
    """A span that was accepted is delivered as it was recorded."""
    back = unpack_span(memoryview(pack_span(span)))

    assert back == span
    assert repr(back.attributes) == repr(span.attributes)


@given(st.text(max_size=30) | st.text("aé€😀\ud800", min_size=2_000, max_size=9_000))
@settings(max_examples=60)
def test_cap_text_cuts_between_characters_and_says_so(message: str) -> None:
    """A line is at most 8,192 bytes, a true beginning of what was logged, and flagged when cut."""
    whole = message.encode("utf-8", "replace")
    data, original_bytes = cap_text(message)

    assert whole.startswith(data)
    assert len(data) <= MAX_TEXT_BYTES
    assert data.decode("utf-8") is not None  # raises when a character was cut in two
    assert original_bytes == (None if data == whole else len(whole))
    assert data == whole or len(data) > MAX_TEXT_BYTES - 4


LONG = st.builds(
    lambda text, times: text * times, st.text('aé€\0"\\', min_size=1, max_size=3), st.integers(1, 30_000)
)
LONG_ATTRIBUTES = st.dictionaries(VALID.filter(bool), LONG | st.lists(LONG, max_size=5) | INT64, max_size=8)


@given(
    st.builds(
        SpanData,
        trace_id=TRACE_IDS,
        span_id=SPAN_IDS,
        parent_span_id=st.just(0),
        name=LONG,
        kind=st.just("internal"),
        start_unix_ns=TIMES,
        end_unix_ns=TIMES,
        attributes=LONG_ATTRIBUTES,
        events=st.lists(st.tuples(LONG, TIMES, LONG_ATTRIBUTES), max_size=3)
        | st.integers(0, 1_000).map(lambda count: [("e", 1, {"k": "v" * 100})] * count),
        links=st.lists(st.tuples(TRACE_IDS, SPAN_IDS, LONG_ATTRIBUTES), max_size=2),
        status=st.just("error"),
        status_message=LONG,
    )
)
@settings(max_examples=40, deadline=None)  # building the inputs is what takes the time
def test_a_span_of_any_size_fits_and_counts_what_it_lost(span: SpanData) -> None:
    """However much a span carries, it is delivered, and what was dropped from it is counted."""
    data = pack_span(span)
    back = unpack_span(data)

    assert len(data) <= MAX_SPAN_BYTES
    assert (back.trace_id, back.span_id, back.start_unix_ns) == (
        span.trace_id,
        span.span_id,
        span.start_unix_ns,
    )
    assert len(back.events) <= MAX_SPAN_EVENTS
    assert len(back.events) + back.dropped_events == len(span.events)
    assert len(back.links) + back.dropped_links == len(span.links)
    assert set(span.attributes) <= set(back.attributes) or back.dropped_attributes


@given(st.dictionaries(KEYS, st.recursive(LONG, lambda inner: st.lists(inner, max_size=3)), max_size=6))
@settings(max_examples=40, deadline=None)  # building the inputs is what takes the time
def test_an_event_of_any_size_fits(body: dict[str, Any]) -> None:
    """A config of any size is delivered, shortened where it has to be."""
    assert len(pack_event("rundial.run.config", body)) <= MAX_EVENT_BYTES


@given(st.dictionaries(VALID.filter(bool), LONG | st.lists(LONG, max_size=5) | INT64, max_size=300))
@settings(max_examples=30)
def test_pack_text_fits_its_attributes_and_keeps_the_line(attributes: dict[str, Any]) -> None:
    """A line is never lost for its attributes; what is cut of them says how long it was."""
    body = pack_text(9, b"the line", attributes=attributes)
    back = unpack_text(body, seq=1, time_unix_ns=2, step=None)

    assert back.body == "the line"
    assert len(body) <= MAX_TEXT_ATTRIBUTES_BYTES + 64
    lost = back.attributes.get("rundial.dropped_attributes", 0)
    assert len(set(attributes) - set(back.attributes)) <= lost
    for key, value in attributes.items():
        if isinstance(value, str) and key in back.attributes and back.attributes[key] != value:
            assert back.attributes[f"{key}.rundial.original_bytes"] == len(value.encode())


@given(st.integers(450, 3_000))
@settings(max_examples=20)
def test_pack_text_counts_the_attributes_that_it_drops(count: int) -> None:
    """More short attributes than a line has room for are dropped from the end, and counted."""
    attributes = {f"name {number:0100d}": "value" for number in range(count)}
    back = unpack_text(pack_text(9, b"x", attributes=attributes), seq=1, time_unix_ns=2, step=None)

    kept = {key: value for key, value in back.attributes.items() if key != "rundial.dropped_attributes"}
    assert back.attributes["rundial.dropped_attributes"] == len(attributes) - len(kept)
    assert list(kept.items()) == list(attributes.items())[: len(kept)]
