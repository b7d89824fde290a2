"""How the spool puts a small file on disk: whole or not at all, and for the owner's eyes only.

Used for `meta.json` and for a lane's `ack`, whose own two slots make a write in place safe. A crash
at any point leaves the old content or the new one. Against a power cut the content is synced only
where the caller asks for it.
"""

from __future__ import annotations

import errno
import os
import sys

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE_MODE = 0o600
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
DIRECTORY_MODE = 0o700


def sync_data(descriptor: int) -> None:
    """Wait until the file's content is on the disk itself."""
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_directory(path: str) -> None:
    """Wait until the names in a directory are on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(descriptor: int, parts: Sequence[bytes]) -> None:
    """Write all parts with one system call.

    Raises:
        OSError: Not everything was written; the caller cuts the rest off. A regular file takes
            less than it was given only when the disk or a limit ends there.
    """
    expected = sum(map(len, parts))
    written = os.writev(descriptor, parts)
    if written != expected:
        raise OSError(errno.ENOSPC, f"only {written:,} of {expected:,} bytes could be written")


def replace(path: str, content: bytes, *, sync: bool) -> None:
    """Replace a file's content atomically; mode 0600.

    Raises:
        OSError: The old content stands.
    """
    # One fixed name: the directory has one writer, the holder of its lock, so a crash leaves at
    # most one of these behind and the next replace uses it up.
    temporary = path + ".new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        write_whole(descriptor, (content,))
        if sync:
            sync_data(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    if sync:
        sync_directory(os.path.dirname(path))


def overwrite(descriptor: int, content: bytes, offset: int, *, sync: bool) -> None:
    """Write over a part of a file in place, and close it; a crash may leave that part half written.

    Raises:
        OSError: Not everything was written.
    """
    try:
        written = os.pwrite(descriptor, content, offset)
        if written != len(content):
            raise OSError(errno.ENOSPC, f"only {written:,} of {len(content):,} bytes could be written")
        if sync:
            sync_data(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: str) -> None:
    """Make a directory and the missing ones above it, each with mode 0700; existing ones keep theirs."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above not in (path, ""):
        make_directory(above)
    try:
        os.mkdir(path, DIRECTORY_MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def remove_files(paths: Sequence[str]) -> None:
    """Remove files that nobody needs any more."""
    for path in paths:
        try:
            os.unlink(path)
        except OSError:  # noqa: PERF203 - each file on its own
            # Gone already, or on a disk that refuses it: whoever opens the directory next removes
            # what lies behind the cursor, and never counts it.
            continue
