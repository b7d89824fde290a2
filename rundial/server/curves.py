"""What a series shows: one point a step, thinned without losing a spike. Pure.

Of several points at one step the latest attempt's stands, and within it the one accepted last: an old
attempt that is synced late never overwrites a newer curve.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rundial.server.rows import NO_STEP


@dataclass(frozen=True, slots=True)
class Shown:
    """One point of a curve; `step` is None for points that carry none."""

    step: int | None
    time_unix_ns: int
    value: float


def shown_points(
    rows: Iterable[tuple[int, int, float, int, int]], attempts: Mapping[int, int]
) -> Iterator[Shown]:
    """Choose what a series shows.

    Args:
        rows: (step, time in unix ns, value, instance, accepted), ordered by step.
        attempts: Attempt of each instance.

    Yields:
        Points in the order of their steps; those without a step first, each of them, in the order
        of their times.
    """
    best: tuple[int, int] = (-1, -1)
    chosen: tuple[int, int, float] | None = None
    stepless: list[tuple[int, float]] = []
    for step, time_unix_ns, value, instance, accepted in rows:
        if step == NO_STEP:
            stepless.append((time_unix_ns, value))
            continue
        rank = (attempts.get(instance, 0), accepted)
        if chosen is None or step != chosen[0]:
            if chosen is None:
                yield from (Shown(None, *each) for each in sorted(stepless))
            else:
                yield Shown(*chosen)
        elif rank < best:
            continue
        best, chosen = rank, (step, time_unix_ns, value)
    if chosen is None:
        yield from (Shown(None, *each) for each in sorted(stepless))
    else:
        yield Shown(*chosen)


def thin(points: list[Shown], max_points: int) -> list[Shown]:
    """Return at most `max_points` of the points, in their order.

    The points are cut into buckets of equal counts; each keeps its least and its greatest value, so a
    spike of one point survives thinning. The last point always stays, and the first when there is
    room for two.

    Args:
        points: In the order in which they are shown.
        max_points: At least 1; from 4 on, spikes survive.
    """
    if len(points) <= max_points:
        return points
    if max_points == 1:
        return points[-1:]
    inner = points[1:-1]
    buckets = (max_points - 2) // 2
    kept = [points[0]]
    for bucket in range(buckets):
        part = inner[bucket * len(inner) // buckets : (bucket + 1) * len(inner) // buckets]
        low = min(range(len(part)), key=lambda place: part[place].value)
        high = max(range(len(part)), key=lambda place: part[place].value)
        kept += [part[place] for place in sorted({low, high})]
    return [*kept, points[-1]]
