"""How often a source may do something, in bounded memory: one number a source.

The number is the moment from which on the source would be back at rest (the generic cell rate algorithm):
each deed moves it on by one interval, and what would move it beyond the burst must wait.

Threads: one, the event loop's; nothing here waits.
"""

from __future__ import annotations

import heapq
from typing import Final

MAX_SOURCES: Final = 10_000


class Throttle:
    """Deeds of many sources, each at its own pace.

    Args:
        interval_s: Time that one deed takes up in the long run, seconds.
        burst: Deeds that may come at once, at least 1.
        max_sources: Sources that are remembered; beyond it those nearest to rest are forgotten.
    """

    def __init__(self, *, interval_s: float, burst: int, max_sources: int = MAX_SOURCES) -> None:
        self._interval_s = interval_s
        self._tolerance_s = interval_s * (burst - 1)
        self._max_sources = max_sources
        self._rest_s: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._rest_s)

    def take(self, source: str, now_s: float) -> float:
        """Do one deed now.

        Args:
            source: Who does it.
            now_s: Monotonic time, seconds.

        Returns:
            0.0, or the seconds until the source may; then nothing was taken.
        """
        rest_s = max(self._rest_s.get(source, now_s), now_s)
        wait_s = rest_s - now_s - self._tolerance_s
        if wait_s > 0:
            return wait_s
        if source not in self._rest_s and len(self._rest_s) >= self._max_sources:
            self._forget(now_s)
        self._rest_s[source] = rest_s + self._interval_s
        return 0.0

    def give_back(self, source: str) -> None:
        """Undo one deed, as if it had not been done."""
        if source in self._rest_s:
            self._rest_s[source] -= self._interval_s

    def _forget(self, now_s: float) -> None:
        """Make room: sources at rest cost nothing to forget, then those that are nearest to it."""
        waiting = {source: rest_s for source, rest_s in self._rest_s.items() if rest_s > now_s}
        excess = len(waiting) - self._max_sources + self._max_sources // 10 + 1
        for source in heapq.nsmallest(max(0, excess), waiting, key=waiting.__getitem__):
            del waiting[source]
        self._rest_s = waiting
