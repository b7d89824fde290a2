"""The ring's memory: a locked, preallocated, mapped file, or anonymous memory.

Threads: made and closed by one thread; the views are used by whoever holds the ring's lock.
After a crash: the file stays; its flock is gone with the process, which is how others know.
"""

from __future__ import annotations

import fcntl
import mmap
import os

from rundial.errors import SegmentCorruptError, SpoolLockedError
from rundial.recorder import layout
from rundial.recorder.place import Place, boot_id
from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Header, slots and the first records of a run.
TOUCHED_BYTES = 128 << 10


class RingFile:
    """A ring's bytes with the descriptor whose lock says that the owner lives.

    Attributes:
        memory: The mapping.
        words: The same bytes as aligned 8-byte words.
        name: The file's path, None for anonymous memory.
        ring_id: 16 random bytes that name this ring.
        capacity: Bytes for records, a multiple of 8.
    """

    def __init__(self, memory: mmap.mmap, descriptor: int, name: str | None) -> None:
        self.memory = memory
        self.words = memoryview(memory).cast("Q")
        self.name = name
        self._descriptor = descriptor
        self.capacity = self.words[layout.WORD_CAPACITY]
        self.ring_id = bytes(memory[layout.WORD_RING_ID * 8 : layout.WORD_RING_ID * 8 + 16])
        self.nonce = self.words[layout.WORD_NONCE]

    @classmethod
    def create(cls, place: Place, *, created_unix_ns: int) -> RingFile:
        """Make a ring where `place` says, and hold its lock.

        Takes half a millisecond where the file system reserves blocks without writing them, and 4 on a
        tmpfs for 16 MiB.

        Raises:
            OSError: The file cannot be made there, or not at this size; nothing is left of it.
        """
        capacity = max(place.size_bytes - layout.HEADER_BYTES, 1 << 16) & ~7
        size = layout.HEADER_BYTES + capacity
        ring_id = os.urandom(16)
        if place.directory is None:
            memory, descriptor, name = mmap.mmap(-1, size), -1, None
        else:
            name = f"{place.directory}/rundial-{ring_id.hex()}.ring"
            memory, descriptor = _map_new_file(name, size)
        _write_header(memory, capacity, ring_id, created_unix_ns)
        return cls(memory, descriptor, name)

    @classmethod
    def adopt(cls, path: str | os.PathLike[str]) -> RingFile:
        """Open the ring of a dead process and hold its lock.

        Raises:
            SpoolLockedError: The owner is alive.
            SegmentCorruptError: The file is not a ring.
            OSError: The file is gone or cannot be read.
        """
        name = os.fspath(path)
        descriptor = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            _lock(descriptor, name)
            size = os.fstat(descriptor).st_size
            if size <= layout.HEADER_BYTES or size % 8:
                raise SegmentCorruptError(name, "no ring has this size")
            memory = mmap.mmap(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise
        ring = cls(memory, descriptor, name)
        if ring.words[layout.WORD_MAGIC] != layout.MAGIC or ring.capacity != size - layout.HEADER_BYTES:
            ring.close()
            raise SegmentCorruptError(name, "no ring header")
        return ring

    @property
    def path(self) -> Path | None:
        """The file, for who looks for it; None for anonymous memory."""
        from pathlib import Path  # as with `Spool.path`

        return None if self.name is None else Path(self.name)

    @property
    def boot_id(self) -> bytes:
        """The boot of the machine that it was made in; zeros where no boot has a name."""
        start = layout.WORD_BOOT * 8
        return bytes(self.memory[start : start + 16])

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the ring was written since the machine started; False where no boot has a name."""
        return any(self.boot_id) and self.boot_id == boot_id()

    @property
    def is_linked(self) -> bool:
        """Whether the file still has a name; a ring without one cannot be adopted."""
        return self._descriptor < 0 or os.fstat(self._descriptor).st_nlink > 0

    def close(self) -> None:
        """Give up the mapping and the lock; the file stays. Idempotent."""
        if self._descriptor == -2:
            return
        descriptor, self._descriptor = self._descriptor, -2
        try:
            # The views first: a mapping with exported views cannot be closed. The mapping before the
            # descriptor, for it holds a duplicate of it, and with that the lock.
            self.words.release()
            self.memory.close()
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def remove(self) -> None:
        """Delete the file and close."""
        if self.name is not None and self._descriptor >= 0:
            try:
                os.unlink(self.name)
            except FileNotFoundError:
                # Somebody was quicker.
                pass
        self.close()


def _map_new_file(path: str, size: int) -> tuple[mmap.mmap, int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # Waiting, unlike an adopter: one that found the file before its lock sees that it is no ring
        # yet and lets go at once.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Real blocks, not a hole: one that cannot be had must fail here, not as SIGBUS in a training loop.
        os.posix_fallocate(descriptor, 0, size)
        memory = mmap.mmap(descriptor, size)
        # Nothing is ever read from the disk here. The kernel would read ahead all the same, at the first
        # touch and wherever a record meets a part that it has not read: up to 8 MiB, 3 ms, of zeros.
        memory.madvise(mmap.MADV_RANDOM)
        _touch(memory, size)
    except BaseException:
        os.unlink(path)
        os.close(descriptor)
        raise
    return memory, descriptor


def _touch(memory: mmap.mmap, size: int) -> None:
    # The rest is touched by the first lap of records: 5 µs for each forty of them, against 20 ms here.
    for offset in range(0, min(size, TOUCHED_BYTES), mmap.PAGESIZE):
        memory[offset] = 0


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SpoolLockedError(path) from error


def _write_header(memory: mmap.mmap, capacity: int, ring_id: bytes, created_unix_ns: int) -> None:
    memory[layout.WORD_BOOT * 8 : layout.WORD_BOOT * 8 + 16] = boot_id()
    memory[layout.WORD_RING_ID * 8 : layout.WORD_RING_ID * 8 + 16] = ring_id
    with memoryview(memory).cast("Q") as words:
        words[layout.WORD_NONCE] = int.from_bytes(os.urandom(8), "little")
        words[layout.WORD_TAIL] = capacity
        words[layout.WORD_CAPACITY] = capacity
        words[layout.WORD_PID] = os.getpid()
        words[layout.WORD_CREATED] = created_unix_ns
        # Last: a file killed before this line is no ring.
        words[layout.WORD_MAGIC] = layout.MAGIC
