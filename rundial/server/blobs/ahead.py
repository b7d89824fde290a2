"""The sha256 of a blob that arrives in parts, taken of its front while the rest is still on its way.

What is judged at the end would else be read once more then, when the client waits. A digest taken ahead
counts only where nobody can have changed the bytes behind it: each try of a part is noted before its first
byte, so where there were as many tries as parts, and all of them came by here, each byte was written once,
before it was hashed. In every other case the file is read again.

Threads: any; one hashes a blob at a time.
After a crash: nothing is known, and the files are read.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Final

# Uploads that nobody finishes are forgotten, the oldest first.
MAX_BLOBS: Final = 1_024
_READ_BYTES: Final = 2**20


class Ahead:
    """Digests of the blobs that are arriving here, by their staging place."""

    def __init__(self) -> None:
        # Guards the table.
        self._lock: Final = Lock()
        self._blobs: Final[OrderedDict[str, _Front]] = OrderedDict()

    def begun(self, place: str) -> None:
        """Note that a part will be written."""
        with self._lock:
            front = self._blobs.setdefault(place, _Front())
            front.tries += 1
            if len(self._blobs) > MAX_BLOBS:
                self._blobs.popitem(last=False)

    def arrived(self, place: str, path: Path, offset_bytes: int, size_bytes: int) -> None:
        """Note that a part is there, and hash what the front has grown by."""
        front = self._blobs.get(place)
        if front is not None:
            front.waiting[offset_bytes] = size_bytes
            front.grow(path, is_patient=False)

    def digest(self, place: str, path: Path, *, parts: int, size_bytes: int, tries: int) -> str | None:
        """The sha256 of a blob of which all parts are there; None where the file has to be read.

        Args:
            place: Its staging place.
            path: Its file, which nobody writes to any more.
            parts: How many it has.
            size_bytes: How long it is.
            tries: How often a part was begun, in all processes.
        """
        front = self._blobs.get(place)
        if front is None or not tries == front.tries == parts:
            return None
        front.grow(path, is_patient=True)
        return front.found.hexdigest() if front.hashed_bytes == size_bytes else None

    def forget(self, place: str) -> None:
        """Forget a blob."""
        with self._lock:
            self._blobs.pop(place, None)


class _Front:
    """How far one blob is hashed, from its beginning."""

    def __init__(self) -> None:
        self.tries = 0
        self.found = hashlib.sha256()
        self.hashed_bytes = 0
        # Sizes by offset; a dictionary's own operations are atomic.
        self.waiting: dict[int, int] = {}
        self._lock = Lock()

    def grow(self, path: Path, *, is_patient: bool) -> None:
        """Hash the parts that follow what is hashed; leave it to whoever is at it, unless one is patient."""
        if not self._lock.acquire(blocking=is_patient):
            return
        try:
            buffer = memoryview(bytearray(_READ_BYTES))
            with path.open("rb", buffering=0) as file:
                file.seek(self.hashed_bytes)
                while (left := self.waiting.pop(self.hashed_bytes, 0)) > 0:
                    while left and (count := file.readinto(buffer[: min(left, _READ_BYTES)])):
                        self.found.update(buffer[:count])
                        self.hashed_bytes += count
                        left -= count
        finally:
            self._lock.release()
