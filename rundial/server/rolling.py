"""Making rollups behind the queries that want them.

Tasks: on the event loop, one series at a time; the work is done in a reading thread and, in pieces of
a bounded size, on the writer's. What is cut off by a shutdown is made by the next query.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection

from rundial.server.problems import Problem
from rundial.server.store import rollups

_T = TypeVar("_T")
_log: Final = logging.getLogger("rundial.server")
# A series is rolled up when a query had to read more points than this.
READ_POINTS: Final = 16_384
_MAX_WAITING: Final = 256


class Store(Protocol):
    """The two ways into the store, as `Services` has them."""

    async def read(self, job: Callable[[Connection], _T]) -> _T:
        """Run a query."""
        ...

    async def write(self, job: Callable[[Connection], _T], *, weight: int = 1) -> _T:
        """Run a change."""
        ...


class Roller:
    """Rolls series up, each once at a time."""

    def __init__(self) -> None:
        self._waiting: dict[int, None] = {}
        self._task: asyncio.Task[None] | None = None

    def ask(self, store: Store, series_id: int) -> None:
        """Have a series rolled up; on the event loop. Beyond some hundred that wait, the next query asks."""
        if len(self._waiting) < _MAX_WAITING:
            self._waiting[series_id] = None
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(store))

    async def idle(self) -> None:
        """Wait until nothing is left to do."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop; what is being stored is stored or not, as a whole."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _work(self, store: Store) -> None:
        while self._waiting:
            series_id = next(iter(self._waiting))
            try:
                while await roll(store, series_id):
                    pass
            except Problem as problem:
                # A full queue: ingest goes first.
                _log.info("a series was not rolled up: %s", problem.message)
            except Exception:
                _log.exception("a series could not be rolled up")
                raise
            finally:
                self._waiting.pop(series_id, None)


async def roll(store: Store, series_id: int) -> bool:
    """Roll up the next part of a series; says whether there may be more."""
    wanted = await store.read(lambda connection: rollups.claimable(connection, series_id))
    if wanted is None:
        return False
    taken = await store.write(lambda connection: rollups.claim(connection, series_id, wanted))
    if taken is None:
        return False
    rows = await store.read(lambda connection: rollups.made(connection, taken))
    is_kept = await store.write(
        lambda connection: rollups.keep(connection, taken, rows), weight=max(1, len(rows))
    )
    return is_kept and wanted.has_more
