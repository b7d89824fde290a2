"""The sha256 of blocks while they are written: on a thread of its own once it is worth one.

Hashing and writing a block take about as long, and both leave the interpreter alone: side by side a large
file is copied and hashed in the time of one of them.

Threads: `update` and `end` are for one thread; `rundial-digest`, a daemon, hashes.
"""

from __future__ import annotations

import hashlib
from queue import SimpleQueue
from threading import Semaphore, Thread

# A file of fewer blocks is done before a thread has started.
MIN_BLOCKS = 4
# Blocks that wait for the thread, in memory.
MAX_WAITING = 4


class Digest:
    """The digest of the blocks that it is given."""

    def __init__(self) -> None:
        self._found = hashlib.sha256()
        self._count = 0
        self._thread: Thread | None = None
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._room = Semaphore(MAX_WAITING)

    def update(self, block: bytes) -> None:
        """Take the next block; waits while many wait to be hashed."""
        self._count += 1
        if self._count == MIN_BLOCKS:
            self._start()
        if self._thread is None:
            self._found.update(block)
            return
        self._room.acquire()
        self._queue.put(block)

    def end(self) -> str:
        """Return the digest, hexadecimal, once everything is hashed; ends the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        return self._found.hexdigest()

    def _start(self) -> None:
        thread = Thread(target=self._hash, name="rundial-digest", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is ending, or the process may have no more threads: it is hashed here.
            return
        self._thread = thread

    def _hash(self) -> None:
        while (block := self._queue.get()) is not None:
            self._found.update(block)
            self._room.release()
