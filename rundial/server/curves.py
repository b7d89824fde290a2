"""What a series shows: its points as columns. Pure.

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

    def shown(self) -> list[Shown]:
        """Return all of its points."""
        return [
            Shown(None if step == NO_STEP else step, time, value)
            for step, time, value in zip(self.steps, self.times, self.values, strict=True)
        ]
