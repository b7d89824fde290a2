"""One lane of a spool: frames in the order they came, until each is answered.

Four fates of a frame: waiting, delivered, rejected, evicted. For its units

    appended == delivered + rejected + evicted + waiting

holds at every moment, and again after any crash (what a crash cannot decide is sent once more;
the server knows what it has). On disk a lane is a directory of segments and one `ack`. The order
on disk makes a crash harmless: a new segment before anything leaves the old one, the count of an
eviction before its files go, the ack before the segments behind its cursor.

Threads: two, the encoder (`append`, `publish`, eviction) and one sender (`peek`, `ack`, `reject`);
counts may be read from any. One lock guards the books and the segment that is written; inside it
nothing waits for the disk but an append itself, the start of a segment and one small write to the
ack file. Frames are read, files removed and sealed segments synced outside it.
After a crash: a `Lane` on the same directory goes on at the last ack; it never appends to a
segment that it did not begin.
"""

from __future__ import annotations

import errno
import os
import threading

from rundial.clock import Clock, SystemClock
from rundial.spool import durable, inventory, segment
from rundial.spool.ack import AckFile, Cursor
from rundial.spool.books import Books, Counts, InFlight
from rundial.spool.bounds import Room, Unbounded
from rundial.spool.frame import OVERHEAD_BYTES, Frame, pack_head
from rundial.spool.limits import Limits
from rundial.spool.rejected import NAME as REJECTED
from rundial.spool.rejected import Rejected
from rundial.spool.segment import HEADER_BYTES, Header, LaneState, Segment
from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rundial.spool.ack import Ack, EvictionReason
    from rundial.spool.spare import Spare


class Lane:
    """Frames waiting for an answer, oldest first.

    Args:
        directory: Where it is, and stays.
        name: One of `LANES`.
        limits: What it may take.
        clock: Dates segments.
        room: Whom it asks for room; None grants any wish.
        spare: The spool's block for a full disk.
        is_new: Whether nobody has ever written to it, so that there is nothing to read.

    Attributes:
        name: One of `LANES`.
        ack_was_lost: The ack file could not be read when the lane was opened. Delivery began again
            at the first segment, and units answered before it count as delivered.
        unkept_copies: Refused bodies larger than the bound of `rejected/`.
        failed_syncs: Sealed segments that could not be synced; they survive the process, perhaps
            not a power cut.
    """

    def __init__(  # noqa: PLR0913 - each is the spool's own, or its owner's wish
        self,
        directory: str,
        name: str,
        *,
        limits: Limits | None = None,
        clock: Clock | None = None,
        room: Room | None = None,
        spare: Spare | None = None,
        is_new: bool = False,
    ) -> None:
        self.name = name
        self.unkept_copies = 0
        self.failed_syncs = 0
        self._directory = directory
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self._room = room or Unbounded()
        self._spare = spare
        self._refused = Rejected(f"{os.path.dirname(directory)}/{REJECTED}", name)
        self._lock = threading.Lock()  # guards everything below
        self._acks = AckFile(self._directory)
        found = inventory.nothing() if is_new else inventory.read(self._directory, name)
        self.ack_was_lost = found.ack_was_lost
        self._books = Books(found)
        self._next_number = found.next_number
        self._segment: Segment | None = None
        self._is_unsaved = False
        self._is_closed = False
        durable.remove_files(self._books.forget_answered())

    def append(self, frame: Frame) -> None:
        """Put a frame at the end of the lane; the sender sees it after `publish`.

        Raises:
            SpoolFullError: The bound leaves no room for it, whatever is evicted.
            OSError: The disk did not take it. Nothing of it is left, and the lane goes on.
            ValueError: A field does not fit the format.
        """
        parts = (pack_head(frame), frame.body)
        size = OVERHEAD_BYTES + len(frame.body)
        # A segment may have to be begun for it, so its header is asked for as well.
        with self._room.lock:
            self._room.make(size + HEADER_BYTES)
            try:
                self._write(frame, parts, size)
            except OSError as error:
                # Answered frames lie in the segment that is written until it is sealed. On a disk that
                # is full they are the room that is left, also those of the other lanes.
                if error.errno not in durable.DISK_FULL or not self._room.reclaim():
                    raise
                self._write(frame, parts, size)
            if self._spare is not None:
                self._spare.keep()

    def publish(self) -> None:
        """Show the sender everything appended so far."""
        with self._lock:
            self._books.published = self._books.last.frames

    def peek(self) -> tuple[Cursor, Frame] | None:
        """Return the oldest published frame without an answer and mark it in flight; None when there is none.

        Asked again before its ack, returns the same frame, unless that was evicted meanwhile.

        Raises:
            OSError: The frame cannot be read now.
        """
        while True:
            with self._lock:
                held = self._books.in_flight
                if held is not None and held.evicted_as is None:
                    return held.cursor, held.frame
                cursor = self._books.next_cursor()
            if cursor is None or self._is_closed:
                return None
            found = self._read(cursor)
            with self._lock:
                # The segment may have been evicted while it was read: then look again.
                is_current = self._books.next_cursor() == cursor
                if is_current and found is not None:
                    self._books.in_flight = InFlight(cursor, *found)
                    return cursor, found[0]
            if is_current:
                # What cannot be read any more is counted, up to the end of its segment.
                self._evict("internal_error", only_at=cursor)

    def ack(self, cursor: Cursor, *, delivered: int, rejected: int = 0) -> None:
        """Settle the frame in flight and move on.

        A disk that refuses the new ack file does not stop delivery: the counts go on in memory and
        are written with the next one.

        Args:
            cursor: The frame, as `peek` named it.
            delivered: Its units that the server took.
            rejected: Its units that the server refused.

        Raises:
            ValueError: The frame is not in flight, or the units are not all of its units.
        """
        with self._lock:
            doomed = self._books.settle(cursor, delivered, rejected)
            if self._is_closed:
                return
            self._save_if_possible()
        durable.remove_files(doomed)

    def reject(self, cursor: Cursor, body: bytes, units: int) -> None:
        """Keep a refused part of the frame in flight in `rejected/`; call it before the ack that counts it.

        The ack counts it whether or not a copy is kept. None is of a body larger than the bound of
        `rejected/`; `unkept_copies` says how many those were.

        Args:
            cursor: The frame that it was part of.
            body: The refused request body.
            units: Units inside.

        Raises:
            OSError: The disk refuses the copy; the ack may go ahead all the same.
        """
        self._check_open()
        if not self._refused.keep(cursor, body, units):
            self.unkept_copies += 1

    def evict(self, reason: EvictionReason) -> int:
        """Give up the oldest segment with what waits in it; return the units given up.

        Raises:
            OSError: The count could not be put on disk; nothing was given up.
        """
        return self._evict(reason)

    def evict_expired(self, before_unix_ns: int, *, with_last: bool = False) -> int:
        """Give up the segments that nobody wrote to since a moment; return the units given up.

        Args:
            before_unix_ns: The moment.
            with_last: Whether the last segment counts too, which nobody writes to after a crash.

        Raises:
            OSError: A count could not be put on disk; its segment was not given up.
        """
        lost = 0
        while self._is_first_older(before_unix_ns, with_last=with_last):
            lost += self._evict("spool_expired")
        return lost

    def reclaim(self) -> bool:
        """Free the last segment if all frames in it are answered; return whether that freed something.

        Raises:
            OSError: The segment that has to carry on the lane's state could not be begun.
        """
        with self._lock:
            self._check_open()
            if self._books.waiting_frames > 0 or self._books.size <= HEADER_BYTES:
                return False
            # It goes in exchange for the header that has to stand in for it, also on a disk without a
            # free byte.
            sealed, doomed = self._roll(self._spare)
        self._discard(sealed, doomed)
        return True

    def counts(self) -> Counts:
        """Return all counts as they are at one moment."""
        with self._lock:
            return self._books.counts()

    @property
    def last(self) -> LaneState:
        """The state behind the last whole frame ever appended; survives the deletion of every segment."""
        return self._books.last

    @property
    def waiting_frames(self) -> int:
        """Frames without an answer, published or not."""
        return self.counts().waiting_frames

    @property
    def waiting_units(self) -> int:
        """Units without an answer, published or not."""
        return self.counts().waiting

    @property
    def waiting_bytes(self) -> int:
        """Bytes on disk of the frames without an answer."""
        return self.counts().waiting_bytes

    @property
    def delivered(self) -> int:
        """Units that the server took."""
        return self.counts().delivered

    @property
    def rejected(self) -> int:
        """Units that the server refused."""
        return self.counts().rejected

    @property
    def evicted(self) -> dict[str, int]:
        """Units given up on disk, by reason."""
        return self.counts().evicted

    @property
    def segments(self) -> int:
        """Segment files of the lane."""
        return len(self._books.extents)

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of the lane's segments."""
        return self._books.size

    def close(self) -> None:
        """Write what is unwritten and release the descriptor; nothing changes on disk afterwards.

        May be called again. Acks that come later count in memory only, and their frames are sent
        once more by whoever adopts the spool.
        """
        with self._lock:
            if self._is_unsaved and not self._is_closed:
                self._save_if_possible()
            self._is_closed = True
            self._close_segment()

    def abandon_in_child(self) -> None:
        """Let go of the parent's files in a forked child.

        Takes no lock: the parent's other threads do not exist here, and one of them may have held it.
        """
        self._is_closed = True
        self._close_segment()

    def _close_segment(self) -> None:
        writer, self._segment = self._segment, None
        if writer is not None:
            writer.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise OSError(errno.EBADF, "the spool is closed", self._directory)

    def _is_first_older(self, before_unix_ns: int, *, with_last: bool) -> bool:
        with self._lock:
            return self._books.is_first_older(before_unix_ns, with_last=with_last)

    def _read(self, cursor: Cursor) -> tuple[Frame, int] | None:
        try:
            return segment.read_frame(f"{self._directory}/{segment.file_name(cursor.segment)}", cursor.offset)
        except FileNotFoundError:
            return None

    def _write(self, frame: Frame, parts: Sequence[bytes], size: int) -> None:
        self._roll_for(size)
        with self._lock:
            self._check_open()
            self._writer().append(parts)
            self._books.enter(frame, size)

    def _writer(self) -> Segment:
        """Return the segment to append to; under the lock, after `_roll_for`."""
        assert self._segment is not None, "an open lane that has rolled has a segment"
        return self._segment

    def _roll(self, spare: Spare | None = None) -> tuple[Segment | None, list[str]]:
        """Begin a new segment, under the lock; return the sealed one, and files that nobody needs."""
        number, self._next_number = self._next_number, self._next_number + 1
        now = self._clock.time_unix_ns()
        header = Header(self.name, number, now, self._books.last)
        fresh = Segment.create(self._directory, header, sync=self._limits.is_power_safe, spare=spare)
        sealed, self._segment = self._segment, fresh
        return sealed, self._books.begin(number, fresh.path, now)

    def _roll_for(self, size: int) -> None:
        """Begin a new segment if a frame of this size needs one, and sync the one before it."""
        with self._lock:
            self._check_open()
            writer = self._segment
            is_full = writer is not None and HEADER_BYTES < writer.size > self._limits.seal_bytes - size
            if writer is not None and not writer.is_dead and not is_full:
                return
            sealed, doomed = self._roll()
        if sealed is not None and not doomed:
            self._sync(sealed)
        self._discard(sealed, doomed)
        if sealed is not None:
            self._room.on_seal()

    def _sync(self, sealed: Segment) -> None:
        try:
            sealed.sync()
        except OSError:
            # Its frames are in the file, and appending them again would double their units.
            self.failed_syncs += 1

    @staticmethod
    def _discard(sealed: Segment | None, doomed: list[str]) -> None:
        if sealed is not None:
            sealed.close()
        durable.remove_files(doomed)

    def _evict(self, reason: EvictionReason, *, only_at: Cursor | None = None) -> int:
        with self._lock:
            self._check_open()
            books, before = self._books, self._books.settled
            if books.waiting_frames <= 0 or only_at not in (None, before.cursor):
                return 0
            # The last segment's state has to live on in the header of another before it goes.
            sealed, doomed = self._roll() if len(books.extents) == 1 else (None, [])
            settled = books.without_first(reason)
            try:
                # Without the count on disk a crash would take these frames for delivered.
                self._save(settled)
                doomed = doomed + books.evict_first(settled, reason)
            finally:
                self._discard(sealed, [])
        try:
            self._acks.sync()
        except OSError:
            # A power cut could now take the count and not the files' removal: they would pass for delivered.
            pass
        durable.remove_files(doomed)
        return settled.units - before.units

    def _save(self, settled: Ack) -> None:
        self._acks.save(settled, sync=self._limits.is_power_safe)
        self._is_unsaved = False

    def _save_if_possible(self) -> None:
        try:
            self._save(self._books.settled)
        except OSError:
            self._is_unsaved = True
