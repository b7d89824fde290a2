"""Curves as a query wants them: a range of a series in buckets, or thinned so that no spike is lost.

What is rolled up is read as buckets (`rollups`), the ends of the range and what came since as points. The
answer is the same as from the points alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from rundial.server.buckets import Bucket, bucketed, fitting_shift, merged
from rundial.server.curves import Curve, Shown
from rundial.server.store import rollups
from rundial.server.store.chosen import END_OF_STEPS, stepless, stepped
from rundial.server.store.rollups import ALWAYS, Head

# So many points are read faster than their buckets are looked up.
_FEW: Final = 4_096


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a curve is wanted; all bounds are inclusive.

    Attributes:
        low: Least step.
        high: Greatest step.
        start_unix_ns: Earliest time.
        end_unix_ns: Latest time.
    """

    low: int = 0
    high: int = END_OF_STEPS
    start_unix_ns: int = ALWAYS[0]
    end_unix_ns: int = ALWAYS[1]

    @property
    def times(self) -> tuple[int, int]:
        """The range of times."""
        return self.start_unix_ns, self.end_unix_ns

    @property
    def has_steps(self) -> bool:
        """Whether it asks for some steps only; points without a step are then left out."""
        return self.low > 0 or self.high < END_OF_STEPS


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a curve in buckets of one width.

    Attributes:
        buckets: Ascending.
        points: The points themselves where they were read; None when only buckets were.
        is_stepless: Whether x is the time, for points without a step.
        read_points: How many points were read although they are many; making rollups would spare it.
    """

    buckets: Sequence[Bucket]
    points: Curve | None
    is_stepless: bool = False
    read_points: int = 0

    @property
    def total(self) -> int:
        """Points in the range."""
        return sum(each.points for each in self.buckets)


def parts_of(connection: Connection, series_id: int, count: int, span: Span, most: int) -> list[Part]:
    """Return a range of a series in at most so many buckets, a width for each part that there is.

    Args:
        connection: In a reading transaction.
        series_id: The series' row id.
        count: About how many points it has.
        span: The range.
        most: Buckets, at least 1. Points without a step, where there are others too, get half of them.
    """
    loose = Curve() if span.has_steps else _within(stepless(connection, series_id), span)
    if not len(loose):
        return [_stepped_part(connection, series_id, count, span, most)]
    part = _stepped_part(connection, series_id, count, span, max(1, most - most // 2))
    others = most // 2 if part.buckets else most
    found = Part(_fitted(loose.times, loose, max(1, others)), loose, is_stepless=True)
    return [found, part] if part.buckets else [found]


def most_for(max_points: int) -> int:
    """How many buckets may be shown as points: two a bucket, and both ends."""
    return max(1, (max_points - 2) // 2)


def points_of(
    connection: Connection, series_id: int, parts: Sequence[Part], span: Span, max_points: int
) -> list[Shown]:
    """Return at most `max_points` points of a curve, in their order.

    All of them when they are no more. Else each bucket shows its least and its greatest value; the last
    point always stays, and the first when there is room for two.

    Args:
        connection: In the transaction that read the parts.
        series_id: The series' row id.
        parts: Of `parts_of` with `most_for(max_points)`.
        span: As it was given there.
        max_points: At least 1; from 4 on, spikes survive.
    """
    filled = [part for part in parts if part.buckets]
    if sum(part.total for part in filled) <= max_points:
        return [each for part in filled for each in _points(connection, series_id, part, span).shown()]
    last = _point_at(connection, series_id, filled[-1], filled[-1].buckets[-1].last_x, -1)
    if max_points == 1:
        return [last]
    first = _point_at(connection, series_id, filled[0], filled[0].buckets[0].first_x, 0)
    shown = [first] if max_points < 4 else [each for part in filled for each in _extremes(part)]
    if shown[0] != first:
        shown.insert(0, first)
    return shown if shown[-1] == last else [*shown, last]


def _points(connection: Connection, series_id: int, part: Part, span: Span) -> Curve:
    if part.points is not None:
        return part.points
    return _within(stepped(connection, series_id, span.low, span.high), span)


def _point_at(connection: Connection, series_id: int, part: Part, step: int, place: int) -> Shown:
    points = stepped(connection, series_id, step, step) if part.points is None else part.points
    shown = Curve()
    shown.extend([points.steps[place]], [points.times[place]], [points.values[place]])
    return shown.shown()[0]


def _extremes(part: Part) -> Iterator[Shown]:
    for each in part.buckets:
        low = Shown(None if part.is_stepless else each.low_x, each.low_time, each.low)
        high = Shown(None if part.is_stepless else each.high_x, each.high_time, each.high)
        if each.low_x == each.high_x and each.low == each.high:
            yield low
        elif each.low_x <= each.high_x:
            yield from (low, high)
        else:
            yield from (high, low)


def _within(points: Curve, span: Span) -> Curve:
    """Points whose time is in the range."""
    if span.times == ALWAYS:
        return points
    kept = [
        place for place, time in enumerate(points.times) if span.start_unix_ns <= time <= span.end_unix_ns
    ]
    found = Curve()
    found.extend(
        [points.steps[place] for place in kept],
        [points.times[place] for place in kept],
        [points.values[place] for place in kept],
    )
    return found


def _fitted(xs: Sequence[int], points: Curve, most: int) -> list[Bucket]:
    columns = points.steps if xs is points.steps else points.times
    return bucketed(columns, points.times, points.values, fitting_shift(columns, most))


def _stepped_part(connection: Connection, series_id: int, count: int, span: Span, most: int) -> Part:
    head = rollups.head_of(connection, series_id) if count > _FEW else None
    level = None if head is None else _level(connection, series_id, head, span, most)
    if head is not None and level is not None:
        reader = _Reader(connection, series_id, head, span)
        pieces = list(reader.pieces(span.low, span.high, level))
        shift = head.shift_of(level)
        found = merged(pieces, shift)
        wider = max(shift, fitting_shift([each.first_x >> shift << shift for each in found], most))
        return Part(merged(found, wider), None, read_points=reader.read_points)
    points = _within(stepped(connection, series_id, span.low, span.high), span)
    return Part(_fitted(points.steps, points, most), points, read_points=len(points))


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
        points = _within(stepped(self._connection, self._series, low, high), self._span)
        self.read_points += len(points)
        yield from bucketed(points.steps, points.times, points.values, self._head.shift)
