"""A lane's books: which frames wait, what became of the others, and in which files they lie.

Memory only: no files, no lock (the lane's guards it). Between any two calls, in units,

    last.units == delivered + rejected + evicted + waiting

Everything is derived from the state behind the last frame, the settled part before the cursor,
and the state at the start of each segment; nothing is counted twice to be compared later.
"""

from __future__ import annotations

from rundial.spool.ack import EVICTION_REASONS, Cursor
from rundial.spool.inventory import Extent
from rundial.spool.segment import HEADER_BYTES
from rundial.typed import TYPE_CHECKING
from rundial.value import changed, value

if TYPE_CHECKING:
    from rundial.spool.ack import Ack, EvictionReason
    from rundial.spool.frame import Frame
    from rundial.spool.inventory import Inventory


@value
class Counts:
    """A lane's counts at one moment: `appended == delivered + rejected + evicted + waiting`, in units.

    Attributes:
        appended: Ever appended.
        delivered: Taken by the server.
        rejected: Refused by the server.
        evicted: Given up on disk, by reason.
        waiting: Without an answer, published or not.
        waiting_frames: Frames that those are in.
        waiting_bytes: Bytes of these frames on disk.
        written_bytes: Bytes of all frames appended since the lane was opened.
    """

    appended: int
    delivered: int
    rejected: int
    evicted: dict[str, int]
    waiting: int
    waiting_frames: int
    waiting_bytes: int
    written_bytes: int


class InFlight:
    """The frame that the sender holds.

    Attributes:
        cursor: Where it begins.
        frame: The frame.
        end: Offset behind it.
        evicted_as: Why it was given up while it was on its way; its outcome still counts.
    """

    __slots__ = ("cursor", "end", "evicted_as", "frame")

    def __init__(self, cursor: Cursor, frame: Frame, end: int) -> None:
        self.cursor = cursor
        self.frame = frame
        self.end = end
        self.evicted_as: EvictionReason | None = None


class Books:
    """The books of one lane.

    Attributes:
        extents: Segments from the cursor's on, oldest first.
        last: The lane's state behind the last frame.
        published: Frames ever appended that the sender may see.
        settled: Cursor and counts before it.
        in_flight: The frame that the sender holds.
        size: Bytes of all extents.
        written_bytes: Bytes of all frames entered here.
        newest_unix_ns: When the last segment was begun, or was last written to before it was found.
    """

    def __init__(self, found: Inventory) -> None:
        self.extents: list[Extent] = found.extents
        self.last = found.last
        self.published = found.last.frames
        self.settled: Ack = found.ack
        self.in_flight: InFlight | None = None
        self.size = sum(extent.size for extent in found.extents)
        self.written_bytes = 0
        self.newest_unix_ns = found.newest_unix_ns

    @property
    def waiting_frames(self) -> int:
        """Frames without an answer."""
        return self.last.frames - self.settled.frames

    def begin(self, number: int, path: str, now_unix_ns: int) -> list[str]:
        """Enter a new segment; return files that nobody needs any more."""
        if not self.extents:
            self.settled = changed(self.settled, cursor=Cursor(number, HEADER_BYTES))
        self.extents.append(Extent(number, path, self.last, now_unix_ns, HEADER_BYTES))
        self.size += HEADER_BYTES
        self.newest_unix_ns = now_unix_ns
        return self.forget_answered()

    def enter(self, frame: Frame, n_bytes: int) -> None:
        """Enter a frame at the end of the last segment."""
        self.extents[-1].size += n_bytes
        self.size += n_bytes
        self.written_bytes += n_bytes
        self.last = self.last.after(frame)

    def next_cursor(self) -> Cursor | None:
        """Return where the oldest published frame without an answer begins; None when there is none."""
        return self.settled.cursor if self.settled.frames < self.published else None

    def settle(self, cursor: Cursor, delivered: int, rejected: int) -> list[str]:
        """Enter the outcome of the frame in flight; return files that nobody needs any more.

        Raises:
            ValueError: The frame is not in flight, or the units are not all of its units.
        """
        held = self.in_flight
        if held is None or held.cursor != cursor:
            raise ValueError(f"frame at {cursor} is not in flight")
        units = held.frame.units
        if delivered < 0 or rejected < 0 or delivered + rejected != units:
            raise ValueError(f"{delivered} delivered and {rejected} rejected are not all of {units} units")
        self.in_flight = None
        settled = self.settled
        settled = changed(
            settled, delivered=settled.delivered + delivered, rejected=settled.rejected + rejected
        )
        if held.evicted_as is not None:
            # Counted as evicted when its segment went, and it was answered all the same.
            self.settled = changed(settled, evicted=_counted(settled.evicted, held.evicted_as, -units))
            return []
        self.settled = changed(settled, cursor=Cursor(cursor.segment, held.end), frames=settled.frames + 1)
        return self.forget_answered()

    def without_first(self, reason: EvictionReason) -> Ack:
        """Return what will be settled once the first segment is evicted; there must be a second one."""
        behind = self.extents[1].base
        return changed(
            self.settled,
            cursor=Cursor(self.extents[1].number, HEADER_BYTES),
            frames=behind.frames,
            evicted=_counted(self.settled.evicted, reason, behind.units - self.settled.units),
        )

    def evict_first(self, settled: Ack, reason: EvictionReason) -> list[str]:
        """Enter the eviction of the first segment; return files that nobody needs any more."""
        self.settled = settled
        held = self.in_flight
        if held is not None and held.evicted_as is None:
            # The frame in flight is the first one waiting, so it lay in this segment.
            held.evicted_as = reason
        return self.forget_answered()

    def forget_answered(self) -> list[str]:
        """Step over segments without a waiting frame; return their files."""
        doomed = []
        while len(self.extents) > 1 and self.settled.frames >= self.extents[1].base.frames:
            gone = self.extents.pop(0)
            doomed.append(gone.path)
            self.size -= gone.size
            self.settled = changed(self.settled, cursor=Cursor(self.extents[0].number, HEADER_BYTES))
        return doomed

    def is_first_older(self, before_unix_ns: int, *, with_last: bool) -> bool:
        """Whether something waits in the first segment and nobody wrote to it since a moment."""
        if self.waiting_frames <= 0 or not self.extents:
            return False
        if len(self.extents) > 1:
            # The next segment was begun when this one was sealed. 0: its header is damaged.
            return 0 < self.extents[1].created_unix_ns < before_unix_ns
        return with_last and self.newest_unix_ns < before_unix_ns

    def counts(self) -> Counts:
        """Return all counts."""
        settled = self.settled
        n_bytes = self.size - HEADER_BYTES * len(self.extents)
        if self.extents:
            n_bytes -= settled.cursor.offset - HEADER_BYTES
        return Counts(
            appended=self.last.units,
            delivered=settled.delivered,
            rejected=settled.rejected,
            evicted=dict(zip(EVICTION_REASONS, settled.evicted, strict=True)),
            waiting=self.last.units - settled.units,
            waiting_frames=self.waiting_frames,
            waiting_bytes=max(0, n_bytes) if self.waiting_frames else 0,
            written_bytes=self.written_bytes,
        )


def _counted(evicted: tuple[int, ...], reason: EvictionReason, units: int) -> tuple[int, ...]:
    index = EVICTION_REASONS.index(reason)
    return (*evicted[:index], evicted[index] + units, *evicted[index + 1 :])
