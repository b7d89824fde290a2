"""A block that the spool owns before it needs it, `spare`: room for one more segment on a full disk.

Answered frames are freed with the segment that holds them, and a segment goes only when another's header
carries on the lane's state. On a disk without one free byte that header would have no place, and a spool
in which nothing waits could not be written. So one file of real blocks lies ready and becomes that
segment by its name; the next one is made when there is room again.

Threads: any, one at a time; the bound's lock is held.
After a crash: the file is there or it is not; nobody reads it.
"""

from __future__ import annotations

import os

from rundial.spool import durable

NAME = "spare"
# A block of nearly every file system, and a page of those in memory.
SIZE_BYTES = 4096


class Spare:
    """The spare block of one spool.

    Args:
        directory: The spool's directory.
    """

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/{NAME}"
        self._is_there = os.path.exists(self._path)

    def keep(self) -> None:
        """Make the block if it is not there; on a disk without room it is tried again next time."""
        if self._is_there:
            return
        try:
            self._make()
        except OSError:
            return
        self._is_there = True

    def become(self, path: str, content: bytes) -> int | None:
        """Turn the block into a file of a given content; return its descriptor, opened to append.

        Needs no free byte. None when there is no block.

        Raises:
            OSError: The disk refuses even this; there is no such file.
        """
        if not self._is_there:
            return None
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags)
        try:
            # Written before it gets its name. O_APPEND would write behind the block, so by another way.
            self._fill(content)
            os.ftruncate(descriptor, len(content))
            os.rename(self._path, path)
        except BaseException:
            os.close(descriptor)
            raise
        finally:
            self._is_there = os.path.exists(self._path)
        return descriptor

    def _fill(self, content: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            durable.write_whole(descriptor, (content,))
        finally:
            os.close(descriptor)

    def _make(self) -> None:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, durable.FILE_MODE)
        try:
            durable.write_whole(descriptor, (bytes(SIZE_BYTES),))
        except OSError:
            os.unlink(self._path)
            raise
        finally:
            os.close(descriptor)
