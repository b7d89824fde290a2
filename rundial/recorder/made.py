"""What the program has made and no file holds yet: images, tables, evidence; bounded in bytes.

A snapshot is taken at the call, so a buffer that is used again is right. It waits here, in memory, until
the artifact worker writes it to a file of its own; a process that is killed before that loses it, and
whoever adopts the run counts it as lost.

Threads: any; one lock, held for an update of a dictionary.
"""

from __future__ import annotations

from threading import RLock

from rundial.typed import Any, Protocol

MAX_BYTES = 64 << 20


class Made(Protocol):
    """Writes itself into a directory."""

    def write(self, directory: str) -> dict[str, Any]:
        """Write its files into a directory that exists, and say what they are.

        Returns:
            `files`, each with `name` and `content_type`, and what is known of the whole.
        """
        ...


class MadeStore:
    """What waits to be written, by the token of its job.

    Args:
        max_bytes: How much may wait.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: dict[str, tuple[Made, int]] = {}
        self._bytes = 0
        # Re-entrant: a signal handler may log while its own thread is inside.
        self._lock = RLock()

    def put(self, token: str, made: Made, size: int) -> bool:
        """Keep something; False when there is no room. One that is larger than all room goes in alone."""
        with self._lock:
            if self._held and self._bytes + size > self._max_bytes:
                return False
            self._held[token] = (made, size)
            self._bytes += size
            return True

    def get(self, token: str) -> Made | None:
        """Return what is kept under a token, None where there is nothing."""
        found = self._held.get(token)
        return None if found is None else found[0]

    def take(self, token: str) -> None:
        """Let go of what is kept under a token."""
        with self._lock:
            found = self._held.pop(token, None)
            if found is not None:
                self._bytes -= found[1]
