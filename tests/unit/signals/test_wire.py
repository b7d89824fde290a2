"""The protobuf wire format's few writers and its one reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.signals.wire import delimited, double, fields, integer, read_varint, text, varint


@given(st.integers(0, 2**64 - 1) | st.integers(0, 2**22))
def test_varint_reads_back_and_is_as_short_as_can_be(number: int) -> None:
    """Lengths and steps of any size take the bytes they need and no more."""
    data = varint(number)

    assert read_varint(data + b"\xff", 0) == (number, len(data))
    assert len(data) == max(1, -(-number.bit_length() // 7))


def test_varint_of_a_negative_number_is_twos_complement() -> None:
    """Negative integers in attributes are read as protobuf writes them."""
    assert varint(-1) == b"\xff" * 9 + b"\x01"


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 10])
def test_read_varint_refuses_what_has_no_end(data: bytes) -> None:
    """A torn request is noticed, never read past its end."""
    with pytest.raises(ValueError, match="no varint"):
        read_varint(data, 0)


def test_fields_yields_each_field_where_it_stands() -> None:
    """A message can be cut between any two fields without parsing what is in them."""
    parts = [text(1, "é"), integer(2, 300), double(3, 0.5), delimited(16, b"\0\0"), b"\x25\0\0\0\0"]
    data = b"".join(parts)
    found = list(fields(data))

    assert [data[start:stop] for _, _, start, _, stop in found] == parts
    assert [(number, wire_type) for number, wire_type, *_ in found] == [
        (1, 2),
        (2, 0),
        (3, 1),
        (16, 2),
        (4, 5),
    ]
    assert data[found[0][3] : found[0][4]] == "é".encode()


@pytest.mark.parametrize("data", [b"\x0a\x05abc", b"\x19\0\0", b"\x0b", b"\x00\x00", b"\x08"])
def test_fields_refuses_what_is_not_a_whole_message(data: bytes) -> None:
    """Damage is an error with a place in it, never a wrong answer."""
    with pytest.raises(ValueError, match="byte"):
        list(fields(data))


def test_text_replaces_a_lone_surrogate() -> None:
    """A name that is not valid Unicode cannot make a receiver refuse the request."""
    assert text(1, "a\ud800") == b"\x0a\x02a?"
