"""How much a spool may hold, and what goes when it would hold more.

The bound is over all lanes of one instance. What goes first is what nobody waits for: segments
whose frames are all answered. Then the oldest segment of the largest lane is evicted, again and
again, counted `spool_full`; run events never go, for a run without its start and finish is worth
little. A frame just appended is never evicted for its own sake: if the rest cannot make room for
it, it is refused. What is older than the age limit goes whenever a segment is sealed, counted
`spool_expired`.

Bounded are the bytes of segments. `meta.json`, `lock` and the acks are a few hundred bytes beside
them, and `rejected/` has a bound of its own.
"""

from __future__ import annotations

import threading

from rundial.errors import SpoolFullError
from rundial.spool.segment import HEADER_BYTES
from rundial.typed import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from rundial.clock import Clock
    from rundial.spool.lane import Lane
    from rundial.spool.limits import Limits

_KEPT_LANE = "events"


class Room(Protocol):
    """Where a lane asks for room before it appends; all is called with the lock held."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Keeps the room that was made until it is filled."""
        ...

    def make(self, needed_bytes: int) -> None:
        """Make room; SpoolFullError when there is none."""
        ...

    def on_seal(self) -> None:
        """Take note that a segment was sealed."""
        ...

    def reclaim(self) -> bool:
        """Free what is answered, for the disk is full; whether that freed anything."""
        ...


class Unbounded:
    """Room without end, for a lane on its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # guards nothing, as there is room for all

    def make(self, needed_bytes: int) -> None:
        """Grant any wish."""

    def on_seal(self) -> None:
        """Take no note."""

    def reclaim(self) -> bool:
        """Free nothing."""
        return False


class Bounds:
    """The bound over the lanes of one instance.

    Threads: appends from any; one lock makes room and append one step, so that two lanes never
    fill the same room. It is taken before a lane's own lock, never inside it.

    Attributes:
        lock: Held by who makes room, until it is filled.
    """

    def __init__(self, path: str, limits: Limits, clock: Clock) -> None:
        self._path = path
        self._limits = limits
        self._clock = clock
        self._lanes: Sequence[Lane] = ()
        self.lock = threading.Lock()  # guards the room that is left

    def watch(self, lanes: Sequence[Lane]) -> None:
        """Take the lanes to bound, before anything is appended."""
        self._lanes = lanes

    def on_seal(self) -> None:
        """Evict what is too old."""
        self.evict_expired()

    def reclaim(self) -> bool:
        """Free the segments that hold nothing but answered frames."""
        has_freed = False
        for lane in self._lanes:
            try:
                has_freed |= lane.reclaim()
            except OSError:  # noqa: PERF203 - each lane is asked on its own
                # No room for the header that has to stand in for its segment: another's may go.
                continue
        return has_freed

    def evict_expired(self, *, with_last: bool = False) -> None:
        """Evict the segments beyond the age limit.

        Args:
            with_last: Whether a lane's last segment may go too; only where nobody writes to it.
        """
        before = self._clock.time_unix_ns() - int(self._limits.max_age_s * 1e9)
        try:
            for lane in self._evictable():
                lane.evict_expired(before, with_last=with_last)
        except OSError:
            # Nothing of it was given up: it waits for the next seal, or is delivered late.
            return

    def make(self, needed_bytes: int) -> None:
        """Make room.

        Raises:
            SpoolFullError: The bound leaves no room, whatever is evicted; nothing was.
            OSError: An eviction could not be put on disk.
        """
        limit = self._limits.max_bytes
        if self._total() + needed_bytes <= limit:
            return
        if self._least() + needed_bytes > limit:
            raise SpoolFullError(self._path, limit, needed_bytes)
        for lane in self._lanes:
            lane.reclaim()
        while self._total() + needed_bytes > limit:
            waiting = [lane for lane in self._evictable() if lane.waiting_frames > 0]
            if not waiting:
                raise SpoolFullError(self._path, limit, needed_bytes)
            max(waiting, key=lambda lane: lane.bytes_on_disk).evict("spool_full")

    def _evictable(self) -> list[Lane]:
        return [lane for lane in self._lanes if lane.name != _KEPT_LANE]

    def _total(self) -> int:
        return sum(lane.bytes_on_disk for lane in self._lanes)

    def _least(self) -> int:
        """Bytes that stay when everything goes that may: one header a lane, and the run events."""
        return sum(
            lane.bytes_on_disk
            if lane.name == _KEPT_LANE and lane.waiting_frames > 0
            else min(HEADER_BYTES, lane.bytes_on_disk)
            for lane in self._lanes
        )
