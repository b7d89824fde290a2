"""Records and their limits."""

from __future__ import annotations

from rundial.signals.records import (
    MAX_SPAN_BYTES,
    MAX_TEXT_BYTES,
    Event,
    SpanData,
    cap_text,
    interrupted,
    pack_event,
    pack_span,
    span_start,
    unpack_event,
    unpack_span,
)


def test_cap_text_keeps_a_line_of_exactly_the_limit() -> None:
    """8,192 bytes are whole; one more is cut and flagged with its true length."""
    assert cap_text("a" * MAX_TEXT_BYTES) == (b"a" * MAX_TEXT_BYTES, None)
    assert cap_text("a" * (MAX_TEXT_BYTES + 1)) == (b"a" * MAX_TEXT_BYTES, MAX_TEXT_BYTES + 1)


def test_cap_text_never_splits_a_character() -> None:
    """A cut line is still valid text."""
    assert cap_text("a" + "€" * 4_000)[0].decode() == "a" + "€" * 2_730


def test_cap_text_takes_any_object() -> None:
    """`log_text(3)` and objects that cannot be printed are lines too."""

    class Broken:
        def __str__(self) -> str:
            raise ValueError

    assert cap_text(3) == (b"3", None)
    assert cap_text(Broken()) == (b"<Broken: str() raised ValueError>", None)


def test_pack_span_keeps_the_beginnings_of_long_values() -> None:
    """Eight attributes of 30 KB lose their ends, flagged with their lengths; none is replaced or dropped."""
    span = SpanData(
        1, 2, 0, "tool", "internal", 5, 6, {f"k{i}": f"{i}" * 30_000 for i in range(8)} | {"n": 7}
    )
    data = pack_span(span)
    back = unpack_span(data)

    assert MAX_SPAN_BYTES // 2 < len(data) <= MAX_SPAN_BYTES
    assert back.attributes["n"] == 7
    assert back.dropped_attributes == 0
    for i in range(8):
        assert str(back.attributes[f"k{i}"]) == f"{i}" * 6_144
        assert back.attributes[f"k{i}.rundial.original_bytes"] == 30_000


def test_pack_span_keeps_a_moderate_span_whole() -> None:
    """Eight attributes of 3 KB fit, and arrive untouched."""
    span = SpanData(1, 2, 0, "tool", "internal", 5, 6, {f"k{i}": "x" * 3_000 for i in range(8)})

    assert unpack_span(pack_span(span)) == span


def test_pack_span_keeps_the_first_and_the_last_events() -> None:
    """Of too many events those at both ends stay, and the others are counted."""
    span = SpanData(
        1, 2, 0, "loop", "internal", 5, 6, {}, [(str(i), i, {}) for i in range(200)], dropped_events=1
    )
    back = unpack_span(pack_span(span))

    assert [name for name, _, _ in back.events] == [str(i) for i in (*range(64), *range(136, 200))]
    assert back.dropped_events == 73


def test_pack_span_takes_attributes_that_nobody_cleaned() -> None:
    """A span whose attributes JSON cannot hold is still delivered."""
    span = SpanData(1, 2, 0, "s", "internal", 5, 6, {("a", 1): {1}, "b": 2})  # type: ignore[dict-item]  # on purpose

    assert unpack_span(pack_span(span)).attributes == {"('a', 1)": [1], "b": 2}


def test_pack_event_shortens_long_values_and_keeps_the_keys() -> None:
    """A config with a huge value arrives with all its keys, and says what was cut."""
    config = {"prompt": "p" * 200_000, "rate": 0.1, "nested": {"ids": list(range(50_000))}}
    body = unpack_event(pack_event("rundial.run.config", {"config": config}), seq=1, time_unix_ns=2).body[
        "config"
    ]

    assert body["rate"] == 0.1
    assert "p" * 60_000 > body["prompt"] > "p" * 1_000
    assert body["prompt.rundial.original_bytes"] == 200_000
    assert body["nested"]["ids"][:3] == [0, 1, 2]


def test_pack_event_that_cannot_be_shortened_says_so() -> None:
    """An event of countless short values keeps its own fields and admits the rest is missing."""
    huge = {"name": "run", "config": {f"key_{i}": "v" * 60 for i in range(2_000)}}
    body = unpack_event(pack_event("rundial.run.start", huge), seq=1, time_unix_ns=2).body

    assert body["name"] == "run"
    assert body["rundial.truncated"] is True
    assert body["rundial.original_bytes"] > 60_000


def test_span_start_announces_an_open_span() -> None:
    """The server can show a span that is still running."""
    span = SpanData(0xAB, 0xC, 0xD, "epoch", "internal", 5, 0, {"n": 1})

    assert span_start(span, seq=8, time_unix_ns=9) == Event(
        8,
        9,
        "rundial.span.start",
        {
            "trace_id": "0" * 30 + "ab",
            "span_id": "0" * 15 + "c",
            "parent_span_id": "0" * 15 + "d",
            "name": "epoch",
            "kind": "internal",
            "start_unix_ns": 5,
            "attributes": {"n": 1},
        },
    )


def test_interrupted_span_is_an_error_that_says_why() -> None:
    """A span whose process died is shown as interrupted, and never ends before it began."""
    span = interrupted(SpanData(1, 2, 0, "epoch", "internal", 50, 0, {"n": 1}), end_unix_ns=40)

    assert (span.start_unix_ns, span.end_unix_ns, span.status) == (50, 50, "error")
    assert span.attributes == {"n": 1, "rundial.interrupted": True}
