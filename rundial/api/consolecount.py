"""How many lines of a captured console are recorded, of how many that were written; survives kill -9.

The program that passes the console on counts what it reads, the run what it has taken; the difference, once
the run's process is dead, is what its run lacks. It is counted when the spool is adopted.

A file `console` in the spool of each run that listens, the same file under every name: two little-endian
u64, lines that were written and lines that were recorded. It goes when the run stops listening. A kill
between a line and its count costs one that is counted as lost and is not.

Threads: the one that takes the lines; `share` and `leave` are for any.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress

from rundial.logger import logger

NAME = "console"
_COUNT = struct.Struct("<Q")
_BOTH = struct.Struct("<QQ")


class ConsoleCount:
    """The count of one process.

    Args:
        directory: The spool of the first run that listens.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, directory: str) -> None:
        self._taken = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self.fd = os.open(f"{directory}/{NAME}", flags, 0o600)
        os.pwrite(self.fd, bytes(_BOTH.size), 0)

    @classmethod
    def of(cls, directory: str) -> ConsoleCount | None:
        """Make one; None where that cannot be done."""
        try:
            return cls(directory)
        except OSError as error:
            logger.debug("%s: what a kill costs its console will not be counted: %s", directory, error)
            return None

    @staticmethod
    def share(listening: str, directory: str) -> None:
        """Have a further run's spool know it, by that of one that listens."""
        try:
            os.link(f"{listening}/{NAME}", f"{directory}/{NAME}")
        except OSError as error:
            logger.debug("%s: what a kill costs its console will not be counted: %s", directory, error)

    def take(self, lines: int) -> None:
        """Note that lines are recorded, or counted as lost."""
        self._taken += lines
        with suppress(OSError):
            os.pwrite(self.fd, _COUNT.pack(self._taken), _COUNT.size)

    def behind(self) -> int:
        """Return how many lines were written and not taken, as far as is known."""
        try:
            (written,) = _COUNT.unpack(os.pread(self.fd, _COUNT.size, 0))
        except (OSError, struct.error):
            return 0
        return max(0, int(written) - self._taken)

    @staticmethod
    def leave(directory: str) -> None:
        """Have a spool forget it: its run ends in order."""
        with suppress(OSError):
            os.unlink(f"{directory}/{NAME}")

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def lost(directory: str) -> int:
    """Return how many lines a dead process's run lacks; 0 where none were counted."""
    try:
        with open(f"{directory}/{NAME}", "rb") as file:
            written, taken = _BOTH.unpack(file.read(_BOTH.size))
    except (OSError, struct.error):
        return 0
    return max(0, int(written) - int(taken))
