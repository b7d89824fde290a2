"""Judging what was uploaded, and everything else that moves bytes: outside of any transaction.

An upload is settled once at a time, whoever asks how often. Judging much data takes longer than a client
waits: the work goes on, what was done is kept, and asking again finds it.

Threads: `finalize` is the event loop's; the work runs in worker threads, the changes on the writer's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection, Row

from rundial.clock import Clock
from rundial.server.blobs.store import BlobStore, Reason
from rundial.server.problems import Problem
from rundial.server.store import retention, uploads

_log: Final = logging.getLogger("rundial.server")
_T = TypeVar("_T")

# How long one request waits for the judging; proxies give up at 60 s.
PATIENCE_S: Final = 25.0
STALE_S: Final = 7 * 86_400
# Blobs between two notes of what was kept: what a kill costs is judged once more.
_AT_ONCE: Final = 256
_AT_ONCE_BYTES: Final = 2**30
_WORKERS: Final = 4
# Judging an upload, and reading whole artifacts again, take as long as the disk does; neither must hold up
# what is quick, such as signing a URL.
_JUDGES: Final = 4
_READERS: Final = 2


class Store(Protocol):
    """The way into the database, as `Services` gives it."""

    async def read(self, job: Callable[[Connection], _T]) -> _T:
        """Run a query."""
        ...

    async def write(self, job: Callable[[Connection], _T], *, weight: int = 1) -> _T:
        """Run a change."""
        ...


class Settling:
    """Moves uploads from "arriving" to "kept", and drops what is over.

    Args:
        blobs: Where the bytes are.
        clock: Stamps changes.
        patience_s: How long a request waits for the judging before it is told to come again.
    """

    def __init__(self, blobs: BlobStore, clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        self._blobs: Final = blobs
        self._clock: Final = clock
        self._patience_s: Final = patience_s
        self._running: dict[int, asyncio.Task[list[tuple[str, str]]]] = {}
        self._workers: Final = CapacityLimiter(_WORKERS)
        self._judges: Final = CapacityLimiter(_JUDGES)
        self._readers: Final = CapacityLimiter(_READERS)

    async def call(self, job: Callable[[], _T]) -> _T:
        """Run something that moves bytes in a worker thread."""
        return await to_thread.run_sync(job, limiter=self._workers)

    async def reread(self, place: str) -> tuple[int, str] | None:
        """Read a kept blob; return its size and sha256, None when it is gone."""
        return await to_thread.run_sync(self._blobs.digest, place, limiter=self._readers)

    async def finalize(self, store: Store, project: int, upload: Row[Any]) -> uploads.Published:
        """Judge what arrived and publish it.

        Raises:
            Problem: 409 some files are not right, 410 the upload is over, 503 it takes longer, 507 no room.
        """
        is_waiting = await store.read(partial(uploads.awaited, upload=upload.id, limit=1))
        if upload.state == uploads.OPEN and is_waiting:
            task = self._running.get(upload.id)
            if task is None:
                task = self._running[upload.id] = asyncio.create_task(self._judge(store, project, upload))
                task.add_done_callback(lambda done: self._judged(upload.id, done))
            try:
                wanting = await asyncio.wait_for(asyncio.shield(task), self._patience_s)
            except asyncio.TimeoutError as error:
                raise Problem(
                    503,
                    "the server is still reading what was uploaded",
                    "it goes on by itself; repeat this request after the given wait",
                    retry_after_s=2,
                ) from error
            if wanting:
                raise uploads.not_there(wanting)
        now_ns = self._clock.time_unix_ns()
        published = await store.write(
            lambda connection: uploads.publish(connection, project, upload, now_ns), weight=10
        )
        await self.clear(store, upload.id)
        return published

    async def clear(self, store: Store, upload: int | None = None) -> int:
        """Drop what the store still holds of uploads that are over; return how many blobs that were."""
        left = await store.read(lambda connection: uploads.left_behind(connection, upload))
        if not left:
            return 0

        def drop() -> None:
            for staged, is_blob in left:
                if not is_blob:
                    self._blobs.delete(staged.lasting)
            self._blobs.discard([staged for staged, _ in left])

        await self.call(drop)
        places = [staged.place for staged, _ in left]
        await store.write(lambda connection: uploads.forget_arrivals(connection, places), weight=len(left))
        return len(left)

    async def drop_doomed(self, store: Store) -> int:
        """Drop blobs that were taken out of use; return their bytes."""
        freed = 0
        while rows := await store.read(retention.doomed_blobs):
            for row in rows:
                await self.call(partial(self._blobs.delete, row.place))
            await store.write(partial(retention.note_dropped, ids=[row.id for row in rows]))
            freed += sum(row.size_bytes for row in rows)
        return freed

    async def _judge(self, store: Store, project: int, upload: Row[Any]) -> list[tuple[str, str]]:
        """Keep what is right; return path and reason of what is not."""
        wanting: list[tuple[str, str]] = []
        after = 0
        while rows := await store.read(
            partial(uploads.awaited, upload=upload.id, after=after, limit=_AT_ONCE)
        ):
            some = _within(rows, _AT_ONCE_BYTES)
            staged = [uploads.staged_of(row) for row in some]
            reasons = await to_thread.run_sync(self._blobs.keep, staged, limiter=self._judges)
            kept = [row for row, reason in zip(some, reasons, strict=True) if reason is None]
            if kept:
                now_ns = self._clock.time_unix_ns()
                note = partial(uploads.note_kept, project=project, rows=kept, now_ns=now_ns)
                await store.write(note, weight=len(kept))
            dropped = [row for row, why in zip(some, reasons, strict=True) if why in ("size", "sha256")]
            if dropped:
                await store.write(partial(uploads.note_refused, rows=dropped))
            wanting += _wanting(some, reasons)
            after = some[-1].id
        return wanting

    def _judged(self, upload: int, task: asyncio.Task[list[tuple[str, str]]]) -> None:
        del self._running[upload]
        # Nobody may be waiting any more; a failure is then told to who asks next, by happening again.
        if not task.cancelled() and task.exception() is not None:
            _log.warning("judging an upload failed: %s", task.exception())


def _within(rows: Sequence[Row[Any]], limit_bytes: int) -> Sequence[Row[Any]]:
    """The first rows that hold at most so many bytes together, at least one."""
    total = 0
    for count, row in enumerate(rows):
        total += row.size_bytes
        if total > limit_bytes and count:
            return rows[:count]
    return rows


def _wanting(rows: Sequence[Row[Any]], reasons: Sequence[Reason | None]) -> list[tuple[str, str]]:
    return [(row.path, reason) for row, reason in zip(rows, reasons, strict=True) if reason is not None]
