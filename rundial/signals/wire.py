"""Protobuf's wire format, as far as OTLP's outer shell needs it: a few writers and one reader.

Keeps the points' path free of the protobuf package, which is slow to import, slower to fill than
bytes, and pinned by frameworks to versions that clash. Pure functions over bytes.

Source:
    protobuf.dev, "Encoding"; opentelemetry-proto 1.x for the field numbers in the callers.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

VARINT = 0
FIXED64 = 1
BYTES = 2
FIXED32 = 5

_DOUBLE = Struct("<d")
_UINT64_MASK = 2**64 - 1
_MAX_VARINT_BYTES = 10


def varint(number: int) -> bytes:
    """Return an integer of 64 bits as a varint; a negative one in two's complement, ten bytes long."""
    if number < 0:
        number &= _UINT64_MASK
    if number < 0x80:
        return bytes((number,))
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    if number < 0x200000:
        return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field: int, wire_type: int) -> bytes:
    """Return what stands before a field's value."""
    return varint(field << 3 | wire_type)


# Most fields are low and most values short: the beginnings of those are made once.
_TAGS = tuple(tag(field, BYTES) for field in range(32))
_VARINT_TAGS = tuple(tag(field, VARINT) for field in range(32))
_SIZES = tuple(varint(size) for size in range(256))


def delimited(field: int, body: bytes) -> bytes:
    """Return a field of bytes, text or a message."""
    size = len(body)
    head = _TAGS[field] if field < 32 else tag(field, BYTES)
    return head + (_SIZES[size] if size < 256 else varint(size)) + body


def text(field: int, value: str) -> bytes:
    """Return a field of text; a lone surrogate becomes `?`."""
    return delimited(field, value.encode("utf-8", "replace"))


def integer(field: int, number: int) -> bytes:
    """Return a varint field (int64, uint64, bool, enum)."""
    return (_VARINT_TAGS[field] if field < 32 else tag(field, VARINT)) + varint(number)


def double(field: int, number: float) -> bytes:
    """Return a field of 64-bit float."""
    return tag(field, FIXED64) + _DOUBLE.pack(number)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at an offset, and the offset behind it.

    Raises:
        ValueError: The bytes end inside it, or it is longer than ten bytes.
    """
    number = shift = 0
    for end in range(at, min(at + _MAX_VARINT_BYTES, len(data))):
        byte = data[end]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & _UINT64_MASK, end + 1
        shift += 7
    raise ValueError(f"no varint at byte {at} of {len(data)}")


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (number, wire type, start, body start, end) of each field of a message, in order.

    `data[start:end]` is the field as it stands, `data[body start:end]` its value without tag and length.

    Args:
        data: Bytes that hold the message.
        start: Where the message begins.
        end: Where it ends; None for the end of the bytes.

    Raises:
        ValueError: The bytes are not a whole message.
    """
    end = len(data) if end is None else end
    at = start
    while at < end:
        key, body = read_varint(data, at)
        wire_type = key & 7
        if wire_type == BYTES:
            size, body = read_varint(data, body)
            stop = body + size
        elif wire_type == VARINT:
            _, stop = read_varint(data, body)
        elif wire_type == FIXED64:
            stop = body + 8
        elif wire_type == FIXED32:
            stop = body + 4
        else:
            raise ValueError(f"wire type {wire_type} at byte {at} is none that OTLP uses")
        if stop > end or key < 8:
            raise ValueError(f"the field at byte {at} does not end within its message")
        yield key >> 3, wire_type, at, body, stop
        at = stop
