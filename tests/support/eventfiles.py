"""TensorBoard event files as TensorBoard writes them, for tests that read them."""

from __future__ import annotations

import struct
from pathlib import Path

from rundial.importers.tensorboardruns import masked_crc


def varint(number: int) -> bytes:
    """Return a number as protobuf has it."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | 0x80 if number else low)
        if not number:
            return bytes(out)


def held(number: int, body: bytes) -> bytes:
    """Return a field of bytes."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def whole(number: int, value: int) -> bytes:
    """Return a field of a whole number."""
    return varint(number << 3) + varint(value)


def double(number: int, value: float) -> bytes:
    """Return a field of a double."""
    return varint(number << 3 | 1) + struct.pack("<d", value)


def scalar(tag: str, value: float) -> bytes:
    """Return a scalar as torch's writer has it."""
    return held(1, tag.encode()) + varint(2 << 3 | 5) + struct.pack("<f", value)


def tensor_scalar(tag: str, value: float) -> bytes:
    """Return a scalar as TensorFlow 2 has it."""
    body = whole(1, 1) + held(4, struct.pack("<f", value))
    return held(1, tag.encode()) + held(8, body) + _plugin("scalars")


def text(tag: str, value: str) -> bytes:
    """Return a text."""
    return held(1, tag.encode()) + held(8, whole(1, 7) + held(8, value.encode())) + _plugin("text")


def image(tag: str, png: bytes) -> bytes:
    """Return a picture."""
    return held(1, tag.encode()) + held(4, whole(1, 2) + whole(2, 2) + whole(3, 3) + held(4, png))


def histogram(tag: str, limits: list[float], counts: list[float]) -> bytes:
    """Return a histogram as torch's writer has it."""
    packed = [struct.pack(f"<{len(each)}d", *each) for each in (limits, counts)]
    body = double(1, 0.0) + double(2, limits[-1]) + held(6, packed[0]) + held(7, packed[1])
    return held(1, tag.encode()) + held(5, body)


def hparams(values: dict[str, float | str]) -> bytes:
    """Return the parameters of a session."""
    entries = b""
    for name, value in values.items():
        kind = double(2, value) if isinstance(value, float) else held(3, str(value).encode())
        entries += held(1, held(1, name.encode()) + held(2, kind))
    plugin = held(1, b"hparams") + held(2, held(3, entries))
    return held(1, b"_hparams_/session_start_info") + held(9, held(1, plugin))


def event(wall_time: float, step: int, *values: bytes) -> bytes:
    """Return an event."""
    summary = b"".join(held(1, value) for value in values)
    return double(1, wall_time) + whole(2, step) + (held(5, summary) if values else held(3, b"brain.Event:2"))


def record(body: bytes) -> bytes:
    """Return a record of the file."""
    length = struct.pack("<Q", len(body))
    return length + struct.pack("<I", masked_crc(length)) + body + struct.pack("<I", masked_crc(body))


def write(folder: Path, *events: bytes) -> Path:
    """Write a file into a directory."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "events.out.tfevents.1700000000.host.1.0"
    path.write_bytes(b"".join(record(each) for each in (event(1_700_000_000.0, 0), *events)))
    return path


def _plugin(name: str) -> bytes:
    return held(9, held(1, held(1, name.encode())))
