"""One OTLP request → two, for a server that finds it too large or a part of it wrong.

Walks the wire format without parsing the items themselves: both parts repeat the shell (resource,
scope, a metric's name and unit) around their share of the items, whose bytes and order stay as
they were. Fields that this module does not know are kept. Pure; runs on the sender thread.

Source:
    opentelemetry-proto 1.x for the field numbers; the same path holds for log records and spans.
"""

from __future__ import annotations

from rundial.signals.wire import BYTES, delimited, fields

Path = tuple[frozenset[int], ...]

# Field numbers from the request down to its items.
_RECORDS: Path = (frozenset({1}), frozenset({2}), frozenset({2}))
# A metric's data is one of gauge, sum, histogram, exponential histogram and summary; each has its
# points in field 1.
_POINTS: Path = (*_RECORDS, frozenset({5, 7, 9, 10, 11}), frozenset({1}))
_PATHS = {"events": _RECORDS, "metrics": _POINTS, "logs": _RECORDS, "traces": _RECORDS}


def split_request(lane: str, body: bytes) -> tuple[tuple[bytes, int], tuple[bytes, int]] | None:
    """Return two requests with the first and the second half of a request's items.

    Args:
        lane: `events`, `metrics`, `logs` or `traces`.
        body: The request, uncompressed.

    Returns:
        (request, number of its items) twice; None when there is nothing to divide: fewer than two
        items, or bytes that are no request.
    """
    path = _PATHS[lane]
    try:
        items = _count(body, 0, len(body), path)
        if items < 2:
            return None
        half = items // 2
        first, _ = _part(body, 0, len(body), path, (0, half))
        second, _ = _part(body, 0, len(body), path, (half, items))
    except ValueError:
        return None
    return (first, half), (second, items - half)


def count_items(lane: str, body: bytes) -> int:
    """Return how many points, log records or spans a request holds.

    Raises:
        ValueError: The bytes are no request.
    """
    return _count(body, 0, len(body), _PATHS[lane])


def _count(data: bytes, start: int, end: int, path: Path) -> int:
    numbers, deeper = path[0], path[1:]
    items = 0
    for number, wire_type, _, body, stop in fields(data, start, end):
        if number in numbers and wire_type == BYTES:
            items += _count(data, body, stop, deeper) if deeper else 1
    return items


def _part(data: bytes, start: int, end: int, path: Path, keep: tuple[int, int]) -> tuple[bytes, int]:
    """Return a message with only the items whose index is in `keep`, and how many it had.

    The index counts from the message's first item; what holds none of the kept items is left out.
    """
    numbers, deeper = path[0], path[1:]
    first, last = keep
    kept: list[bytes] = []
    items = 0
    for number, wire_type, whole, body, stop in fields(data, start, end):
        if number not in numbers or wire_type != BYTES:
            kept.append(data[whole:stop])
        elif not deeper:
            if first <= items < last:
                kept.append(data[whole:stop])
            items += 1
        else:
            inner, count = _part(data, body, stop, deeper, (first - items, last - items))
            if max(first, items) < min(last, items + count):
                kept.append(delimited(number, inner))
            items += count
    return b"".join(kept), items
