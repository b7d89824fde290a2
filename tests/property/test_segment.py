"""Segments: a file cut, flipped or filled anywhere yields its first frames and nothing false."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rundial.spool.frame import Frame, pack
from rundial.spool.segment import (
    HEADER_BYTES,
    Header,
    LaneState,
    Segment,
    decode_header,
    encode_header,
    read_frame,
    state_at_end,
)
from tests.property.test_frame import FRAMES, U64

SMALL_FRAMES = st.lists(FRAMES, max_size=4)
STATES = st.builds(
    LaneState,
    ring=st.binary(min_size=16, max_size=16),
    end=U64,
    totals=st.tuples(*[U64] * 10),
    frames=st.integers(0, 2**50),
    units=st.integers(0, 2**50),
)


def written(directory: str, state: LaneState, frames: list[Frame]) -> tuple[Path, list[int]]:
    """Return a segment with these frames, and the offset behind each."""
    segment = Segment.create(directory, Header("logs", 7, 1, state), sync=False)
    ends = []
    for frame in frames:
        segment.append((pack(frame),))
        ends.append(segment.size)
    segment.close()
    return Path(segment.path), ends


@given(STATES, st.integers(1, 10**12 - 1))
def test_header_encoded_and_decoded_is_the_same(state: LaneState, number: int) -> None:
    """A lane's state survives in the header of its next segment."""
    header = Header("traces", number, 1_700_000_000_000_000_000, state)

    assert decode_header(encode_header(header) + b"behind") == header


@given(STATES, st.integers(0, HEADER_BYTES - 1), st.integers(1, 255))
def test_header_with_a_byte_flipped_is_no_header(state: LaneState, at: int, flip: int) -> None:
    """A damaged header never passes for another state."""
    data = bytearray(encode_header(Header("events", 1, 1, state)))
    data[at] ^= flip

    assert decode_header(bytes(data)) is None


@given(STATES, SMALL_FRAMES, st.data())
def test_segment_cut_anywhere_ends_at_its_last_whole_frame(
    state: LaneState, frames: list[Frame], data: st.DataObject
) -> None:
    """A crash at any byte leaves every record before it, and the state as of the last of them."""
    with tempfile.TemporaryDirectory() as directory:
        path, ends = written(directory, state, frames)
        cut = data.draw(st.integers(HEADER_BYTES, path.stat().st_size))
        path.write_bytes(path.read_bytes()[:cut])
        whole = [frame for frame, end in zip(frames, ends, strict=True) if end <= cut]

        found, end = state_at_end(str(path), state)

    expected = state
    for frame in whole:
        expected = expected.after(frame)
    assert found == expected
    assert end == max([HEADER_BYTES, *(end for end in ends if end <= cut)])


@given(SMALL_FRAMES.filter(bool), st.data())
def test_segment_with_a_byte_flipped_is_read_up_to_it(frames: list[Frame], data: st.DataObject) -> None:
    """A flipped byte anywhere, the length included, yields no false record and asks for no memory."""
    with tempfile.TemporaryDirectory() as directory:
        path, ends = written(directory, LaneState(), frames)
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(HEADER_BYTES, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)

        read, offset = [], HEADER_BYTES
        while (found := read_frame(str(path), offset)) is not None:
            read.append(found[0])
            offset = found[1]

    assert read == [frame for frame, end in zip(frames, ends, strict=True) if end <= at]


@given(SMALL_FRAMES, st.integers(1, 4096))
def test_segment_with_a_zero_filled_tail_ends_before_it(frames: list[Frame], zeros: int) -> None:
    """What a power cut fills in is no record."""
    with tempfile.TemporaryDirectory() as directory:
        path, ends = written(directory, LaneState(), frames)
        path.write_bytes(path.read_bytes() + bytes(zeros))

        assert state_at_end(str(path), LaneState())[1] == max([HEADER_BYTES, *ends])
