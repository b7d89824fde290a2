"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading

START_UNIX_NS = 1_700_000_000_000_000_000


class ManualClock:
    """Wall time and monotonic time, moved by hand.

    Fits wherever Rundial takes a `rundial.clock.Clock`; for a run's own points give
    `run.log(…, time_ms=clock.time_ms())`.

    Threads: any; one lock guards both times, so that they move together.
    """

    def __init__(self, unix_ns: int = START_UNIX_NS, *, monotonic_s: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._unix_ns = unix_ns
        self._monotonic_s = monotonic_s

    def time_unix_ns(self) -> int:
        """Wall time, nanoseconds since the Unix epoch."""
        with self._lock:
            return self._unix_ns

    def time_ms(self) -> int:
        """Wall time, whole milliseconds since the Unix epoch."""
        return self.time_unix_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        with self._lock:
            return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks.

        Args:
            seconds: How much, not negative; to the nearest nanosecond.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}; jump_wall() moves the wall clock alone")
        with self._lock:
            self._unix_ns += round(seconds * 1_000_000_000)
            self._monotonic_s += seconds

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as NTP or a person does; no time passes."""
        with self._lock:
            self._unix_ns += round(seconds * 1_000_000_000)
