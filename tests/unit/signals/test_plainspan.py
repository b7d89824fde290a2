"""The short form of spans in the ring: what goes in comes out; what does not fit takes the other form."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from rundial.signals import plainspan
from rundial.signals.attributes import is_plain
from rundial.signals.compact import dump
from rundial.signals.records import SpanData, pack_span, unpack_span

ATTRIBUTES = {"n": 1, "x": 2.5, "ok": True, "text": "é$b", "$b": "not bytes", "": ""}


def packed(**changes: Any) -> bytes:
    """A span in the short form."""
    fields: dict[str, Any] = {
        "trace_id": 2**127 + 5,
        "span_id": 2**63 + 7,
        "parent_span_id": 0,
        "name": "épo\nch",
        "kind": 3,
        "start_unix_ns": 50,
        "end_unix_ns": 0,
        "attributes": dump({"n": 1}),
        "status": 2,
    }
    return plainspan.pack(**{**fields, **changes})


@pytest.mark.parametrize("attributes", [{}, {"n": 1}, {"$b": "x"}, ATTRIBUTES])
def test_a_plain_span_survives_the_ring_unchanged(attributes: dict[str, Any]) -> None:
    """Every field of it, as the other form would have brought it."""
    span = SpanData(
        trace_id=2**127 + 5,
        span_id=2**63 + 7,
        parent_span_id=9,
        name="épo\nch",
        kind="producer",
        start_unix_ns=50,
        end_unix_ns=2**64 - 1,
        attributes=attributes,
        status="error",
    )
    short = packed(parent_span_id=9, end_unix_ns=2**64 - 1, attributes=dump(attributes))

    assert unpack_span(memoryview(short)) == unpack_span(pack_span(span)) == span
    assert repr(unpack_span(short).attributes) == repr(attributes)


def test_what_is_too_long_is_left_to_the_other_form() -> None:
    """It knows how to cut."""
    assert packed(attributes=dump({"x": "y" * 20_000})) == b""


def test_a_time_that_the_wire_has_not_is_told() -> None:
    """The caller takes the other form then."""
    with pytest.raises(struct.error):
        packed(end_unix_ns=2**64)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, True),
        ({"a": 1, "b": 0.5, "c": False, "d": "x"}, True),
        ({"a": 2**63}, False),
        ({"a": "x" * 1_025}, False),
        ({"a": None}, False),
        ({"a": [1]}, False),
        ({"a": b"x"}, False),
        ({"": 1}, False),
        ({1: 1}, False),
        ({"k" * 129: 1}, False),
        ({f"k{number}": 1 for number in range(33)}, False),
    ],
)
def test_plain_attributes_are_few_short_and_common(attributes: dict[Any, Any], expected: bool) -> None:
    """Everything else is cleaned first."""
    assert is_plain(attributes) is expected
