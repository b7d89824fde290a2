"""A part of a curve, between the store that reads it and the query that shows it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rundial.server.buckets import Bucket, bucketed, fitting_shift
from rundial.server.curves import Curve

END_OF_STEPS: Final = 2**63 - 1
ALWAYS: Final = (0, 2**63 - 1)


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


def within(points: Curve, span: Span) -> Curve:
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


def fitted(points: Curve, most: int, *, by_time: bool = False) -> list[Bucket]:
    """Return points in at most so many buckets of their steps, or of their times."""
    xs = points.times if by_time else points.steps
    return bucketed(xs, points.times, points.values, fitting_shift(xs, most))
