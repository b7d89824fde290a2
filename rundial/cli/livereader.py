"""The thread that reads a server's stream for a command which prints it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rundial.errors import RundialRequestError

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.api.livestream import LiveEvent

OPEN_S = 15.0


class Reader:
    """One stream, read from its beginning on.

    Args:
        client: Of the server.
        path: Of the stream.
        query: As for `live_events`.

    Attributes:
        stop: Ends it, at the next event.
    """

    def __init__(self, client: Client, path: str, query: Mapping[str, object]) -> None:
        self._client = client
        self._path = path
        self._query = query
        self.stop = threading.Event()
        self._events: queue.Queue[LiveEvent | RundialRequestError] = queue.Queue(maxsize=10_000)
        # A daemon: it may wait for the server's next word, which nobody has to see any more.
        threading.Thread(target=self._read, name="rundial-follow", daemon=True).start()

    def opened(self) -> str | None:
        """Return where the stream stands, None when it does not come about."""
        try:
            first = self._events.get(timeout=OPEN_S)
        except queue.Empty:
            return None
        return None if isinstance(first, RundialRequestError) else first.place

    def next(self, end_s: float | None = None) -> LiveEvent | None:
        """Wait for an event; None when none came until then, by the monotonic clock.

        Raises:
            RundialRequestError: The stream was refused.
        """
        try:
            timeout = None if end_s is None else max(0.0, end_s - time.monotonic())
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(event, RundialRequestError):
            raise event
        return event

    def _read(self) -> None:
        from rundial.api.livestream import live_events

        try:
            for event in live_events(self._client, self._path, self._query, stop=self.stop):
                self._events.put(event)
        except RundialRequestError as error:
            self._events.put(error)
