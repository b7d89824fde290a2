"""What a server does by itself: removes what was deleted, and deletes what a project no longer keeps.

Each bit is a job of the writer's like any other, so requests take their turns between two of them. Of several
servers on one database one at a time removes.

Threads: one of its own, which only waits; the changes are made on the writer's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from rundial.clock import Clock
from rundial.server.problems import Problem
from rundial.server.store.dialect import is_first_here
from rundial.server.store.events import EventStore
from rundial.server.store.removal import ROWS_AT_ONCE, delete_expired, remove_some
from rundial.server.writer import Writer

_log: Final = logging.getLogger("rundial.server")

PERIOD_S: Final = 60.0
_TIMEOUT_S: Final = 60.0
_TOPIC: Final = 1


class Janitor:
    """Looks for what is to go, once a minute and whenever it is woken.

    Threads: one, started by the constructor, ended by `close`.

    Args:
        writer: Makes the changes.
        clock: Says what has expired.
        events: Where the rows of runs are.
        on_deletion: Called on the writer's thread when runs were deleted; caches of row ids forget here.
    """

    def __init__(
        self, writer: Writer, clock: Clock, events: EventStore, *, on_deletion: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._events = events
        self._on_deletion = on_deletion
        self._has_work = threading.Event()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="rundial-janitor", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look now."""
        self._has_work.set()

    def close(self) -> None:
        """Stop after the bit that is being removed; the rest is removed after the next start. Idempotent."""
        self._is_closed.set()
        self._has_work.set()
        self._thread.join(_TIMEOUT_S)

    def _work(self) -> None:
        while not self._is_closed.is_set():
            self._has_work.clear()
            try:
                self._sweep()
            except Problem as problem:
                # The store is away or full; what is left is found again the next time.
                _log.info("nothing was removed for now: %s", problem.message)
            except Exception:  # noqa: BLE001 -- a thread that ended would keep deleted data for ever
                _log.exception("removing deleted runs failed; it is tried again in %.0f s", PERIOD_S)
            self._has_work.wait(PERIOD_S)

    def _sweep(self) -> None:
        while not self._is_closed.is_set() and self._run(self._expire):
            pass
        while not self._is_closed.is_set() and self._run(self._remove):
            pass

    def _run(self, job: Callable[[Connection], bool]) -> bool:
        return self._writer.submit(job, weight=ROWS_AT_ONCE).result(_TIMEOUT_S)

    def _expire(self, connection: Connection) -> bool:
        has_deleted = delete_expired(connection, self._clock.time_unix_ns()) > 0
        if has_deleted:
            self._on_deletion()
        return has_deleted

    def _remove(self, connection: Connection) -> bool:
        return is_first_here(connection, _TOPIC) and remove_some(connection, self._events)
