"""What the routes work with, and the two ways into the store: `read` and `write`.

Both keep the event loop free: reads and decoding run in worker threads, changes on the writer's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection
from starlette.requests import Request

from rundial.clock import Clock
from rundial.server.bodies import BodyReader
from rundial.server.keys import Principal, StoredKey
from rundial.server.problems import Problem
from rundial.server.security import PRINCIPAL
from rundial.server.store.engine import Engines
from rundial.server.store.intake import Intake
from rundial.server.store.places import find_key
from rundial.server.writer import Writer

_T = TypeVar("_T")

# Decoding holds the interpreter's lock; more threads at it would only take turns.
_DECODERS: Final = 2
_READERS: Final = 8
_MAX_KNOWN_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running server.

    Attributes:
        server_id: Made at the first start; a URL does not name a server, this does.
        engines: The database.
        writer: The one thread that changes it.
        intake: What the writer stores deliveries with.
        bodies: Reads request bodies within bounds.
        clock: The time that arrivals are stamped with.
        silence_ns: How long a run that sent heartbeats may be silent before it has crashed.
    """

    server_id: str
    engines: Engines
    writer: Writer
    intake: Intake
    bodies: BodyReader
    clock: Clock
    silence_ns: int
    _keys: dict[str, StoredKey] = field(default_factory=dict)
    _decoders: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_DECODERS))
    _readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_READERS))

    async def decode(self, job: Callable[[], _T]) -> _T:
        """Run a pure, slow job in a worker thread."""
        return await to_thread.run_sync(job, limiter=self._decoders)

    async def read(self, job: Callable[[Connection], _T]) -> _T:
        """Run a query in a worker thread, on one state of the database."""

        def query() -> _T:
            with self.engines.reading.begin() as connection:
                return job(connection)

        return await to_thread.run_sync(query, limiter=self._readers)

    async def write(
        self, job: Callable[[Connection], _T], *, weight: int = 1, locks: tuple[str, ...] = ()
    ) -> _T:
        """Run a change on the writer's thread and wait for its commit; arguments as `Writer.submit`.

        Raises:
            Problem: 503, the queue is full, the server is leaving, or the store cannot write.
        """
        return await asyncio.wrap_future(self.writer.submit(job, weight=weight, locks=locks))

    async def find_key(self, key_id: str) -> StoredKey | None:
        """A key by its public half; found ones are remembered, unknown ones looked up each time."""
        known = self._keys.get(key_id)
        if known is None:
            known = await self.read(lambda connection: find_key(connection, key_id))
            if known is not None:
                if len(self._keys) >= _MAX_KNOWN_KEYS:
                    self._keys.clear()
                self._keys[key_id] = known
        return known


def services_of(request: Request) -> Services:
    """The server's parts, as a route sees them."""
    services: Services = request.app.state.services
    return services


def principal_of(request: Request, *scopes: str) -> Principal:
    """Who sends this request.

    Raises:
        Problem: 403, the key holds none of the scopes.
    """
    principal: Principal = request.scope[PRINCIPAL]
    if not principal.may(*scopes):
        wanted = " or ".join(sorted(scopes))
        raise Problem(
            403, f"this key may not do that; it lacks {wanted}", f"use a key with the scope {wanted}"
        )
    return principal
