"""The sampler: one thread for all runs of a process, asleep but for a few milliseconds an interval.

Threads: owns one daemon thread, named `rundial-sampler`, which lives while there is a run to watch.
After a fork: the child has no such thread; its runs make a sampler of their own.
"""

from __future__ import annotations

import threading

from rundial.clock import Clock, SystemClock
from rundial.logger import logger
from rundial.system.watch import Watch

# The longest that a timer is set for, whatever interval was asked for.
MAX_WAIT_S = 3600.0


class Sampler:
    """Calls each watch when it is due.

    Args:
        clock: What is due is read from; waiting is the machine's.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        # Guards the watches and the thread. Re-entrant, because a signal handler may end a run.
        self._condition = threading.Condition()
        self._watches: list[Watch] = []
        self._thread: threading.Thread | None = None

    def add(self, watch: Watch) -> None:
        """Sample a run from now on, until its watch ends."""
        watch.wake = self.wake
        with self._condition:
            self._watches.append(watch)
            if self._thread is None:
                self._start()
            self._condition.notify_all()

    def wake(self) -> None:
        """Look again at what is due."""
        with self._condition:
            self._condition.notify_all()

    def stop(self, timeout_s: float) -> bool:
        """Cancel every watch; return whether the thread has ended."""
        with self._condition:
            for watch in self._watches:
                watch.cancel()
            self._condition.notify_all()
            thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="rundial-sampler", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # No thread can be had, or the interpreter is leaving: a run without this is still a run.
            logger.warning("system metrics are off: %s", error)
            for watch in self._watches:
                watch.cancel()
            self._watches.clear()
            return
        self._thread = thread

    def _run(self) -> None:
        while True:
            with self._condition:
                watch = self._next()
                if watch is None:
                    # Under the lock: who adds a watch from here on starts another thread.
                    self._thread = None
                    return
            watch.act()

    def _next(self) -> Watch | None:
        """Wait until a watch is due and return it; None when there is none left."""
        while True:
            self._watches = [watch for watch in self._watches if not watch.is_over]
            if not self._watches:
                return None
            first = min(self._watches, key=lambda watch: watch.due_s)
            wait_s = first.due_s - self._clock.monotonic_s()
            if wait_s <= 0:
                return first
            self._condition.wait(min(wait_s, MAX_WAIT_S))
