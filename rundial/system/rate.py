"""How fast a count grows: CPU time, and whatever else only ever goes up."""

from __future__ import annotations

from rundial.clock import Clock, SystemClock

# Below this the resolution of the counters (10 ms for the machine's CPU times) is most of the answer.
MIN_ELAPSED_S = 0.1


class Rate:
    """The growth of a count since it was last asked for.

    Args:
        count: The count now.
        clock: What time is measured with.
    """

    def __init__(self, count: float, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._count = count
        self._at_s = self._clock.monotonic_s()

    def of(self, count: float) -> float | None:
        """Return the growth per second since the last answer, None when that was only just now.

        A count that went back has begun anew somewhere, and its growth is not known.
        """
        now = self._clock.monotonic_s()
        if now - self._at_s < MIN_ELAPSED_S:
            return None
        rate = (count - self._count) / (now - self._at_s)
        self._count, self._at_s = count, now
        return rate if rate >= 0 else None
