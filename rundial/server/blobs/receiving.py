"""Bytes of one PUT on their way to disk: a buffer in memory, whatever the size.

Threads: one at a time; the event loop hands over buffers through worker threads.
After a crash: a temporary file, which the next start removes, or a part that was never said to be there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from rundial.server.problems import Problem


class Receiving(Protocol):
    """One PUT: `write` until all is there, then `finish`; `close` in any case."""

    def write(self, data: bytes | bytearray) -> None:
        """Take the next bytes."""
        ...

    def finish(self) -> str:
        """Make the bytes count and return their ETag, quoted.

        Raises:
            Problem: 400, they are not what was announced; nothing of them counts.
        """
        ...

    def close(self) -> None:
        """Let go; what was not finished is dropped."""
        ...


class WholeBlob:
    """A blob that comes by one PUT: a temporary file that gets its name once its sha256 is right.

    Args:
        path: Its staging place.
        size_bytes: As announced.
        sha256: As announced.
        on_judged: Told when it is there, with the right sha256.
    """

    def __init__(self, path: Path, size_bytes: int, sha256: str, on_judged: Callable[[], None]) -> None:
        self._path: Final = path
        self._torn: Final = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        self._size_bytes: Final = size_bytes
        self._wanted: Final = sha256
        self._on_judged: Final = on_judged
        self._digest = hashlib.sha256()
        self._count = 0
        self._is_there = False
        self._descriptor = os.open(self._torn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        lock(self._descriptor, is_exclusive=True)  # a starting server removes those that nobody holds

    def write(self, data: bytes | bytearray) -> None:
        """Write and hash."""
        self._count += len(data)
        if self._count <= self._size_bytes:
            _write(self._descriptor, data)
            self._digest.update(data)

    def finish(self) -> str:
        """Judge it and give it its name."""
        _check_size(self._count, self._size_bytes)
        if self._digest.hexdigest() != self._wanted:
            raise Problem(
                400,
                "these bytes have another sha256 than was announced",
                "the file changed, or the network broke it; nothing was kept: hash it and send it again",
            )
        os.replace(self._torn, self._path)
        self._is_there = True
        self._on_judged()
        return f'"{self._wanted}"'

    def close(self) -> None:
        """Drop what has no name."""
        os.close(self._descriptor)
        if not self._is_there:
            with contextlib.suppress(FileNotFoundError):
                self._torn.unlink()


class OnePart:
    """A part, written at its offset in the blob's file; an empty file beside says that it is there.

    Args:
        path: The blob's file.
        parts: Directory of the marks.
        number: From 1.
        offset_bytes: Where it begins.
        size_bytes: As announced.

    Raises:
        FileNotFoundError: The upload is over.
        BlockingIOError: The blob is being judged.
    """

    def __init__(self, path: Path, parts: Path, number: int, offset_bytes: int, size_bytes: int) -> None:
        self._parts: Final = parts
        self._number: Final = number
        self._offset: Final = offset_bytes
        self._size_bytes: Final = size_bytes
        self._crc32 = 0
        self._count = 0
        self._descriptor = os.open(path, os.O_WRONLY)
        try:
            if not lock(self._descriptor, is_exclusive=False):
                raise BlockingIOError
            # Between the two lines above it may have been judged and given its lasting name.
            os.stat(path)
        except OSError:
            os.close(self._descriptor)
            raise

    def write(self, data: bytes | bytearray) -> None:
        """Write at its place."""
        if self._count + len(data) <= self._size_bytes:
            _write(self._descriptor, data, self._offset + self._count)
            self._crc32 = zlib.crc32(data, self._crc32)
        self._count += len(data)

    def finish(self) -> str:
        """Say that it is there."""
        _check_size(self._count, self._size_bytes)
        # The blob's own sha256 is what counts; this only tells a part from another try of it.
        etag = f"{self._crc32:08x}"
        mark = self._parts / f"{self._number}-{etag}"
        for earlier in self._parts.glob(f"{self._number}-*"):
            earlier.unlink(missing_ok=True)
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, 0o600))
        return f'"{etag}"'

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def lock(descriptor: int, *, is_exclusive: bool) -> bool:
    """Lock a file as long as it is open, also against other processes; False when somebody holds it."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_size(count: int, wanted: int) -> None:
    if count != wanted:
        raise Problem(
            400, f"{count:,} bytes came and {wanted:,} were announced", "nothing was kept; send them again"
        )


def _write(descriptor: int, data: bytes | bytearray, offset: int | None = None) -> None:
    view = memoryview(data)
    while view:  # a disk that is nearly full takes a part, and refuses the rest with the next call
        if offset is None:
            done = os.write(descriptor, view)
        else:
            done = os.pwrite(descriptor, view, offset)
            offset += done
        view = view[done:]
