"""Time as a value: what the pipeline reads instead of the `time` module.

Wall time stamps records; monotonic time measures how long something took. Tests hand in
a clock that they advance themselves.
"""

from __future__ import annotations

import time

from rundial.typed import Protocol


class Clock(Protocol):
    """The two times that the pipeline needs."""

    def time_unix_ns(self) -> int:
        """Wall time, nanoseconds since the Unix epoch; may jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def time_unix_ns(self) -> int:
        """Wall time, nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start."""
        return time.monotonic()
