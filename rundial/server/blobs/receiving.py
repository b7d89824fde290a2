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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from rundial.server.problems import Problem

# Names of the marks that say that a part was tried.
TRY: Final = "try-"
# Linux takes no more buffers in one call.
_MAX_PIECES: Final = 1_024


class Receiving(Protocol):
    """One PUT: `write` until all is there, then `finish`; `close` in any case."""

    def write(self, pieces: Sequence[bytes]) -> None:
        """Take the next bytes, in their order."""
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

    def write(self, pieces: Sequence[bytes]) -> None:
        """Write and hash."""
        offset = self._count
        self._count += sum(map(len, pieces))
        if self._count <= self._size_bytes:
            _write(self._descriptor, pieces, offset)
            for piece in pieces:
                self._digest.update(piece)

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

    Another one says that it was tried, from before its first byte on.

    Args:
        path: The blob's file.
        parts: Directory of the marks.
        number: From 1.
        offset_bytes: Where it begins.
        size_bytes: As announced.
        on_there: Told when it is there.

    Raises:
        FileNotFoundError: The upload is over.
        BlockingIOError: The blob is being judged.
    """

    def __init__(
        self,
        path: Path,
        parts: Path,
        number: int,
        offset_bytes: int,
        size_bytes: int,
        on_there: Callable[[], None],
    ) -> None:
        self._parts: Final = parts
        self._on_there: Final = on_there
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
            _mark(parts / f"{TRY}{number}-{secrets.token_hex(4)}")
        except OSError:
            os.close(self._descriptor)
            raise

    def write(self, pieces: Sequence[bytes]) -> None:
        """Write at its place."""
        offset = self._offset + self._count
        self._count += sum(map(len, pieces))
        if self._count <= self._size_bytes:
            _write(self._descriptor, pieces, offset)
            for piece in pieces:
                self._crc32 = zlib.crc32(piece, self._crc32)

    def finish(self) -> str:
        """Say that it is there."""
        _check_size(self._count, self._size_bytes)
        # The blob's own sha256 is what counts; this only tells a part from another try of it.
        etag = f"{self._crc32:08x}"
        mark = self._parts / f"{self._number}-{etag}"
        for earlier in self._parts.glob(f"{self._number}-*"):
            earlier.unlink(missing_ok=True)
        _mark(mark)
        self._on_there()
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


def _mark(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _write(descriptor: int, pieces: Sequence[bytes], offset: int) -> None:
    # A disk that is nearly full takes a part, and refuses the rest with the next call.
    left: list[bytes | memoryview] = list(pieces)
    while left:
        done = os.pwritev(descriptor, left[:_MAX_PIECES], offset)
        offset += done
        while left and done >= len(left[0]):
            done -= len(left.pop(0))
        if done:
            left[0] = memoryview(left[0])[done:]
