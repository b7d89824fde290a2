"""One file of a lane, `000000000001.seg`: a header, then frames, only ever appended.

The header carries the lane's state as it was when the file was made: how many frames and units
had been appended before it, and the ring position and totals of the last of them. So the lane's
state survives the deletion of every earlier file, and what a damaged file held can be counted
from the header of the next.

A segment is written by one thread at a time (its lane's lock) and read by any. An append is one
system call; what it could not write whole is cut off again.
"""

from __future__ import annotations

import os
import struct
import zlib

from rundial.errors import SegmentCorruptError
from rundial.spool import durable
from rundial.spool.frame import (
    LANES,
    NO_RING,
    NO_TOTALS,
    PREFIX_BYTES,
    TOTALS,
    Frame,
    frame_bytes,
    scan,
    unpack,
)
from rundial.typed import TYPE_CHECKING
from rundial.value import value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rundial.spool.spare import Spare

_MAGIC = b"RDSEG\x00\x00\x01"
_HEADER = struct.Struct(f"<8sIQqQQ16sQ{len(TOTALS)}Q")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CHECKSUM.size
_SUFFIX = ".seg"
_DIGITS = 12


@value
class LaneState:
    """What a lane knows of everything ever appended to it.

    Attributes:
        ring: Ring of the last whole frame; zeros before the first.
        end: Ring position behind it.
        totals: Cumulative counters at that position, in the order of `TOTALS`.
        frames: Frames ever appended.
        units: Units ever appended.
    """

    ring: bytes = NO_RING
    end: int = 0
    totals: tuple[int, ...] = NO_TOTALS
    frames: int = 0
    units: int = 0

    def after(self, frame: Frame) -> LaneState:
        """Return the state once this frame is appended too."""
        return LaneState(frame.ring, frame.end, frame.totals, self.frames + 1, self.units + frame.units)


@value
class Header:
    """The first bytes of a segment.

    Attributes:
        lane: The lane it belongs to.
        number: Its number, as in its name.
        created_unix_ns: When it was made.
        state: The lane's state before its first frame.
    """

    lane: str
    number: int
    created_unix_ns: int
    state: LaneState


def file_name(number: int) -> str:
    """Return a segment's file name."""
    return f"{number:0{_DIGITS}d}{_SUFFIX}"


def numbers(directory: str) -> list[int]:
    """Return the numbers of the segments in a directory, ascending; other names are left alone."""
    return sorted(int(name[:_DIGITS]) for name in os.listdir(directory) if _is_segment(name))


def _is_segment(name: str) -> bool:
    # Not a pattern: `init` has nobody compile one.
    digits = name[:_DIGITS]
    return name[_DIGITS:] == _SUFFIX and digits.isascii() and digits.isdecimal()


def encode_header(header: Header) -> bytes:
    """Return the header as it stands on disk."""
    state = header.state
    body = _HEADER.pack(
        _MAGIC,
        LANES.index(header.lane),
        header.number,
        header.created_unix_ns,
        state.frames,
        state.units,
        state.ring,
        state.end,
        *state.totals,
    )
    return body + _CHECKSUM.pack(zlib.crc32(body))


def decode_header(data: bytes) -> Header | None:
    """Return the header at the start of a segment, None when it is torn or damaged."""
    body = data[: _HEADER.size]
    if len(data) < HEADER_BYTES or data[_HEADER.size : HEADER_BYTES] != _CHECKSUM.pack(zlib.crc32(body)):
        return None
    magic, lane, number, created, frames, units, ring, end, *totals = _HEADER.unpack(body)
    if magic != _MAGIC or lane >= len(LANES):
        return None
    return Header(LANES[lane], number, created, LaneState(ring, end, tuple(totals), frames, units))


def read_header(path: str) -> Header:
    """Return a segment's header.

    Raises:
        SegmentCorruptError: It is torn or damaged.
        OSError: The file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        data = file.read(HEADER_BYTES) or b""
    header = decode_header(data)
    if header is None:
        raise SegmentCorruptError(path, "its header is torn or damaged")
    return header


def read_frame(path: str, offset: int) -> tuple[Frame, int] | None:
    """Return the frame that begins at an offset and the offset behind it, None when none is whole there.

    Reads that frame alone.

    Raises:
        OSError: The file cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        prefix = os.pread(descriptor, PREFIX_BYTES, offset)
        # Nothing vouches for the length yet: unbounded, a flipped bit would ask for gigabytes.
        if len(prefix) < PREFIX_BYTES or offset + frame_bytes(prefix) > os.fstat(descriptor).st_size:
            return None
        found = unpack(os.pread(descriptor, frame_bytes(prefix), offset))
    finally:
        os.close(descriptor)
    return None if found is None else (found[0], offset + found[1])


def state_at_end(path: str, base: LaneState) -> tuple[LaneState, int]:
    """Return the lane's state behind a segment's last whole frame, and that frame's end in bytes.

    Args:
        path: The segment.
        base: The state before its first frame.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    end = HEADER_BYTES
    for _, frame, behind in scan(data, HEADER_BYTES):
        base, end = base.after(frame), behind
    return base, end


class Segment:
    """The file that a lane appends to.

    Threads: one at a time, under the lane's lock.
    After a crash: the last frame may be torn; it then ends the file for every reader.

    Attributes:
        path: The file.
        size: Bytes up to the last whole frame.
        is_dead: A torn frame could not be cut off; nothing may be appended any more.
    """

    def __init__(self, path: str, descriptor: int, *, sync: bool) -> None:
        self.path = path
        self.size = HEADER_BYTES
        self.is_dead = False
        self._descriptor = descriptor
        self._sync = sync

    @classmethod
    def create(cls, directory: str, header: Header, *, sync: bool, spare: Spare | None = None) -> Segment:
        """Make a new segment with mode 0600.

        Args:
            directory: The lane's directory.
            header: What it begins with.
            sync: Whether each append waits for the disk.
            spare: Where to take the block from if the disk has none.

        Raises:
            OSError: Nothing was made.
        """
        try:
            return cls._new(directory, header, sync=sync)
        except OSError as error:
            if error.errno not in durable.DISK_FULL or spare is None:
                raise
            path = f"{directory}/{file_name(header.number)}"
            descriptor = spare.become(path, encode_header(header))
            if descriptor is None:
                raise
        return cls(path, descriptor, sync=sync)

    @classmethod
    def _new(cls, directory: str, header: Header, *, sync: bool) -> Segment:
        path = f"{directory}/{file_name(header.number)}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(path, flags, durable.FILE_MODE)
        try:
            durable.write_whole(descriptor, (encode_header(header),))
            if sync:
                durable.sync_data(descriptor)
                durable.sync_directory(directory)
        except OSError:
            os.close(descriptor)
            durable.remove_files((path,))
            raise
        return cls(path, descriptor, sync=sync)

    def append(self, parts: Sequence[bytes]) -> None:
        """Append one frame, given as its head and its body.

        Raises:
            OSError: The frame is not in the file; a part that was written is cut off again.
        """
        if os.fstat(self._descriptor).st_nlink == 0:
            # The descriptor of a removed file still takes bytes, into nowhere.
            raise FileNotFoundError(2, "the segment was removed", self.path)
        try:
            durable.write_whole(self._descriptor, parts)
            if self._sync:
                durable.sync_data(self._descriptor)
        except OSError:
            self._cut()
            raise
        self.size += sum(map(len, parts))

    def sync(self) -> None:
        """Wait until everything appended is on the disk itself."""
        durable.sync_data(self._descriptor)

    def close(self) -> None:
        """Release the descriptor; may be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _cut(self) -> None:
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            self.is_dead = True
