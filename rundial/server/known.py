"""Keys and sessions that were found before, and when each key was used last.

A key that is ended must be seen to be ended by the very next request. So whatever changes an identity
forgets everything here once it is committed and before it is answered, and what was being looked up
meanwhile is not remembered. A store that other processes change too is asked at every request.

Threads: any; one lock, held for a dictionary's time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from rundial.server.keys import StoredKey

MAX_KNOWN: Final = 10_000
USES_EVERY_S: Final = 60.0


class Known:
    """What is remembered of keys and sessions, by their public halves.

    Args:
        remembers: False where other processes change the store as well.
    """

    def __init__(self, *, remembers: bool = True) -> None:
        self._remembers = remembers
        # Guards all below.
        self._lock = threading.Lock()
        self._found: dict[str, StoredKey] = {}
        self._forgotten = 0
        self._uses: dict[str, int] = {}
        self._kept_s: float | None = None

    def get(self, key_id: str) -> StoredKey | None:
        """What is remembered of a key; None sends the caller to the store."""
        return self._found.get(key_id)

    def ticket(self) -> int:
        """Take a ticket before looking something up; `keep` wants it back."""
        return self._forgotten

    def keep(self, key_id: str, found: StoredKey, ticket: int) -> None:
        """Remember what was looked up, unless something has changed since the ticket was taken."""
        with self._lock:
            if not self._remembers or ticket != self._forgotten:
                return
            if len(self._found) >= MAX_KNOWN:
                self._found.clear()
            self._found[key_id] = found

    def forget(self) -> None:
        """Forget all: an identity has changed."""
        with self._lock:
            self._forgotten += 1
            self._found.clear()

    def use(self, key_id: str, unix_ns: int) -> None:
        """Note that a key was used; written down later, with others."""
        with self._lock:
            if key_id in self._uses or len(self._uses) < MAX_KNOWN:
                self._uses[key_id] = unix_ns

    def uses(self) -> Mapping[str, int]:
        """When keys were used last, as far as it is not written down."""
        with self._lock:
            return dict(self._uses)

    def uses_to_keep(self, now_s: float) -> Mapping[str, int]:
        """Take what is due to be written down: all of it once a minute, otherwise nothing.

        Args:
            now_s: Monotonic time, seconds.
        """
        with self._lock:
            if self._kept_s is None:
                self._kept_s = now_s
            if now_s - self._kept_s < USES_EVERY_S:
                return {}
            self._kept_s = now_s
            taken, self._uses = self._uses, {}
            return taken

    def all_uses(self) -> Mapping[str, int]:
        """Take all that is not written down: the server leaves."""
        with self._lock:
            taken, self._uses = self._uses, {}
            return taken
