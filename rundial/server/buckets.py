"""Buckets of a curve: least, greatest and mean value over equal ranges of x. Pure.

A bucket of shift k holds what stands in a range of 2**k steps (nanoseconds, for points without a step)
that starts at a multiple of it. So buckets of one width add up to those of the next one, however the points
were grouped on the way, and a thinned curve depends on its points alone.

The shift of an answer is the least with which no more buckets hold a point than were asked for: a lone
point far away costs one bucket, never the resolution of all the others.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import xor
from typing import Final, NamedTuple

MAX_SHIFT: Final = 63


class Bucket(NamedTuple):
    """What a range of x holds; at least one point.

    Attributes:
        points: Number of points.
        mean: Of their values; never overflows.
        low: Least value.
        low_x: Where it stands first.
        low_time: That point's time, unix nanoseconds.
        high: Greatest value.
        high_x: Where it stands first.
        high_time: That point's time.
        first_x: Least x.
        last_x: Greatest x.
        min_time: Least time.
        max_time: Greatest time.
    """

    points: int
    mean: float
    low: float
    low_x: int
    low_time: int
    high: float
    high_x: int
    high_time: int
    first_x: int
    last_x: int
    min_time: int
    max_time: int


def bucketed(xs: array[int], times: array[int], values: array[float], shift: int) -> list[Bucket]:
    """Return the buckets of points.

    Args:
        xs: Ascending.
        times: Unix nanoseconds, as long as `xs`.
        values: Finite, as long as `xs`.
        shift: 0 to 63.
    """
    found = []
    start, count = 0, len(xs)
    while start < count:
        end = bisect_left(xs, ((xs[start] >> shift) + 1) << shift, start)
        part = values[start:end]
        low, high = min(part), max(part)
        at_low, at_high = start + part.index(low), start + part.index(high)
        when = times[start:end]
        found.append(
            Bucket(
                end - start,
                _mean(part),
                low,
                xs[at_low],
                times[at_low],
                high,
                xs[at_high],
                times[at_high],
                xs[start],
                xs[end - 1],
                min(when),
                max(when),
            )
        )
        start = end
    return found


def merged(buckets: Iterable[Bucket], shift: int) -> list[Bucket]:
    """Return buckets as wider ones.

    Args:
        buckets: Ascending, each within one bucket of the wider shift.
        shift: Of the result.
    """
    return [_joined(list(group)) for _, group in groupby(buckets, lambda each: each.first_x >> shift)]


def _joined(parts: list[Bucket]) -> Bucket:
    if len(parts) == 1:
        return parts[0]
    # Of equal values the earlier one is kept, as `index` does above.
    low = min(parts, key=lambda each: each.low)
    high = max(parts, key=lambda each: each.high)
    return Bucket(
        sum(each.points for each in parts),
        mean_of([(each.mean, each.points) for each in parts]),
        low.low,
        low.low_x,
        low.low_time,
        high.high,
        high.high_x,
        high.high_time,
        parts[0].first_x,
        parts[-1].last_x,
        min(each.min_time for each in parts),
        max(each.max_time for each in parts),
    )


def _mean(values: Sequence[float]) -> float:
    plain = sum(values) / len(values)
    return plain if math.isfinite(plain) else mean_of([(value, 1) for value in values])


def mean_of(parts: Sequence[tuple[float, int]]) -> float:
    """Return the mean of values that stand for so many points each; finite when the values are."""
    total = sum(count for _, count in parts)
    plain = sum(value * count for value, count in parts) / total
    if math.isfinite(plain):
        return plain
    # The sum leaves the range of a float; shares of it do not, but for a rounding at its very edge.
    shared = math.fsum(value * (count / total) for value, count in parts)
    return min(max(shared, min(value for value, _ in parts)), max(value for value, _ in parts))


def fitting_shift(xs: Sequence[int], most: int) -> int:
    """Return the least shift with which ascending x fall into at most so many buckets.

    Args:
        xs: Ascending.
        most: At least 1.
    """
    # Two neighbours part at every shift below the place of the highest bit in which they differ.
    parting = Counter(map(int.bit_length, map(xor, xs, xs[1:])))
    filled, shift = 1, MAX_SHIFT
    while shift and filled + parting[shift] <= most:
        filled += parting[shift]
        shift -= 1
    return shift
