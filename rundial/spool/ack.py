"""What a lane has been told about its frames: the cursor and the counts, in one small file.

The counts of delivered, rejected and evicted units exist nowhere else, and they change together
with the cursor in one atomic replace, so no crash can count a frame twice or not at all. An
unreadable file costs nothing but requests: the lane starts again at its first segment, and the
server knows what it already has.
"""

from __future__ import annotations

import struct
import zlib
from typing import Literal

from rundial.spool import durable
from rundial.value import value

NAME = "ack"
# Why frames are given up on disk. `internal_error`: a segment was damaged or removed under us.
EvictionReason = Literal["spool_full", "spool_expired", "internal_error"]
EVICTION_REASONS: tuple[EvictionReason, ...] = ("spool_full", "spool_expired", "internal_error")

_MAGIC = b"RDACK\x00\x00\x01"
_BODY = struct.Struct(f"<8sQQQQQ{len(EVICTION_REASONS)}Q")
_CHECKSUM = struct.Struct("<I")


@value
class Cursor:
    """Where a frame begins.

    Attributes:
        segment: Number of the segment, from 1.
        offset: Byte in its file.
    """

    segment: int
    offset: int


@value
class Ack:
    """All that is settled in a lane.

    Attributes:
        cursor: The first frame without an answer.
        frames: Frames ever appended before the cursor.
        delivered: Units that the server took.
        rejected: Units that the server refused.
        evicted: Units given up on disk, in the order of `EVICTION_REASONS`.
    """

    cursor: Cursor = Cursor(0, 0)
    frames: int = 0
    delivered: int = 0
    rejected: int = 0
    evicted: tuple[int, ...] = (0,) * len(EVICTION_REASONS)

    @property
    def units(self) -> int:
        """Units before the cursor, whatever became of them."""
        return self.delivered + self.rejected + sum(self.evicted)


def encode(ack: Ack) -> bytes:
    """Return the file's content."""
    body = _BODY.pack(
        _MAGIC,
        ack.cursor.segment,
        ack.cursor.offset,
        ack.frames,
        ack.delivered,
        ack.rejected,
        *ack.evicted,
    )
    return body + _CHECKSUM.pack(zlib.crc32(body))


def decode(content: bytes) -> Ack | None:
    """Return what the content says, None when it cannot be trusted."""
    body = content[: _BODY.size]
    if len(content) != _BODY.size + _CHECKSUM.size or content[_BODY.size :] != _CHECKSUM.pack(
        zlib.crc32(body)
    ):
        return None
    magic, segment, offset, frames, delivered, rejected, *evicted = _BODY.unpack(body)
    if magic != _MAGIC:
        return None
    return Ack(Cursor(segment, offset), frames, delivered, rejected, tuple(evicted))


def save(directory: str, ack: Ack, *, sync: bool) -> None:
    """Replace the lane's ack file atomically.

    Raises:
        OSError: The former one stands.
    """
    durable.replace(f"{directory}/{NAME}", encode(ack), sync=sync)


def load(directory: str) -> tuple[Ack | None, bool]:
    """Return the lane's ack and whether there is a file; the ack is None when none can be read."""
    try:
        with open(f"{directory}/{NAME}", "rb") as file:
            return decode(file.read()), True
    except FileNotFoundError:
        return None, False
