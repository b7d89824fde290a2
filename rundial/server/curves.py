"""What a series shows: its points as columns, thinned without losing a spike. Pure.

Columns, because a curve has up to millions of points and an answer has a thousand: only what is shown
becomes an object.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import lt

from rundial.server.rows import NO_STEP


@dataclass(frozen=True, slots=True)
class Shown:
    """One point of a curve; `step` is None for points that carry none."""

    step: int | None
    time_unix_ns: int
    value: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What a series shows, in the order in which it is shown; the columns are equally long.

    Attributes:
        steps: Steps, `NO_STEP` for none.
        times: Unix nanoseconds.
        values: Finite numbers.
    """

    steps: array[int] = field(default_factory=lambda: array("q"))
    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        """Number of points."""
        return len(self.steps)

    def extend(self, steps: Iterable[int], times: Iterable[int], values: Iterable[float]) -> None:
        """Add columns of points."""
        self.steps.extend(steps)
        self.times.extend(times)
        self.values.extend(values)

    def goes_on_with(self, steps: Sequence[int]) -> bool:
        """Whether each of further steps is greater than the one before it."""
        is_later = not self.steps or self.steps[-1] < steps[0]
        return is_later and all(map(lt, steps, steps[1:]))

    def cut(self, count: int) -> None:
        """Keep the first so many points."""
        del self.steps[count:], self.times[count:], self.values[count:]

    def thin(self, max_points: int) -> list[Shown]:
        """Return at most `max_points` of its points, in their order; see `places_kept`."""
        return [self._shown(place) for place in places_kept(self.values, max_points)]

    def _shown(self, place: int) -> Shown:
        step = self.steps[place]
        return Shown(None if step == NO_STEP else step, self.times[place], self.values[place])


def places_kept(values: Sequence[float], max_points: int) -> Sequence[int]:
    """Choose at most `max_points` of a curve's points.

    The points are cut into buckets of equal counts; each keeps its least and its greatest value, so a
    spike of one point survives thinning. The last point always stays, and the first when there is
    room for two.

    Args:
        values: In the order in which they are shown.
        max_points: At least 1; from 4 on, spikes survive.

    Returns:
        Places in `values`, ascending.
    """
    count = len(values)
    if count <= max_points:
        return range(count)
    if max_points == 1:
        return [count - 1]
    buckets = (max_points - 2) // 2
    kept = [0]
    for bucket in range(buckets):
        start = 1 + bucket * (count - 2) // buckets
        part = values[start : 1 + (bucket + 1) * (count - 2) // buckets]
        kept += [start + place for place in sorted({part.index(min(part)), part.index(max(part))})]
    return [*kept, count - 1]
