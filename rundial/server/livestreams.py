"""Answers that take their time: how many there may be, how each ends, how slow its reader may be.

Tasks: all of it on the event loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rundial.clock import Clock
from rundial.server.problems import Problem

MAX_STREAMS: Final = 64
# A stream ends by itself now and then: whoever reads it comes back with its key checked again.
MAX_AGE_S: Final = 900.0
BEAT_S: Final = 15.0
# A reader that takes nothing for so long is let go.
SEND_S: Final = 20.0
# Between two looks at what is new.
PAUSE_S: Final = 0.25


class Streams:
    """The streams that are open, and their end."""

    def __init__(self, *, most: int = MAX_STREAMS) -> None:
        self._most = most
        self._open = 0
        self._ending: asyncio.Event | None = None
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the server is leaving."""
        return self._is_closed

    def close(self) -> None:
        """End every stream and take no further one; on the event loop."""
        self._is_closed = True
        if self._ending is not None:
            self._ending.set()

    def need_room(self) -> None:
        """Check that a further stream may begin.

        Raises:
            Problem: 503, there are too many, or the server is leaving.
        """
        if self._is_closed or self._open >= self._most:
            is_full = f"{self._most} streams are open already"
            why = "the server is shutting down" if self._is_closed else is_full
            raise Problem(503, why, "come back later, or read page by page", retry_after_s=5)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Count a stream while it lasts.

        Raises:
            Problem: 503, there are too many, or the server is leaving.
        """
        self.need_room()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def pause(self, seconds: float) -> None:
        """Wait, or return at once when the server leaves."""
        if self._ending is None:
            self._ending = asyncio.Event()
        if self._is_closed:
            return
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except asyncio.TimeoutError:
            pass  # the usual case: nothing ended


class Stream(Response):
    """An answer that goes on as long as its source yields and its reader takes.

    Args:
        source: Made once the first byte may be sent.
        media_type: What it yields.
        headers: Further ones.
    """

    def __init__(
        self,
        source: Callable[[], AsyncGenerator[bytes, None]],
        media_type: str = "text/event-stream",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(headers={"x-accel-buffering": "no", **(headers or {})}, media_type=media_type)
        del self.headers["content-length"]
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until either side ends it."""
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            done = await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(done[0], Exception) and not isinstance(done[0], asyncio.TimeoutError):
            raise done[0]

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(self._source()) as source:
            async for each in source:
                await _taken(send({"type": "http.response.body", "body": each, "more_body": True}))
        await _taken(send({"type": "http.response.body", "body": b"", "more_body": False}))


async def _taken(sending: Awaitable[None]) -> None:
    await asyncio.wait_for(sending, SEND_S)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def event(data: Any, *, name: str = "", event_id: str = "") -> bytes:
    """An event as it is sent; the data is JSON on one line."""
    lines = [f"id: {event_id}"] if event_id else []
    if name:
        lines.append(f"event: {name}")
    lines.append("data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


BEAT: Final = b": beat\n\n"


@dataclass(frozen=True, slots=True)
class Look:
    """What a stream found at one look.

    Attributes:
        place: Where its reader is once it was sent.
        events: What is sent.
        is_more: Whether there is more that can be sent at once.
        end: What the stream ends with, None when it goes on.
    """

    place: str
    events: Sequence[bytes] = ()
    is_more: bool = False
    end: Mapping[str, object] | None = None


async def looks(
    streams: Streams, clock: Clock, place: str, look: Callable[[], Awaitable[Look]]
) -> AsyncGenerator[bytes, None]:
    """Yield the events of a stream that looks for what is new, again and again.

    It ends when a look says so, when the server leaves, and after a while.

    Args:
        streams: Those that are open.
        clock: The time.
        place: Where the reader is.
        look: Finds what is new; called when all that the look before found was taken.
    """
    async with streams.one():
        began_s = beat_s = clock.monotonic_s()
        yield event({"after": place}, name="open", event_id=place)
        while not streams.is_closed:
            now_s = clock.monotonic_s()
            if now_s - began_s > MAX_AGE_S:
                yield event({"reason": "age"}, name="end")
                return
            found = await look()
            for each in found.events:
                yield each
            place = found.place
            if found.end is not None:
                yield event(found.end, name="end", event_id=place)
                return
            if found.is_more:
                continue
            if found.events:
                beat_s = now_s
            elif now_s - beat_s >= BEAT_S:
                beat_s = now_s
                yield BEAT
            await streams.pause(PAUSE_S)
        yield event({"reason": "shutdown"}, name="end", event_id=place)
