"""Spans such as most are, on their way through the ring: a fixed head, the name, and attributes as JSON.

A span without events, links, words and losses, whose attributes are few and plain. What any other span is
packed as costs three times as much (`rundial.signals.records`). Little-endian:

    u8 1 · u8 kind · u8 status · u16 bytes of the name · u64 trace id, high and low · u64 span id
    · u64 parent span id · u64 start · u64 end · UTF-8 name · JSON attributes
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from rundial.signals.compact import load
from rundial.signals.records import PLAIN, Kind, Status

MAX_BYTES = 16 * 1024
KINDS: tuple[Kind, ...] = ("internal", "server", "client", "producer", "consumer")
STATUSES: tuple[Status, ...] = ("unset", "ok", "error")

_HEAD = Struct("<BBBH6Q")
_PACK = _HEAD.pack
_LOW = 2**64 - 1


def pack(  # noqa: PLR0913 - a span's fields; an object for each span would cost more than packing it
    trace_id: int,
    span_id: int,
    parent_span_id: int,
    name: str,
    kind: int,
    start_unix_ns: int,
    end_unix_ns: int,
    attributes: bytes,
    status: int,
) -> bytes:
    """Return the ring body of a plain span; empty when it does not fit.

    Args:
        trace_id: 128 bits.
        span_id: 64 bits.
        parent_span_id: 64 bits, 0 for none.
        name: At most `records.MAX_NAME_CHARS` characters.
        kind: Index into `KINDS`.
        start_unix_ns: When it began.
        end_unix_ns: When it ended, 0 while it is open.
        attributes: Those of which `attributes.is_plain` is true, from `compact.dump`.
        status: Index into `STATUSES`.

    Raises:
        struct.error: A time is beyond what the wire has.
    """
    words = name.encode("utf-8", "replace")
    if len(words) + len(attributes) > MAX_BYTES:
        return b""
    high, low = trace_id >> 64, trace_id & _LOW
    head = _PACK(
        PLAIN, kind, status, len(words), high, low, span_id, parent_span_id, start_unix_ns, end_unix_ns
    )
    return head + words + attributes


def unpack(data: bytes | memoryview) -> dict[str, Any]:
    """Return the fields of the `SpanData` whose ring body is `data`."""
    _, kind, status, length, high, low, span_id, parent_id, start, end = _HEAD.unpack_from(data)
    at = _HEAD.size
    return {
        "trace_id": high << 64 | low,
        "span_id": span_id,
        "parent_span_id": parent_id,
        "name": str(data[at : at + length], "utf-8"),
        "kind": KINDS[kind],
        "start_unix_ns": start,
        "end_unix_ns": end,
        "attributes": load(data[at + length :]),
        "status": STATUSES[status],
    }
