"""What a fork waits a moment for: an import or a reading that another thread has under way.

A child would inherit a module half imported, or a library with a lock taken, and hang when its own
program asks for either: the thread that would finish does not exist there.
"""

from __future__ import annotations

from threading import Lock, get_ident

# A reading takes milliseconds, and the longest import some fifty.
FORK_WAIT_S = 0.5


class Quiet:
    """Held by a thread while it must not be forked away, and by a thread that forks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._forker = 0

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *failure: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """Wait until nothing is under way, and keep it so; not for longer than `FORK_WAIT_S`."""
        if self._lock.acquire(timeout=FORK_WAIT_S):
            self._forker = get_ident()

    def after_fork(self) -> None:
        """Go on, in the parent."""
        if self._forker == get_ident():
            self._forker = 0
            self._lock.release()
