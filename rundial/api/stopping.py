"""Whether somebody has asked a run to stop: asked now and then, on a thread of its own.

The answer of an OTLP request cannot carry it, so this is a direct control request. The thread sleeps
until someone looks and asks at most every `ASK_EVERY_S`. A server that cannot be reached, or has no
such route, changes nothing.

Threads: the property may be read from any; it takes no lock.
After a fork: the child begins anew.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.api.sink import Delivery
    from rundial.settings import Settings

ASK_EVERY_S = 10.0
# After this long without anyone looking, the thread ends; the next look starts another.
IDLE_S = 60.0

# Asks the server; must not raise.
Ask = Callable[[], bool]


class StopWatch:
    """One run's answer to "should it stop?".

    Args:
        ask: Asks the server; may take as long as it likes. None never asks.
    """

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self._is_asked = False
        self._is_closed = False
        self._next_s = 0.0
        self._pid = os.getpid()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, identity: Mapping[str, Any], settings: Settings, delivery: Delivery) -> StopWatch:
        """Return the watch of a run; one that never asks where nobody could answer."""
        # A run without an instance is a silent one.
        is_online = settings.mode == "online" and not settings.is_plain_otlp and "instance_id" in identity
        return cls(_asker(identity, settings, delivery) if is_online else None)

    @property
    def should_stop(self) -> bool:
        """What the last answer said; asks again when that is old."""
        if self._ask is None or self._is_asked or self._is_closed:
            return self._is_asked
        now = time.monotonic()
        if now >= self._next_s:
            self._next_s = now + ASK_EVERY_S
            self._look()
        return self._is_asked

    def close(self, timeout_s: float = 0.0) -> None:
        """Ask no more; waits for nothing."""
        del timeout_s
        self._is_closed = True
        self._wanted.set()

    def _look(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._work, name="rundial-control", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the interpreter is leaving, or there is no room for a thread: no answer either
            self._thread = thread
        self._wanted.set()

    def _work(self) -> None:
        while self._wanted.wait(IDLE_S) and not self._is_closed:
            self._wanted.clear()
            if self._ask is not None and self._ask():
                self._is_asked = True
                return


def _asker(identity: Mapping[str, Any], settings: Settings, delivery: Delivery) -> Ask:
    run_id, attempt = identity["run_id"], identity["attempt"]
    project_id = identity["project_id"] if identity["project_id"] != identity["project"] else None

    def ask() -> bool:
        from rundial.api.client import Client
        from rundial.errors import RundialRequestError

        with Client(
            settings.endpoint, api_key=delivery.key, request_timeout_seconds=settings.request_timeout_seconds
        ) as client:
            try:
                found = client.run_control(run_id=run_id, project_id=project_id, attempt=attempt)
            except RundialRequestError:
                # Away, without this route, or not told of the run yet: nobody has asked it to stop.
                return False
        return found.get("stop") is True

    return ask
