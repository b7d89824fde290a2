"""One file as it is now: a clone where the file system can, else a copy within a budget, else in place.

Never a hard link: a script that truncates its checkpoint in place would change it. What is recorded is
what was hashed, whatever else happens to the file: a copy is hashed while it is made, a clone afterwards,
and a file that stays in place is hashed, remembered with its size and time, and compared with them again
after each part that is sent.

Threads: the artifact worker's.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from threading import Lock
from typing import NamedTuple

from rundial.artifacts.digest import Digest

BLOCK_BYTES = 1 << 20
# Linux, `linux/fs.h`: _IOW(0x94, 9, int).
_FICLONE = 0x40049409
_TRIES = 3


class Gone(Exception):
    """The file is not there, or is no file that can be read; `str()` says why."""


class Taken(NamedTuple):
    """A file that was hashed.

    Attributes:
        size: Bytes.
        sha256: Hexadecimal.
        source: Where its bytes are: our snapshot, or the file itself.
        mtime_ns: Of the file itself where it is the source, else 0.
        was_changing: It changed while it was read, each time that it was.
        changed_ns: When its content last changed, as the file system says.
    """

    size: int
    sha256: str
    source: str
    mtime_ns: int
    was_changing: bool
    changed_ns: int


class Budget:
    """How many bytes copies may take on disk, by the job that they were made for.

    Args:
        max_bytes: In all, at a time.

    Threads: any; one lock, held for an update of a dictionary.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # Guards the bookings: senders release jobs while the worker books for others.
        self._lock = Lock()
        self._booked: dict[str, int] = {}
        self._used = 0

    @property
    def used(self) -> int:
        """Bytes that copies take now."""
        return self._used

    def book(self, job: str, size: int, directory: str) -> bool:
        """Take room for a copy: within the budget, and with a tenth of the disk left; False without any."""
        disk = os.statvfs(directory)
        left = disk.f_bavail * disk.f_frsize - disk.f_blocks * disk.f_frsize // 10
        with self._lock:
            if self._used + size > self._max_bytes or (size >= left and size >= BLOCK_BYTES):
                return False
            self._book(job, size)
            return True

    def adjust(self, job: str, size: int) -> None:
        """Book so many bytes more for what is on disk already, or fewer."""
        with self._lock:
            self._book(job, size)

    def release(self, job: str) -> None:
        """Give back all that was booked for a job."""
        with self._lock:
            self._used -= self._booked.pop(job, 0)

    def _book(self, job: str, size: int) -> None:
        self._booked[job] = self._booked.get(job, 0) + size
        self._used += size


def take(source: str, snapshot: str, budget: Budget, job: str = "") -> Taken:
    """Hash a file, and keep it as it is now if that can be had.

    Args:
        source: The user's file.
        snapshot: Where a snapshot goes; its directory exists.
        budget: For copies.
        job: Whose copy it is.

    Raises:
        Gone: It cannot be read.
    """
    was_changing = False
    for attempt in range(_TRIES):
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise Gone(error.strerror or type(error).__name__) from error
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise Gone("it is neither a file nor a directory")
            size, sha256, kept = _read(descriptor, before.st_size, snapshot, budget, job)
            after = os.fstat(descriptor)
        except OSError as error:
            raise Gone(error.strerror or type(error).__name__) from error
        finally:
            os.close(descriptor)
        was_changing = kept != "clone" and _changed(before, after)
        # Read once more, in the hope that whoever writes it has done; the last time counts as it is.
        if not was_changing or attempt == _TRIES - 1:
            break
        if kept == "copy":
            budget.adjust(job, -size)
    if kept is None:
        return Taken(size, sha256, source, after.st_mtime_ns, was_changing, after.st_mtime_ns)
    return Taken(size, sha256, snapshot, 0, was_changing, before.st_mtime_ns)


def hashed(path: str) -> tuple[int, str]:
    """Return a file's size and sha256.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        return _hash(file.fileno(), os.fstat(file.fileno()).st_size)


def _changed(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def _read(descriptor: int, size: int, snapshot: str, budget: Budget, job: str) -> tuple[int, str, str | None]:
    """Hash an open file, into a snapshot if possible: `clone`, `copy` or None."""
    copy = _create(snapshot)
    if copy is None:
        return *_hash(descriptor, size), None
    try:
        if clone(descriptor, copy):
            return *_hash(copy, size), "clone"
        if budget.book(job, size, os.path.dirname(snapshot)):
            taken = 0
            try:
                taken, sha256 = _copy(descriptor, copy, size)
                return taken, sha256, "copy"
            except OSError:
                # A full disk, mostly. The file itself is there, and is read from its beginning.
                pass
            finally:
                # It may be shorter by now, and takes nothing where it was not copied.
                budget.adjust(job, taken - size)
    finally:
        os.close(copy)
    os.unlink(snapshot)
    return *_hash(descriptor, size), None


def _create(snapshot: str) -> int | None:
    try:
        return os.open(snapshot, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def clone(descriptor: int, copy: int) -> bool:
    """Have a file share the blocks of another; False where the file system cannot."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(copy, _FICLONE, descriptor)
    except OSError:
        return False
    return True


# A file that somebody writes to without a pause has no end: it is taken as long as it was when it was opened.
# One that says 0 may be one of the kernel's, which say so whatever they hold.


def _copy(descriptor: int, copy: int, limit: int) -> tuple[int, str]:
    os.ftruncate(copy, 0)
    found, size = Digest(), 0
    try:
        while block := os.pread(descriptor, _room(size, limit), size):
            found.update(block)
            _write(copy, block)
            size += len(block)
    finally:
        sha256 = found.end()
    return size, sha256


def _write(descriptor: int, block: bytes) -> None:
    written = os.write(descriptor, block)
    while written < len(block):
        written += os.write(descriptor, memoryview(block)[written:])


def _hash(descriptor: int, limit: int) -> tuple[int, str]:
    found, size = hashlib.sha256(), 0
    view = memoryview(bytearray(BLOCK_BYTES))
    while count := os.preadv(descriptor, [view[: _room(size, limit)]], size):
        found.update(view[:count])
        size += count
    return size, found.hexdigest()


def _room(size: int, limit: int) -> int:
    return min(BLOCK_BYTES, limit - size) if limit else BLOCK_BYTES
