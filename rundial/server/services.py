"""What the routes work with, and the two ways into the store: `read` and `write`.

Both keep the event loop free: reads and decoding run in worker threads, changes on the writer's.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from rundial.clock import Clock
from rundial.server.answers import encoded
from rundial.server.bodies import BodyReader
from rundial.server.janitor import Janitor
from rundial.server.keys import Principal, StoredKey
from rundial.server.known import Known
from rundial.server.livestreams import Streams
from rundial.server.passwords import PasswordBook
from rundial.server.problems import Problem, StoreProblem
from rundial.server.rolling import Roller
from rundial.server.security import PRINCIPAL
from rundial.server.store.apikeys import find_key, keep_uses
from rundial.server.store.dialect import exclude_others
from rundial.server.store.engine import Engines
from rundial.server.store.events import EventStore
from rundial.server.store.intake import Intake
from rundial.server.store.keysessions import find_key_session
from rundial.server.store.users import find_session
from rundial.server.telemetry import Telemetry
from rundial.server.throttle import Throttle
from rundial.server.writer import Writer

if TYPE_CHECKING:
    # These read requests too, by way of this module.
    from rundial.server.blobs.opening import Artifacts
    from rundial.server.blobs.store import BlobStore
    from rundial.server.settling import Settling
    from rundial.server.sweeping import Sweeper

_T = TypeVar("_T")

# Decoding holds the interpreter's lock; more threads at it would only take turns.
_DECODERS: Final = 2
_READERS: Final = 8
# As long as clients wait between attempts, so that one that is alone is not met by a server that forgot.
_BROKEN_FOR_S: Final = 10.0
# Each holds a connection and one state of the database while its reader takes its time.
_MAX_EXPORTS: Final = 4
# Ten attempts at once, then one in 30 s: a person who mistypes does not notice, a guesser does.
_ACCOUNT_LOGINS: Final = {"interval_s": 30.0, "burst": 10}
# An office behind one address logs in on a Monday morning.
_ADDRESS_LOGINS: Final = {"interval_s": 3.0, "burst": 60}


def _session(connection: Connection, session_id: str) -> StoredKey | None:
    """A person's session, or one of whoever signed in with a key."""
    return find_session(connection, session_id) or find_key_session(connection, session_id)


def _throttle(rate: Mapping[str, float]) -> Callable[[], Throttle]:
    return lambda: Throttle(interval_s=rate["interval_s"], burst=int(rate["burst"]))


@dataclass(slots=True)
class StoreState:
    """When the store last failed to take a change; of a full disk, `/health/ready` tells by it.

    A change that succeeds proves little: on a full disk a small one may still find room.

    Threads: the event loop's alone.
    """

    failed_s: float | None = None

    def is_broken(self, now_s: float) -> bool:
        """Whether a change failed a moment ago, by the monotonic clock."""
        return self.failed_s is not None and now_s - self.failed_s < _BROKEN_FOR_S


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running server.

    Attributes:
        server_id: Made at the first start; a URL does not name a server, this does.
        engines: The database.
        writer: The one thread that changes it.
        intake: What the writer stores deliveries with.
        events: Where points, text lines and spans are.
        bodies: Reads request bodies within bounds.
        clock: The time that arrivals are stamped with.
        silence_ns: How long a run that sent heartbeats may be silent before it has crashed.
        janitor: Removes what was deleted.
        telemetry: What the server counts of itself.
        draining: Set once it is to leave: it still answers, and is no longer ready.
        store: Whether changes can be written.
        roller: Makes rollups of long series.
        streams: The live streams that are open.
        exports: The files that are being read.
        artifacts: Where the bytes of artifacts are, and what moves them.
        known: Keys and sessions that were found before.
        passwords: Makes and compares their hashes.
        account_logins: How often someone may try to be one person.
        address_logins: How often one address may try to be anybody.
    """

    server_id: str
    engines: Engines
    writer: Writer
    intake: Intake
    events: EventStore
    bodies: BodyReader
    clock: Clock
    silence_ns: int
    artifacts: Artifacts
    janitor: Janitor
    telemetry: Telemetry
    draining: threading.Event = field(default_factory=threading.Event)
    store: StoreState = field(default_factory=StoreState)
    known: Known = field(default_factory=Known)
    passwords: PasswordBook = field(default_factory=PasswordBook)
    account_logins: Throttle = field(default_factory=_throttle(_ACCOUNT_LOGINS))
    address_logins: Throttle = field(default_factory=_throttle(_ADDRESS_LOGINS))
    roller: Roller = field(default_factory=Roller)
    streams: Streams = field(default_factory=Streams)
    exports: Streams = field(default_factory=lambda: Streams(most=_MAX_EXPORTS))
    _decoders: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_DECODERS))
    _readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_READERS))

    @property
    def blobs(self) -> BlobStore:
        """The bytes of artifacts."""
        return self.artifacts.blobs

    @property
    def settling(self) -> Settling:
        """What judges uploads."""
        return self.artifacts.settling

    @property
    def sweeper(self) -> Sweeper:
        """What drops what is over."""
        return self.artifacts.sweeper

    @property
    def url_life_s(self) -> int:
        """How long signed URLs work."""
        return self.artifacts.url_life_s

    async def decode(self, job: Callable[[], _T]) -> _T:
        """Run a pure, slow job in a worker thread."""
        return await to_thread.run_sync(job, limiter=self._decoders)

    async def read(self, job: Callable[[Connection], _T]) -> _T:
        """Run a query in a worker thread, on one state of the database."""

        def query() -> _T:
            with self.engines.reading.begin() as connection:
                return job(connection)

        return await to_thread.run_sync(query, limiter=self._readers)

    async def answer(self, job: Callable[[Connection], object]) -> Response:
        """Run a query whose answer may be large: its JSON is written in the worker thread too."""

        def query() -> bytes:
            with self.engines.reading.begin() as connection:
                found = job(connection)
            return encoded(found)

        body = await to_thread.run_sync(query, limiter=self._readers)
        return Response(body, media_type="application/json")

    async def write(
        self, job: Callable[[Connection], _T], *, weight: int = 1, locks: tuple[str, ...] = ()
    ) -> _T:
        """Run a change on the writer's thread and wait for its commit; arguments as `Writer.submit`.

        Raises:
            Problem: 503, the queue is full, the server is leaving, or the store cannot write.
        """
        return await self._committed(self.writer.submit(job, weight=weight, locks=locks))

    async def change_identities(self, job: Callable[[Connection], _T]) -> _T:
        """Run a change of people, keys or agents; what was known of them before is forgotten with its commit.

        No other process changes any until then: what one reads before it writes, as the last owner's
        role, is still so when it is committed.

        Raises:
            Problem: As for `write`.
        """

        def alone(connection: Connection) -> _T:
            exclude_others(connection)
            return job(connection)

        future = self.writer.submit(alone)
        # Forgets on the writer's thread, before the answer, and also when nobody waits for it any more.
        future.add_done_callback(lambda _: self.known.forget())
        return await self._committed(future)

    async def _committed(self, future: Future[_T]) -> _T:
        try:
            return await asyncio.wrap_future(future)
        except StoreProblem:
            self.store.failed_s = self.clock.monotonic_s()
            raise

    async def find_key(self, key_id: str) -> StoredKey | None:
        """A key by its public half."""
        return await self._find(key_id, find_key)

    async def find_session(self, session_id: str) -> StoredKey | None:
        """A session by its public half."""
        return await self._find(session_id, _session)

    def note_use(self, key_id: str) -> None:
        """Note that a key was used; written down about once a minute, for all keys together."""
        self.known.use(key_id, self.clock.time_unix_ns())
        due = self.known.uses_to_keep(self.clock.monotonic_s())
        if due:
            with contextlib.suppress(Problem):  # a busy or leaving writer costs a time, never the request
                self.writer.submit(lambda connection: keep_uses(connection, due))

    async def _find(
        self, key_id: str, look_up: Callable[[Connection, str], StoredKey | None]
    ) -> StoredKey | None:
        """Found ones are remembered, unknown ones looked up each time."""
        known = self.known.get(key_id)
        if known is None:
            ticket = self.known.ticket()
            known = await self.read(lambda connection: look_up(connection, key_id))
            if known is not None:
                self.known.keep(key_id, known, ticket)
        return known


def services_of(request: Request) -> Services:
    """The server's parts, as a route sees them."""
    services: Services = request.app.state.services
    return services


def bearer_of(request: Request) -> Principal:
    """Who sends this request, whatever it may do."""
    principal: Principal = request.scope[PRINCIPAL]
    return principal


def principal_of(request: Request, *scopes: str) -> Principal:
    """Who sends this request; a person reaches only the workspaces where the role holds one of the scopes.

    Raises:
        Problem: 403, the bearer holds none of the scopes, anywhere.
    """
    return need_scope(bearer_of(request), *scopes)


def need_scope(principal: Principal, *scopes: str) -> Principal:
    """The bearer, reaching only where it holds one of the scopes.

    Raises:
        Problem: 403, it holds none of them, anywhere.
    """
    if not principal.may(*scopes):
        wanted = " or ".join(sorted(scopes))
        if principal.is_person:
            raise Problem(
                403, f"your role does not allow that; it lacks {wanted}", "ask an owner of the workspace"
            )
        raise Problem(
            403, f"this key may not do that; it lacks {wanted}", f"use a key with the scope {wanted}"
        )
    return principal.within(*scopes)
