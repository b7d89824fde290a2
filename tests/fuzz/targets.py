"""The ways in from the network to rows, as functions of bytes: any bytes give rows or a refusal of ours.

Beyond that nothing may be raised, what is decoded can be stored (texts are UTF-8, numbers are in range),
and the fast way to read our own packer's requests agrees with the general one.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Final

from rundial.server.bodies import unpack
from rundial.server.ingest import decode, decode_any
from rundial.server.jsonrecords import decode_json
from rundial.server.otlpjson import decode_otlp_json
from rundial.server.packed import decode_packed
from rundial.server.pieces import pieces
from rundial.server.problems import Problem
from rundial.server.rows import MAX_INT64, Decoded, Delivery, Signal
from rundial.server.security import render

SIGNALS: Final[tuple[Signal, ...]] = ("metrics", "logs", "traces")
_ENCODINGS: Final = ("", "gzip", "zstd")
_MAX_BYTES: Final = 2**20


def run(data: bytes) -> None:
    """Send bytes in by the way that the first of them names."""
    if not data:
        return
    way, signal = _WAYS[data[0] % len(_WAYS)], SIGNALS[data[0] // len(_WAYS) % len(SIGNALS)]
    problem = _refusal(way, signal, data[1:])
    assert problem is None or 400 <= problem.status < 500, problem


def _refusal(way: Callable[[Signal, bytes], None], signal: Signal, body: bytes) -> Problem | None:
    try:
        way(signal, body)
    except Problem as problem:
        render(problem, "req")  # what is answered can be sent
        return problem
    return None


def prefix(way: str, signal: Signal) -> bytes:
    """The byte that names a way and a signal."""
    return bytes([[each.__name__ for each in _WAYS].index(way) + len(_WAYS) * SIGNALS.index(signal)])


def protobuf(signal: Signal, body: bytes) -> None:
    """OTLP in protobuf."""
    found = decode(signal, body)
    _check(found)


def in_pieces(signal: Signal, body: bytes) -> None:
    """OTLP in protobuf, cut as if it were large."""
    for piece in pieces(signal, body[1:], piece_bytes=body[0] if body else 1):
        _check(decode_any(signal, piece))


def otlp_json(signal: Signal, body: bytes) -> None:
    """OTLP in JSON."""
    _check(decode_otlp_json(signal, body))


def published_json(signal: Signal, body: bytes) -> None:
    """The published client's JSON."""
    _check(decode_json(signal, body))


def packed(_: Signal, body: bytes) -> None:
    """The packer's layout; what it accepts is what the general decoder says."""
    fast = decode_packed(body)
    if fast is not None:
        general = decode_any("metrics", body)
        assert _told(fast) == _told(general)
        _check(fast)


def compressed(signal: Signal, body: bytes) -> None:
    """Bodies in an encoding."""
    if body:
        encoding = _ENCODINGS[body[0] % len(_ENCODINGS)]
        assert len(unpack(body[1:], encoding, max_bytes=_MAX_BYTES)) <= _MAX_BYTES


_WAYS: Final[tuple[Callable[[Signal, bytes], None], ...]] = (
    protobuf,
    in_pieces,
    otlp_json,
    published_json,
    packed,
    compressed,
)


def _check(decoded: Decoded) -> None:
    """Whether what was decoded can be stored."""
    decoded.refusals.message.encode()
    for delivery in decoded.deliveries:
        _check_delivery(delivery)


def _check_delivery(delivery: Delivery) -> None:
    target = delivery.target
    for text in (target.run_id, target.project, target.project_name, target.instance, target.host):
        text.encode()
    assert delivery.newest_unix_ns() <= MAX_INT64
    for block in delivery.blocks:
        (block.name + block.unit + block.attributes).encode()
        assert len(block.steps) == len(block.times) == len(block.values)
        assert all(-1 <= step <= MAX_INT64 for step in block.steps)
        assert all(0 < time <= MAX_INT64 for time in block.times)
        assert all(map(isfinite, block.values))
    for line in delivery.texts:
        (line.body + line.attributes).encode()
        assert -(2**63) <= line.seq <= MAX_INT64
        assert 0 <= line.time_unix_ns <= MAX_INT64
        assert -(2**31) <= line.severity < 2**31
        assert line.step is None or -(2**63) <= line.step <= MAX_INT64
    for span in delivery.spans:
        (span.name + span.attributes + span.events + span.links + span.status_message).encode()
        assert (len(span.trace_id), len(span.span_id)) == (16, 8)
        assert 0 <= span.start_unix_ns <= MAX_INT64
        assert span.end_unix_ns is None or 0 <= span.end_unix_ns <= MAX_INT64
    for event in delivery.events:
        assert 0 <= event.seq <= MAX_INT64


def _told(decoded: Decoded) -> object:
    blocks = {
        (delivery.target, key): (block.steps, block.times, block.values)
        for delivery in decoded.deliveries
        for key, block in delivery.series.items()
    }
    return blocks, decoded.refusals.items
