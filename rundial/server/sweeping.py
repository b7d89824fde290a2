"""The periodic sweep: stale uploads, expired versions, blobs that nothing needs.

Threads: the event loop's; the work runs where `Settling` and the writer do theirs. One sweep at a time.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from rundial.clock import Clock
from rundial.server.settling import STALE_S, Settling, Store
from rundial.server.store import retention, uploads
from rundial.server.store.artifact_tables import uploads as uploads_table

_log: Final = logging.getLogger("rundial.server")
EVERY_S: Final = 600.0
_STALE_NS: Final = STALE_S * 1_000_000_000


@dataclass(slots=True)
class Swept:
    """What a sweep did, or would do.

    Attributes:
        uploads: Stale ones that were ended.
        versions: Expired ones that were deleted.
        blobs: Dropped.
        size_bytes: Of those blobs.
    """

    uploads: int = 0
    versions: int = 0
    blobs: int = 0
    size_bytes: int = 0

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return {
            "uploadsExpired": self.uploads,
            "versionsExpired": self.versions,
            "blobsDeleted": self.blobs,
            "bytesFreed": self.size_bytes,
        }


class Sweeper:
    """Sweeps when told, and every so often.

    Args:
        settling: Moves the bytes.
        clock: Decides what is over.
        every_s: Seconds between two sweeps.
    """

    def __init__(self, settling: Settling, clock: Clock, *, every_s: float = EVERY_S) -> None:
        self._settling: Final = settling
        self._clock: Final = clock
        self._every_s: Final = every_s
        self._lock: Final = asyncio.Lock()

    async def run(self, store: Store) -> None:
        """Sweep all projects for ever; a sweep that fails is logged, and the next one goes on."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.sweep(store)
            except Exception as error:  # noqa: BLE001 - a broken store must not end the sweeping
                _log.warning("a sweep of artifacts failed, the next one tries again: %s", error)

    async def sweep(self, store: Store, project: int | None = None, *, is_dry: bool = False) -> Swept:
        """Sweep one project, or all of them.

        Args:
            store: The way into the database.
            project: Row id; None is all of them.
            is_dry: Only count.
        """
        async with self._lock:
            if is_dry:
                now_ns = self._now_ns()
                return await store.read(lambda connection: _counted(connection, project, now_ns))
            swept = Swept()
            swept.uploads = await self._end_stale(store, project)
            while count := await store.write(
                lambda connection: retention.expire_versions(connection, project, self._now_ns())
            ):
                swept.versions += count
            while rows := await store.write(lambda connection: retention.doom(connection, project)):
                swept.blobs += len(rows)
                swept.size_bytes += sum(row.size_bytes for row in rows)
            await self._settling.drop_doomed(store)
            return swept

    async def _end_stale(self, store: Store, project: int | None) -> int:
        before_ns = self._now_ns() - _STALE_NS
        ended = 0
        while rows := await store.read(
            lambda connection: uploads.stale_uploads(connection, project, before_ns)
        ):
            for row in rows:
                await store.write(partial(uploads.end_upload, upload=row, state=uploads.EXPIRED))
                ended += 1
        # Also what a kill has left of uploads that were over before.
        while await self._settling.clear(store):
            pass
        return ended

    def _now_ns(self) -> int:
        return self._clock.time_unix_ns()


def _counted(connection: Connection, project: int | None, now_ns: int) -> Swept:
    """What a sweep would do now, in the order of `Sweeper.sweep`."""
    before_ns = now_ns - _STALE_NS
    expired = retention.expired(project, now_ns)
    going = [uploads.stale(uploads_table.c.version, project, before_ns), expired]
    count, size_bytes = retention.would_doom(connection, project, going)
    return Swept(
        uploads=_count(connection, uploads.stale(uploads_table.c.id, project, before_ns)),
        versions=_count(connection, expired),
        blobs=count,
        size_bytes=size_bytes,
    )


def _count(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())
