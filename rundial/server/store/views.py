"""Curves as a query wants them: a range of a series in buckets, or thinned so that no spike is lost.

How a part of a curve is read is its store's (`events.PointStore`); what is shown of it is decided here, the
same for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from rundial.server.curves import Curve, Shown
from rundial.server.store.events import PointStore
from rundial.server.store.parts import Part, Span, fitted, within


def parts_of(
    store: PointStore, connection: Connection, series_id: int, count: int, span: Span, most: int
) -> list[Part]:
    """Return a range of a series in at most so many buckets, a width for each part that there is.

    Args:
        store: Where the points are.
        connection: In a reading transaction.
        series_id: The series' row id.
        count: About how many points it has.
        span: The range.
        most: Buckets, at least 1. Points without a step, where there are others too, get half of them.
    """
    loose = Curve() if span.has_steps else within(store.stepless(connection, series_id), span)
    if not len(loose):
        return [store.part(connection, series_id, count, span, most)]
    part = store.part(connection, series_id, count, span, max(1, most - most // 2))
    others = most // 2 if part.buckets else most
    found = Part(fitted(loose, max(1, others), by_time=True), loose, is_stepless=True)
    return [found, part] if part.buckets else [found]


def most_for(max_points: int) -> int:
    """How many buckets may be shown as points: two a bucket, and both ends."""
    return max(1, (max_points - 2) // 2)


def points_of(
    store: PointStore,
    connection: Connection,
    series_id: int,
    parts: Sequence[Part],
    span: Span,
    max_points: int,
) -> list[Shown]:
    """Return at most `max_points` points of a curve, in their order.

    All of them when they are no more. Else each bucket shows its least and its greatest value; the last
    point always stays, and the first when there is room for two.

    Args:
        store: Where the points are.
        connection: In the transaction that read the parts.
        series_id: The series' row id.
        parts: Of `parts_of` with `most_for(max_points)`.
        span: As it was given there.
        max_points: At least 1; from 4 on, spikes survive.
    """
    filled = [part for part in parts if part.buckets]

    def at(part: Part, step: int, place: int) -> Shown:
        points = store.stepped(connection, series_id, step, step) if part.points is None else part.points
        shown = Curve()
        shown.extend([points.steps[place]], [points.times[place]], [points.values[place]])
        return shown.shown()[0]

    if sum(part.total for part in filled) <= max_points:
        return [each for part in filled for each in _points(store, connection, series_id, part, span).shown()]
    last = at(filled[-1], filled[-1].buckets[-1].last_x, -1)
    if max_points == 1:
        return [last]
    first = at(filled[0], filled[0].buckets[0].first_x, 0)
    shown = [first] if max_points < 4 else [each for part in filled for each in _extremes(part)]
    if shown[0] != first:
        shown.insert(0, first)
    return shown if shown[-1] == last else [*shown, last]


def curve(store: PointStore, connection: Connection, series_id: int) -> Curve:
    """Everything that a series shows: points without a step first, by time, then the others by step."""
    found = store.stepless(connection, series_id)
    part = store.stepped(connection, series_id)
    found.extend(part.steps, part.times, part.values)
    return found


def values_at(
    store: PointStore, connection: Connection, series_id: int, steps: Sequence[int]
) -> dict[int | None, float]:
    """What a series shows at some steps; a step that it has no point at is left out."""
    found: dict[int | None, float] = {}
    for step in steps:
        point = store.stepped(connection, series_id, step, step)
        if len(point):
            found[step] = point.values[0]
    return found


def _points(store: PointStore, connection: Connection, series_id: int, part: Part, span: Span) -> Curve:
    if part.points is not None:
        return part.points
    return within(store.stepped(connection, series_id, span.low, span.high), span)


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
