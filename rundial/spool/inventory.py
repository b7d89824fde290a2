"""What a lane's directory holds, read once when the lane is opened.

Costs one header a segment, and one scan of the last one: the header of the next segment says
what each of the others held. Removes what an earlier process no longer needed: segments behind
the cursor, and files that a crash left without a whole header.
"""

from __future__ import annotations

import os

from rundial.errors import SegmentCorruptError
from rundial.spool import durable, segment
from rundial.spool.ack import Ack, AckFile, Cursor
from rundial.spool.frame import scan
from rundial.spool.segment import HEADER_BYTES, LaneState
from rundial.value import changed, value


class Extent:
    """One segment as the lane sees it.

    Attributes:
        number: Its number.
        path: Its file.
        base: The lane's state before its first frame.
        created_unix_ns: When it was made.
        size: Its bytes, without a torn tail where it is the last.
    """

    __slots__ = ("base", "created_unix_ns", "number", "path", "size")

    def __init__(self, number: int, path: str, base: LaneState, created_unix_ns: int, size: int) -> None:
        self.number = number
        self.path = path
        self.base = base
        self.created_unix_ns = created_unix_ns
        self.size = size


@value
class Inventory:
    """A lane as it was found.

    Attributes:
        extents: Its segments from the cursor's on, oldest first.
        last: Its state behind the last whole frame.
        ack: What is settled, made to agree with the segments.
        ack_was_lost: The ack file was unreadable; frames may be sent once more.
        next_number: A segment number that was never used.
        newest_unix_ns: When the last segment was last written to; 0 when there is none.
    """

    extents: list[Extent]
    last: LaneState
    ack: Ack
    ack_was_lost: bool
    next_number: int
    newest_unix_ns: int


def nothing() -> Inventory:
    """Return what a lane holds in which nobody has written yet."""
    return Inventory([], LaneState(), Ack(), ack_was_lost=False, next_number=1, newest_unix_ns=0)


def read(directory: str, lane: str) -> Inventory:
    """Return what a lane's directory holds.

    Raises:
        OSError: The directory or a segment cannot be read.
    """
    found, has_file = AckFile(directory).load()
    ack = found or Ack()
    listed = segment.numbers(directory)
    extents = _extents(directory, lane, listed, ack)
    next_number = max([ack.cursor.segment, *listed]) + 1
    if not extents:
        settled = LaneState(frames=ack.frames, units=ack.units)
        return Inventory([], settled, ack, has_file and found is None, next_number, 0)

    last, extents[-1].size = segment.state_at_end(extents[-1].path, extents[-1].base)
    was_lost = found is None and (has_file or extents[0].base.frames > 0)
    kept = [extent for extent in extents if extent.number >= ack.cursor.segment] or extents[-1:]
    durable.remove_files([extent.path for extent in extents if extent.number < kept[0].number])
    ack = _agree(ack, kept, last)
    # A power cut can take frames whose answer is on disk; counts never go back for it.
    last = changed(last, frames=max(last.frames, ack.frames), units=max(last.units, ack.units))
    newest = max(os.stat(kept[-1].path).st_mtime_ns, kept[-1].created_unix_ns)
    return Inventory(kept, last, ack, was_lost, next_number, newest)


def _extents(directory: str, lane: str, listed: list[int], ack: Ack) -> list[Extent]:
    extents: list[Extent] = []
    for number in listed:
        path = f"{directory}/{segment.file_name(number)}"
        size = os.stat(path).st_size
        if size < HEADER_BYTES:
            # Killed while making it: it never held a frame.
            durable.remove_files((path,))
            continue
        try:
            header = segment.read_header(path)
        except SegmentCorruptError:
            # Its frames have checksums of their own and are still good; only the state before
            # them has to come from elsewhere.
            base = (
                _state_before(extents, ack) if extents or number != ack.cursor.segment else _rewind(path, ack)
            )
            extents.append(Extent(number, path, base, 0, size))
            continue
        if header.lane == lane:
            extents.append(Extent(number, path, header.state, header.created_unix_ns, size))
    return extents


def _state_before(extents: list[Extent], ack: Ack) -> LaneState:
    if extents:
        return segment.state_at_end(extents[-1].path, extents[-1].base)[0]
    return LaneState(frames=ack.frames, units=ack.units)


def _rewind(path: str, ack: Ack) -> LaneState:
    """Return the state before the cursor's segment, from the counts at the cursor."""
    with open(path, "rb") as file:
        answered = scan(file.read(ack.cursor.offset), HEADER_BYTES)
    units = [frame.units for _, frame, _ in answered]
    return LaneState(frames=max(0, ack.frames - len(units)), units=max(0, ack.units - sum(units)))


def _agree(ack: Ack, kept: list[Extent], last: LaneState) -> Ack:
    """Return the ack with a cursor that exists and counts that reach it."""
    first = kept[0]
    if first.number == ack.cursor.segment:
        return ack
    if first.number < ack.cursor.segment:
        return changed(ack, cursor=Cursor(first.number, first.size), frames=max(ack.frames, last.frames))
    # Segments go only when all their frames are answered or counted as evicted on disk. So what is
    # missing between the ack and the first segment was answered, and only the note of it was lost.
    unnoted = max(0, first.base.units - ack.units)
    return changed(
        ack,
        cursor=Cursor(first.number, HEADER_BYTES),
        frames=first.base.frames,
        delivered=ack.delivered + unnoted,
    )
