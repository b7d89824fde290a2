"""What the tracker itself costs: the CPU of its threads, what it holds, writes and sends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rundial.clock import Clock
from rundial.system.rate import Rate
from rundial.system.readings import MIB

# Every thread of ours has a name that begins so.
THREAD_PREFIX = "rundial-"


@dataclass(frozen=True, slots=True)
class Burden:
    """What a run has on its way.

    Attributes:
        ring_filled: How full the process's ring is, 0 to 1.
        queue_depth: Points, lines and spans of the run that are in the ring alone.
        spool_bytes: Bytes on disk that no server has answered for.
        written_bytes: Bytes written to disk so far.
        sent_bytes: Bytes of request bodies sent so far, repeated ones included.
    """

    ring_filled: float
    queue_depth: int
    spool_bytes: int
    written_bytes: int
    sent_bytes: int


class OwnCost:
    """The tracker's share of this process.

    Args:
        burden: Tells what the run has on its way.
        proc: Where the kernel accounts for threads; without it their CPU is left out.
        clock: What CPU time is measured against.
    """

    def __init__(
        self, burden: Callable[[], Burden], *, proc: Path = Path("/proc"), clock: Clock | None = None
    ) -> None:
        self._burden = burden
        self._tasks = proc / "self" / "task"
        # A thread that has ended keeps its part in the sum.
        self._seen: dict[int, int] = {}
        self._used_ns = 0
        self._count()
        self._cpu = Rate(self._used_ns / 1e9, clock=clock)

    def read(self) -> dict[str, float]:
        """Return what the tracker costs now; CPU as a percentage of one core."""
        burden = self._burden()
        found = {
            "system/rundial.ring_percent": 100 * burden.ring_filled,
            "system/rundial.queue_depth": float(burden.queue_depth),
            "system/rundial.spool_mb": burden.spool_bytes / MIB,
            "system/rundial.written_mb": burden.written_bytes / MIB,
            "system/rundial.sent_mb": burden.sent_bytes / MIB,
        }
        self._count()
        rate = self._cpu.of(self._used_ns / 1e9)
        # Nothing to read threads from: no figure is better than a zero.
        if rate is None or not self._seen:
            return found
        return {"system/rundial.cpu_percent": 100 * rate, **found}

    def _count(self) -> None:
        now = self._threads_ns()
        self._used_ns += sum(max(0, used - self._seen.get(thread, 0)) for thread, used in now.items())
        self._seen = now

    def _threads_ns(self) -> dict[int, int]:
        """CPU nanoseconds of each of our threads, by the kernel's number."""
        found: dict[int, int] = {}
        for thread in threading.enumerate():
            if not thread.name.startswith(THREAD_PREFIX) or thread.native_id is None:
                continue
            try:
                text = (self._tasks / str(thread.native_id) / "schedstat").read_text()
            except OSError:
                # It has just ended, or this kernel does not tell.
                continue
            found[thread.native_id] = int(text.split()[0])
        return found
