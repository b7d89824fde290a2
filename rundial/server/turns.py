"""Whose message is read: a bounded number at a time, of which no key has more than its share.

A call that says nothing holds its turn only while nobody else wants it. Once somebody waits, it has a few
seconds from its beginning, and at least a fifth of them for itself: what a call has sent while it waited for
its turn is read at once, so whoever is ready is not kept out for long.

Tasks: the event loop's alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rundial.server.problems import busy

MOST: Final = 8
MOST_OF_ONE: Final = 4
MAX_WAITING: Final = 256
PATIENCE_S: Final = 5.0
WAIT_S: Final = 30.0
_SHARE: Final = 0.2


class Turn:
    """One call's.

    Attributes:
        key: Whose.
        given_up: Done when somebody else is to have it: the call has said nothing for too long.
    """

    def __init__(self, key: str, now_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.key: Final = key
        self.arrived_s: Final = now_s
        self.granted: Final[asyncio.Future[None]] = loop.create_future()
        self.given_up: Final[asyncio.Future[None]] = loop.create_future()
        self.is_overdue = False


class Turns:
    """Gives turns, first come, first served, but for those whose key has its share already.

    Args:
        patience_s: How long a turn may last once others wait, seconds from the call's beginning.
        wait_s: How long a call may wait for its turn.
        most_waiting: How many calls may wait for one.
    """

    def __init__(
        self,
        patience_s: float = PATIENCE_S,
        *,
        wait_s: float = WAIT_S,
        most_waiting: int = MAX_WAITING,
    ) -> None:
        self._wait_s: Final = wait_s
        self._patience_s: Final = patience_s
        self._most_waiting: Final = most_waiting
        self._waiting: Final[deque[Turn]] = deque()
        # In the order in which they were granted.
        self._held: Final[list[Turn]] = []
        self._of_key: Final[Counter[str]] = Counter()

    @asynccontextmanager
    async def one(self, key: str) -> AsyncIterator[Turn]:
        """Wait for a turn and hold it.

        Raises:
            Problem: 503, too many wait, or it did not come in time.
        """
        if len(self._waiting) >= self._most_waiting:
            raise busy("too many messages at once")
        turn = Turn(key, asyncio.get_running_loop().time())
        self._waiting.append(turn)
        try:
            self._grant()
            try:
                await asyncio.wait_for(turn.granted, self._wait_s)
            except asyncio.TimeoutError as error:
                raise busy("too many messages at once") from error
            yield turn
        finally:
            self._end(turn)

    def _end(self, turn: Turn) -> None:
        if turn in self._held:
            self._held.remove(turn)
            self._of_key[turn.key] -= 1
            if not self._of_key[turn.key]:
                del self._of_key[turn.key]
        elif turn in self._waiting:
            self._waiting.remove(turn)
        self._grant()

    def _grant(self) -> None:
        for turn in list(self._waiting):
            if len(self._held) >= MOST:
                break
            if self._of_key[turn.key] < MOST_OF_ONE:
                self._waiting.remove(turn)
                self._hold(turn)
        self._relieve()

    def _hold(self, turn: Turn) -> None:
        self._held.append(turn)
        self._of_key[turn.key] += 1
        if not turn.granted.done():
            turn.granted.set_result(None)
        loop = asyncio.get_running_loop()
        own_s = loop.time() + _SHARE * self._patience_s
        loop.call_at(max(own_s, turn.arrived_s + self._patience_s), self._note_overdue, turn)

    def _note_overdue(self, turn: Turn) -> None:
        turn.is_overdue = True
        self._relieve()

    def _relieve(self) -> None:
        """End as many turns that last too long as others are waiting for."""
        ending = sum(turn.given_up.done() for turn in self._held)
        for waiting in list(self._waiting)[ending:]:
            is_over_share = self._of_key[waiting.key] >= MOST_OF_ONE
            for turn in self._held:
                may_help = turn.key == waiting.key or not is_over_share
                if turn.is_overdue and not turn.given_up.done() and may_help:
                    turn.given_up.set_result(None)
                    break
