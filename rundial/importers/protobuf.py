"""Reading protobuf without its schema: the fields of a message by number. Pure.

What other trackers have written is read once, so a decoder of the wire format is enough, and no generated
code of theirs is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class BrokenMessageError(ValueError):
    """Bytes are no message."""


def fields(body: bytes) -> Iterator[tuple[int, int, Any]]:
    """Yield number, wire type and value of each field: an int, or bytes.

    Raises:
        BrokenMessageError: The bytes end within a field, or a field is of a type that there is not.
    """
    at, end = 0, len(body)
    while at < end:
        key, at = _varint(body, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(body, at)
            yield number, kind, value
            continue
        if kind == BYTES:
            length, at = _varint(body, at)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise BrokenMessageError(f"wire type {kind}")
        if at + length > end:
            raise BrokenMessageError("a field ends beyond its message")
        yield number, kind, body[at : at + length]
        at += length


def message(body: bytes) -> dict[int, list[Any]]:
    """Return the fields of a message by number, each in its order.

    Raises:
        BrokenMessageError: It is none.
    """
    found: dict[int, list[Any]] = {}
    for number, _, value in fields(body):
        found.setdefault(number, []).append(value)
    return found


def text(found: dict[int, list[Any]], number: int) -> str:
    """Return a text, empty where there is none."""
    values = found.get(number)
    return values[-1].decode("utf-8", "replace") if values else ""


def texts(found: dict[int, list[Any]], number: int) -> list[str]:
    """Return a repeated text."""
    return [value.decode("utf-8", "replace") for value in found.get(number, ())]


def integer(found: dict[int, list[Any]], number: int, default: int = 0) -> int:
    """Return a signed 64-bit integer."""
    values = found.get(number)
    if not values:
        return default
    value = int(values[-1])
    return value - (1 << 64) if value >= 1 << 63 else value


def double(value: bytes) -> float:
    """Return the number of a 64-bit field."""
    return float(struct.unpack("<d", value)[0])


def single(value: bytes) -> float:
    """Return the number of a 32-bit field."""
    return float(struct.unpack("<f", value)[0])


def doubles(values: list[bytes]) -> list[float]:
    """Return a repeated double, packed or not."""
    return [number for value in values for (number,) in struct.iter_unpack("<d", value)]


def singles(values: list[bytes]) -> list[float]:
    """Return a repeated float, packed or not."""
    return [number for value in values for (number,) in struct.iter_unpack("<f", value)]


def timestamp_ns(body: bytes) -> int:
    """Return nanoseconds since the Unix epoch of a `google.protobuf.Timestamp`."""
    found = message(body)
    return integer(found, 1) * 1_000_000_000 + integer(found, 2)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(body) or shift > 63:
            raise BrokenMessageError("a number does not end")
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
