"""One frame on its way: the requests it still needs, and what became of its parts.

A state machine without I/O: `next_part()` says what to send, `take()` hears the outcome,
`settle()` files what was refused and acknowledges the frame, once. A frame may leave in
parts: halves after 413 (down to single items), and after 400 or 422 first the same bytes
uncompressed, then halves, within 32 requests, until only the refused items are left over.
A part that was accepted is not sent again while this process lives.

Threads: the sender's. After a crash the whole frame is sent again; the server knows it.
"""

from __future__ import annotations

import gzip
import logging
import zlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Retry, Split

if TYPE_CHECKING:
    from rundial.export.source import FrameSource, Splitter
    from rundial.spool.ack import Cursor
    from rundial.spool.frame import Frame

logger = logging.getLogger("rundial")

BISECT_REQUESTS = 32
_UNSUPPORTED_MEDIA_TYPE = 415
_GZIP_LEVEL = 1


@dataclass(slots=True)
class Habits:
    """What a lane has learnt about its server; forgotten when the target may have changed.

    Attributes:
        fits_bytes: Largest plain body to send in one request; None until a 413.
        is_plain: Whether the server took plain what it had refused as gzip.
    """

    fits_bytes: int | None = None
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One request body of a frame.

    Attributes:
        body: As it is sent.
        is_gzip: Whether `body` is one gzip member.
        items: OTLP items inside.
        units: Ledger units inside.
    """

    body: bytes
    is_gzip: bool
    items: int
    units: int

    @property
    def plain_bytes(self) -> int:
        """Size of the body uncompressed."""
        # A gzip member ends with its plain length.
        return int.from_bytes(self.body[-4:], "little") if self.is_gzip else len(self.body)

    def plain(self) -> Part:
        """Return the same part uncompressed."""
        if not self.is_gzip:
            return self
        return Part(gzip.decompress(self.body), False, self.items, self.units)


class Delivery:
    """What one frame still needs.

    Threads: the sender's alone.
    """

    def __init__(self, lane: str, found: tuple[Cursor, Frame], habits: Habits, split: Splitter) -> None:
        self.cursor, frame = found
        self._lane = lane
        self._habits = habits
        self._split = split
        self._units = frame.units
        # Only where each item is one unit does an item's refusal say how many units were refused.
        self._units_per_item = 1 if frame.units == frame.items else 0
        self._parts = deque([Part(frame.body, frame.is_gzip, frame.items, frame.units)])
        self._refused: list[tuple[bytes, int]] = []
        self._rejected_units = 0
        self._is_anything_accepted = False
        self._is_testing_plain = False
        self._bisect_left: int | None = None

    @property
    def is_answered(self) -> bool:
        """Whether every part has its answer and only `settle` is left."""
        return not self._parts

    def next_part(self) -> Part:
        """Return what to send next; call only while not answered."""
        if self._habits.is_plain:
            self._parts[0] = self._parts[0].plain()
        limit = self._habits.fits_bytes
        if limit is not None:
            while self._parts[0].plain_bytes > limit and self._halve():
                pass
        return self._parts[0]

    def take(self, outcome: Outcome) -> bool:
        """Hear the outcome of the part that `next_part` returned.

        Returns:
            Whether to go on at once; False when the same part must wait.
        """
        if isinstance(outcome, Retry):
            return False
        part = self._parts[0]
        if isinstance(outcome, Pause):
            is_about_gzip = outcome.status == _UNSUPPORTED_MEDIA_TYPE and part.is_gzip
            if is_about_gzip:
                self._try_plain()
            return is_about_gzip
        if self._bisect_left is not None:
            self._bisect_left -= 1
        if isinstance(outcome, (Accepted, Partial)):
            self._accept(part, outcome)
        elif isinstance(outcome, Split):
            self._shrink(part)
        else:
            self._bisect(part)
        return True

    def settle(self, lane: FrameSource) -> int:
        """File what was refused, then acknowledge the frame; safe to repeat when it raises.

        Returns:
            Units that were refused.

        Raises:
            OSError: The ack could not be written; nothing was counted.
        """
        while self._refused:
            body, units = self._refused.pop()
            try:
                lane.reject(self.cursor, body, units)
            except OSError as error:
                logger.warning(
                    "rundial: a refused part of %d units could not be filed (%s); it is counted as rejected, "
                    "its bytes are gone. Free space where the spool lies.",
                    units,
                    error.strerror or type(error).__name__,
                )
        rejected = self._rejected_units
        lane.ack(self.cursor, delivered=self._units - rejected, rejected=rejected)
        return rejected

    def _accept(self, part: Part, outcome: Accepted | Partial) -> None:
        self._parts.popleft()
        rejected = min(outcome.rejected_items, part.items) if isinstance(outcome, Partial) else 0
        if rejected and rejected == part.items:
            self._rejected_units += part.units
        else:
            self._rejected_units += rejected * self._units_per_item
        self._is_anything_accepted = True
        if self._is_testing_plain:
            self._is_testing_plain = False
            self._habits.is_plain = True
        limit = self._habits.fits_bytes
        if limit is not None:
            self._habits.fits_bytes = max(limit, part.plain_bytes)

    def _shrink(self, part: Part) -> None:
        """Answer a 413: halves, or nothing more when it is a single item."""
        self._is_testing_plain = False
        size = part.plain_bytes
        if not self._halve():
            self._refuse(part)
            return
        limit = self._habits.fits_bytes
        self._habits.fits_bytes = size // 2 if limit is None else min(limit, size // 2)

    def _bisect(self, part: Part) -> None:
        """Answer a 400: plain first, then halves, while the requests last."""
        if self._bisect_left is None:
            self._bisect_left = BISECT_REQUESTS
        if part.is_gzip:
            self._try_plain()
            return
        self._is_testing_plain = False
        # Each part already waiting is owed one request; a half is made only when it can be sent too.
        if self._bisect_left < len(self._parts) + 1 or not self._halve():
            self._refuse(part)

    def _try_plain(self) -> None:
        self._is_testing_plain = True
        self._parts = deque(part.plain() for part in self._parts)

    def _halve(self) -> bool:
        """Put the two halves of the first part in its place; False when it cannot be halved."""
        part = self._parts[0]
        try:
            halves = self._split(self._lane, part.plain().body) if part.items > 1 else None
        except (ValueError, OSError, EOFError, zlib.error):
            halves = None  # bytes that cannot be read cannot be halved: whole or not at all
        if halves is None:
            return False
        self._parts.popleft()
        for body, items in reversed(halves):
            sent = gzip.compress(body, _GZIP_LEVEL, mtime=0) if part.is_gzip else body
            self._parts.appendleft(Part(sent, part.is_gzip, items, items * self._units_per_item))
        return True

    def _refuse(self, part: Part) -> None:
        self._parts.popleft()
        self._rejected_units += part.units
        if not self._parts and not self._is_anything_accepted:
            # All of it was refused: exact also where an item is not a unit.
            self._rejected_units = self._units
        self._refused.append((part.plain().body, part.units))
