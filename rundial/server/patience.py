"""How long a connection may take over a request's head; bodies have their own limit in `bodies`.

uvicorn closes a connection that idles after an answer, and waits for ever for one that sends a head byte by
byte, or nothing at all: a few hundred of those would keep everybody else out.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIMEOUT_S: Final = 20.0


class Patient(H11Protocol):
    """uvicorn's HTTP protocol, with a limit on the time from a head's first byte to its last."""

    head_timeout_s = HEAD_TIMEOUT_S
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as there
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes; once they are a whole head, stop waiting."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        # A request that is being answered has its head; what comes then is its body.
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        if self._is_answering():
            self._stop()
        elif self._limit is None:
            self._limit = asyncio.get_running_loop().call_later(self.head_timeout_s, self._give_up)

    def _stop(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _give_up(self) -> None:
        self._limit = None
        if not self._is_answering():
            self.transport.close()


def patient(head_timeout_s: float) -> type[Patient]:
    """Make the protocol with a limit of its own.

    Args:
        head_timeout_s: Seconds; also from the opening of the connection to the first head's end.
    """
    return type("Patient", (Patient,), {"head_timeout_s": head_timeout_s})
