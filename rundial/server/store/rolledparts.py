"""A range of a series in buckets, from what is rolled up (`rollups`) and, where nothing is, from its points.

The answer is the same as from the points alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from rundial.server.buckets import Bucket, bucketed, fitting_shift, merged
from rundial.server.store import rollups
from rundial.server.store.chosen import stepped
from rundial.server.store.parts import Part, Span, fitted, within
from rundial.server.store.rollups import Head

# So many points are read faster than their buckets are looked up.
_FEW: Final = 4_096


def stepped_part(connection: Connection, series_id: int, count: int, span: Span, most: int) -> Part:
    """Return the points with a step of a range, in at most so many buckets.

    Args:
        connection: In a reading transaction.
        series_id: The series' row id.
        count: About how many points it has.
        span: The range.
        most: Buckets, at least 1.
    """
    head = rollups.head_of(connection, series_id) if count > _FEW else None
    level = None if head is None else _level(connection, series_id, head, span, most)
    if head is not None and level is not None:
        reader = _Reader(connection, series_id, head, span)
        pieces = list(reader.pieces(span.low, span.high, level))
        shift = head.shift_of(level)
        found = merged(pieces, shift)
        wider = max(shift, fitting_shift([each.first_x >> shift << shift for each in found], most))
        return Part(merged(found, wider), None, read_points=reader.read_points)
    points = within(stepped(connection, series_id, span.low, span.high), span)
    return Part(fitted(points, most), points, read_points=len(points))


def _level(connection: Connection, series_id: int, head: Head, span: Span, most: int) -> int | None:
    """The widest level whose buckets are more than are wanted; None when there is none."""
    for level in reversed(range(head.levels)):
        steps = (span.low, span.high)
        if rollups.count_of(connection, series_id, head, level, steps, span.times) > most:
            return level
    return None


class _Reader:
    """Reads a range as buckets where they are kept and as points where they are not."""

    def __init__(self, connection: Connection, series_id: int, head: Head, span: Span) -> None:
        self._connection = connection
        self._series = series_id
        self._head = head
        self._span = span
        self.read_points = 0

    def pieces(self, low: int, high: int, level: int) -> Iterator[Bucket]:
        """Yield buckets of a range of steps, none wider than the level's, in their order."""
        if low > high:
            return
        if level < 0:
            yield from self._points(low, high)
            return
        shift = self._head.shift_of(level)
        first, end = -(-low >> shift), min(self._head.end(level), (high + 1) >> shift)
        if first >= end:
            yield from self.pieces(low, high, level - 1)
            return
        yield from self.pieces(low, (first << shift) - 1, level - 1)
        start_ns, end_ns = self._span.times
        for each in rollups.buckets_of(self._connection, self._series, shift, first, end):
            if start_ns <= each.min_time and each.max_time <= end_ns:
                yield each
            elif each.max_time >= start_ns and each.min_time <= end_ns:
                number = each.first_x >> shift
                yield from self.pieces(number << shift, ((number + 1) << shift) - 1, level - 1)
        yield from self.pieces(end << shift, high, level - 1)

    def _points(self, low: int, high: int) -> Iterator[Bucket]:
        points = within(stepped(self._connection, self._series, low, high), self._span)
        self.read_points += len(points)
        yield from bucketed(points.steps, points.times, points.values, self._head.shift)
