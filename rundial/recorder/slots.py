"""A run's place in a ring: its number, its shares, and what the ring counts for it."""

from __future__ import annotations

from collections import deque

from rundial.errors import RundialError
from rundial.recorder import layout


class RunSlot:
    """What the ring counts for one attached run; a slot's words live in the ring's header.

    Attributes:
        index: The number that the run's records carry.
        accepted: Units accepted so far: points, lines, spans, artifacts. Written under the ring's lock.
        at_mark: What `accepted` was when the ring was last taken.
        late: Units that came after the run's end; they are in no ring.
        is_closing: Whether the run's end was asked for.
        is_closed: Whether the run has ended; after `is_closing`, where the call that closes it had
            interrupted another.
        limit_points: How full the ring may be for a row of points; -1 refuses all.
        room: Up to which position a row may be written with no further look.
        limit_text: The same for text and spans.
        limit_events: The same for run events, which outlive the run's own end by a little.
    """

    __slots__ = (
        "accepted",
        "at_mark",
        "index",
        "is_closed",
        "is_closing",
        "late",
        "limit_events",
        "limit_points",
        "limit_text",
        "room",
    )

    def __init__(self, index: int, capacity: int) -> None:
        self.index = index
        self.accepted = [0, 0, 0, 0]
        self.at_mark = [0, 0, 0, 0]
        self.late = [0, 0, 0, 0]
        self.is_closing = False
        self.is_closed = False
        self.limit(capacity)

    def close(self, capacity: int) -> bool:
        """End the run's intake in a ring of this capacity; done, hence True."""
        self.is_closed = True
        self.limit(capacity)
        return True

    def limit(self, capacity: int) -> None:
        """Set the shares of a ring: a log storm must not drop the loss curve, nor a curve the run's end."""
        # Nothing, until the ring says where its tail and its lap's end are.
        self.room = -1
        self.limit_points = -1 if self.is_closed else capacity * 15 // 16
        self.limit_text = -1 if self.is_closed else capacity * 3 // 4
        self.limit_events = capacity


class Slots:
    """The slots of one ring; the ring's lock guards them."""

    def __init__(self) -> None:
        self._open: dict[int, RunSlot] = {}
        # First in, first out: a slot rests as long as it can before another run gets it.
        self._free = deque(range(layout.RUN_SLOTS))

    def open(self, capacity: int) -> RunSlot:
        """Give a run its number.

        Raises:
            RundialError: All slots are taken.
        """
        if not self._free:
            raise RundialError(
                f"{layout.RUN_SLOTS} runs are open in this process; finish one before starting another"
            )
        slot = RunSlot(self._free.popleft(), capacity)
        self._open[slot.index] = slot
        return slot

    def close(self, slot: RunSlot) -> None:
        """Take a run's number back; once, for it may be another's already when this is called again."""
        slot.limit_events = -1
        if self._open.get(slot.index) is slot:
            del self._open[slot.index]
            self._free.append(slot.index)

    def limit(self, capacity: int) -> None:
        """Set the shares of another ring."""
        for slot in self._open.values():
            slot.limit(capacity)

    def make_room(self, tail: int, limit: int) -> None:
        """Let rows be written without a further look up to a position, as far as the shares allow."""
        for slot in self._open.values():
            slot.room = -1 if slot.is_closed else min(tail + slot.limit_points, limit)

    def mark(self) -> None:
        """Remember what every run has had accepted so far."""
        for slot in self._open.values():
            slot.at_mark = list(slot.accepted)

    def at_mark(self, run: int) -> list[int] | None:
        """Units of a run that were accepted before the last mark, by signal; None when it is gone."""
        slot = self._open.get(run)
        return list(slot.at_mark) if slot is not None else None
