"""Who owns a spool directory: the process that holds a flock on its `lock` file.

The kernel frees it whenever its holder dies, so no process id has to be guessed. The name and
the locked file are compared after locking: between opening and locking, another process may
have delivered the directory and removed it.
"""

from __future__ import annotations

import fcntl
import os

from rundial.errors import SpoolError, SpoolLockedError
from rundial.spool import durable

NAME = "lock"


class DirectoryLock:
    """The hold on one spool directory.

    After a fork the child shares it: it must `close` its copy of the descriptor, which leaves the
    parent's hold as it is. (Unlocking would free the parent's as well.) Not inherited by exec.
    """

    def __init__(self, directory: str, descriptor: int) -> None:
        self.directory = directory
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: str, *, create: bool) -> DirectoryLock:
        """Lock a directory without waiting.

        Args:
            directory: The directory.
            create: Whether the lock file is made; only in a directory that nobody else knows yet.

        Raises:
            SpoolLockedError: A live process owns it.
            SpoolError: It is gone.
            OSError: It cannot be opened or locked.
        """
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0)
        try:
            descriptor = os.open(f"{directory}/{NAME}", flags, durable.FILE_MODE)
        except FileNotFoundError as error:
            raise SpoolError(f"spool at {directory} is gone") from error
        lock = cls(directory, descriptor)
        lock.hold()
        return lock

    def hold(self) -> None:
        """Lock the opened file; closes it when that fails.

        Raises:
            SpoolLockedError: A live process owns the directory.
            SpoolError: Between opening and locking the directory was removed, moved or replaced.
            OSError: The file system cannot lock.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise SpoolLockedError(self.directory) from error
        except OSError:
            self.close()
            raise
        if not self.is_held_at(self.directory):
            self.close()
            raise SpoolError(f"spool at {self.directory} is gone; another process delivered or moved it")

    def is_held_at(self, directory: str) -> bool:
        """Whether this is the lock of the directory that now has this name."""
        if self._descriptor < 0:
            return False
        try:
            named = os.stat(f"{directory}/{NAME}")
        except OSError:
            return False
        return os.path.samestat(named, os.fstat(self._descriptor))

    def close(self) -> None:
        """Close the descriptor, which frees the lock unless a fork holds a copy; may be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
