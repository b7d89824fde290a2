"""One record on disk: a frame is one OTLP request body and what the ledger must know of it.

Pure: bytes in, bytes out; no files, no threads. A frame in a segment is

    u32 length       of everything behind the checksum
    u32 checksum     crc32 over length, head and body
    head             version, flags, units, items, ring id, first, end, totals
    body             one complete request body, sent as it is

all little-endian. There is no end mark: a frame is whole when its checksum says so, and the
first one that is not ends the scan. A tail that a crash tore or a power cut filled with zeros
is no frame, and a flipped byte ends the scan rather than invent a record.
"""

from __future__ import annotations

import struct
import zlib

from rundial.reasons import REASONS
from rundial.typed import TYPE_CHECKING
from rundial.value import value

if TYPE_CHECKING:
    from collections.abc import Iterator

LANES = ("events", "metrics", "logs", "traces")
NO_RING = bytes(16)
# The order of a frame's totals. It is on disk: append to it only together with a new version.
TOTALS = ("recorded", *REASONS)
NO_TOTALS = (0,) * len(TOTALS)

_VERSION = 1
_GZIP = 1
_PREFIX = struct.Struct("<II")
_HEAD = struct.Struct(f"<BBHII16sQQ{len(TOTALS)}Q")
PREFIX_BYTES = _PREFIX.size
OVERHEAD_BYTES = _PREFIX.size + _HEAD.size


@value
class Frame:
    """One request body on its way, with its place in the ledger.

    Attributes:
        units: Points, lines or spans inside; 0 for what the ledger does not count (run events,
            announcements of open spans).
        items: OTLP items inside, which is what a server's `partial_success` counts.
        ring: The ring that the records were taken from, 16 bytes; zeros when there was none.
        first: Ring position where the records of this frame begin.
        end: Ring position behind them; recovery goes on from here.
        totals: Cumulative counters of the instance for this signal at `end`, in the order of `TOTALS`.
        body: One complete OTLP request body.
        is_gzip: Whether the body is one gzip member.
    """

    units: int
    items: int
    ring: bytes
    first: int
    end: int
    totals: tuple[int, ...]
    body: bytes
    is_gzip: bool


def pack_head(frame: Frame) -> bytes:
    """Return what goes before the body on disk, so that a writer need not copy the body.

    Raises:
        ValueError: A field does not fit the format: the ring id is not 16 bytes, the totals are
            not as many as `TOTALS`, a number is negative or too large.
    """
    if len(frame.ring) != len(NO_RING):
        raise ValueError(f"a ring id has {len(NO_RING)} bytes, this one {len(frame.ring)}")
    try:
        head = _HEAD.pack(
            _VERSION,
            _GZIP if frame.is_gzip else 0,
            len(TOTALS),
            frame.units,
            frame.items,
            frame.ring,
            frame.first,
            frame.end,
            *frame.totals,
        )
        length = len(head) + len(frame.body)
        return _PREFIX.pack(length, _checksum(length, head, frame.body)) + head
    except struct.error as error:
        raise ValueError(f"the frame does not fit its format: {error}") from error


def pack(frame: Frame) -> bytes:
    """Return the frame as it stands on disk.

    Raises:
        ValueError: A field does not fit the format.
    """
    return pack_head(frame) + frame.body


def frame_bytes(prefix: bytes) -> int:
    """Return how many bytes a frame takes that begins with this prefix, prefix included.

    Unverified: the checksum covers it, so bound it by the file before reading that much.
    """
    length: int = _PREFIX.unpack(prefix)[0]
    return PREFIX_BYTES + length


def unpack(data: bytes | memoryview, start: int = 0) -> tuple[Frame, int] | None:
    """Return the frame that begins at `start` and the offset behind it; None when none is whole there."""
    view = memoryview(data)
    if start + OVERHEAD_BYTES > len(view):
        return None
    length, checksum = _PREFIX.unpack_from(view, start)
    end = start + PREFIX_BYTES + length
    if length < _HEAD.size or end > len(view):
        return None
    split = start + OVERHEAD_BYTES
    if _checksum(length, view[start + PREFIX_BYTES : split], view[split:end]) != checksum:
        return None
    version, flags, n_totals, units, items, ring, first, last, *totals = _HEAD.unpack_from(
        view, start + PREFIX_BYTES
    )
    if version != _VERSION or n_totals != len(TOTALS):
        return None
    body = bytes(view[split:end])
    return Frame(units, items, ring, first, last, tuple(totals), body, bool(flags & _GZIP)), end


def scan(data: bytes | memoryview, start: int = 0) -> Iterator[tuple[int, Frame, int]]:
    """Yield each whole frame with its first offset and the offset behind it.

    Stops at the first one that is torn or damaged, and never looks for another behind it: what
    follows could be a user's bytes that only look like a frame.
    """
    view = memoryview(data)
    while (found := unpack(view, start)) is not None:
        frame, end = found
        yield start, frame, end
        start = end


def _checksum(length: int, head: bytes | memoryview, body: bytes | memoryview) -> int:
    # The length is summed too: a flip in it must not move the borders of what is checked.
    return zlib.crc32(body, zlib.crc32(head, zlib.crc32(length.to_bytes(4, "little"))))
