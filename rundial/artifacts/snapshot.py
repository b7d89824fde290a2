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
from contextlib import suppress
from typing import NamedTuple

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
    """How many bytes copies may take on disk.

    Args:
        max_bytes: In all, at a time.

    Attributes:
        used: Bytes that copies take now.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.used = 0

    def has_room(self, size: int, directory: str) -> bool:
        """Whether a copy of this size may be made: within the budget, and with a tenth of the disk left."""
        if self.used + size > self._max_bytes:
            return False
        disk = os.statvfs(directory)
        return (
            size < disk.f_bavail * disk.f_frsize - disk.f_blocks * disk.f_frsize // 10 or size < BLOCK_BYTES
        )


def take(source: str, snapshot: str, budget: Budget) -> Taken:
    """Hash a file, and keep it as it is now if that can be had.

    Args:
        source: The user's file.
        snapshot: Where a snapshot goes; its directory exists.
        budget: For copies.

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
            size, sha256, kept = _read(descriptor, before.st_size, snapshot, budget)
            after = os.fstat(descriptor)
        except OSError as error:
            raise Gone(error.strerror or type(error).__name__) from error
        finally:
            os.close(descriptor)
        was_changing = kept != "clone" and _changed(before, after)
        # Read once more, in the hope that whoever writes it has done; the last time counts as it is.
        if not was_changing or attempt == _TRIES - 1:
            break
        _forget(snapshot, kept, size, budget)
    if kept is None:
        return Taken(size, sha256, source, after.st_mtime_ns, was_changing, after.st_mtime_ns)
    return Taken(size, sha256, snapshot, 0, was_changing, before.st_mtime_ns)


def hashed(path: str) -> tuple[int, str]:
    """Return a file's size and sha256.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        return _hash(file.fileno())


def _changed(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def _read(descriptor: int, size: int, snapshot: str, budget: Budget) -> tuple[int, str, str | None]:
    """Hash an open file, into a snapshot if possible: `clone`, `copy` or None."""
    copy = _create(snapshot)
    if copy is None:
        return *_hash(descriptor), None
    try:
        if clone(descriptor, copy):
            return *_hash(copy), "clone"
        if budget.has_room(size, os.path.dirname(snapshot)):
            try:
                found = _copy(descriptor, copy)
            except OSError:
                # A full disk, mostly. The file itself is there, and is read from its beginning.
                pass
            else:
                budget.used += found[0]
                return *found, "copy"
    finally:
        os.close(copy)
    os.unlink(snapshot)
    return *_hash(descriptor), None


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


def _copy(descriptor: int, copy: int) -> tuple[int, str]:
    found, size = hashlib.sha256(), 0
    os.ftruncate(copy, 0)
    while True:
        block = os.pread(descriptor, BLOCK_BYTES, size)
        if not block:
            return size, found.hexdigest()
        found.update(block)
        written = 0
        while written < len(block):
            written += os.write(copy, block[written:] if written else block)
        size += len(block)


def _hash(descriptor: int) -> tuple[int, str]:
    found, size = hashlib.sha256(), 0
    buffer = bytearray(BLOCK_BYTES)
    view = memoryview(buffer)
    while True:
        count = os.preadv(descriptor, [buffer], size)
        if not count:
            return size, found.hexdigest()
        found.update(view[:count])
        size += count


def _forget(snapshot: str, kept: str | None, size: int, budget: Budget) -> None:
    if kept == "copy":
        budget.used -= size
    with suppress(OSError):
        os.unlink(snapshot)
