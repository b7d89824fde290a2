"""The first bytes of a segment: what is ours, and what only looks so."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from rundial.spool.frame import LANES, TOTALS, pack
from rundial.spool.segment import (
    HEADER_BYTES,
    Header,
    LaneState,
    Segment,
    decode_header,
    encode_header,
    file_name,
    read_frame,
    read_header,
    state_at_end,
)
from tests.unit.spool.builders import RING, frame

STATE = LaneState(RING, 7, tuple(range(len(TOTALS))), frames=3, units=9)


def resealed(packed: bytes) -> bytes:
    """Return a header with the checksum that its bytes should have."""
    return packed[:-4] + zlib.crc32(packed[:-4]).to_bytes(4, "little")


@pytest.mark.parametrize("lane", LANES)
def test_header_encoded_and_decoded_is_the_same(lane: str) -> None:
    """The state of a lane outlives every file before this one."""
    header = Header(lane, 12, 1_700_000_000_000_000_000, STATE)

    assert decode_header(encode_header(header)) == header
    assert decode_header(encode_header(header) + pack(frame(1))) == header


def test_header_of_another_format_is_not_ours() -> None:
    """A later format is left alone, even with its checksum right."""
    packed = encode_header(Header("logs", 1, 5, STATE))

    assert packed[:8] == b"RDSEG\x00\x00\x01"
    assert decode_header(resealed(b"RDSEG\x00\x00\x02" + packed[8:])) is None


@pytest.mark.parametrize("lane", [len(LANES), len(LANES) + 1, 2**32 - 1])
def test_header_of_a_lane_that_is_none_is_not_ours(lane: int) -> None:
    """Frames are never sent to an endpoint that was guessed."""
    packed = encode_header(Header("logs", 1, 5, STATE))

    assert decode_header(resealed(packed[:8] + lane.to_bytes(4, "little") + packed[12:])) is None


@pytest.mark.parametrize("cut", [0, 1, HEADER_BYTES - 4, HEADER_BYTES - 1])
def test_torn_header_is_none(cut: int) -> None:
    """A kill while the first bytes are written leaves no segment."""
    assert decode_header(encode_header(Header("logs", 1, 5, STATE))[:cut]) is None


def test_segment_tells_its_header_its_frames_and_its_state(tmp_path: Path) -> None:
    """What was appended is read back frame by frame, and nothing behind the last whole one."""
    header = Header("logs", 3, 5, STATE)
    writer = Segment.create(str(tmp_path), header, sync=False)
    size = len(pack(frame(1)))
    for number in (1, 2):
        writer.append((pack(frame(number, units=4)),))
    sizes = writer.size
    writer.append((b"torn",))
    writer.close()
    path = str(tmp_path / file_name(3))

    assert (writer.path, sizes) == (path, HEADER_BYTES + 2 * size)
    assert read_header(path) == header
    assert read_frame(path, HEADER_BYTES) == (frame(1, units=4), HEADER_BYTES + size)
    assert read_frame(path, HEADER_BYTES + size) == (frame(2, units=4), HEADER_BYTES + 2 * size)
    assert read_frame(path, HEADER_BYTES + 2 * size) is None
    assert read_frame(path, HEADER_BYTES + 2 * size + 4) is None
    second = frame(2)
    expected = LaneState(second.ring, second.end, second.totals, frames=5, units=17)
    assert state_at_end(path, STATE) == (expected, HEADER_BYTES + 2 * size)
    assert state_at_end(path, LaneState())[0].units == 8
