"""Frames: whatever happens to the bytes, what is read is what was written, or nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rundial.spool.frame import TOTALS, Frame, pack, scan, unpack

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
FRAMES = st.builds(
    Frame,
    units=U32,
    items=U32,
    ring=st.binary(min_size=16, max_size=16),
    first=U64,
    end=U64,
    totals=st.tuples(*[U64] * len(TOTALS)),
    body=st.binary(max_size=80),
    is_gzip=st.booleans(),
)


@given(FRAMES)
def test_frame_packed_and_unpacked_is_the_same(frame: Frame) -> None:
    """What the encoder wrote is what the sender sends, byte for byte."""
    data = pack(frame)

    assert unpack(data) == (frame, len(data))


@given(st.lists(FRAMES, max_size=5), st.data())
def test_scan_of_frames_cut_anywhere_yields_every_whole_frame(
    frames: list[Frame], data: st.DataObject
) -> None:
    """A crash at any byte, with or without a zero-filled tail, costs at most the last frame."""
    packed = [pack(frame) for frame in frames]
    cut = data.draw(st.integers(0, sum(map(len, packed))))
    whole = [frame for index, frame in enumerate(frames) if sum(map(len, packed[: index + 1])) <= cut]
    zeros = bytes(data.draw(st.integers(0, 400)))

    assert [frame for _, frame, _ in scan(b"".join(packed)[:cut])] == whole
    # Zeros stand in for the cut bytes, so a frame that lost nothing but zeros is whole again.
    filled = [frame for _, frame, _ in scan(b"".join(packed)[:cut] + zeros)]
    assert filled[: len(whole)] == whole
    assert filled == frames[: len(filled)]


@given(st.lists(FRAMES, min_size=1, max_size=4), st.data())
def test_scan_of_frames_with_a_byte_flipped_yields_no_false_frame(
    frames: list[Frame], data: st.DataObject
) -> None:
    """A damaged disk loses records, it never invents one."""
    packed = bytearray(b"".join(map(pack, frames)))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    before = [frame for _, frame, end in scan(b"".join(map(pack, frames))) if end <= at]

    assert [frame for _, frame, _ in scan(bytes(packed))] == before


@given(st.binary(max_size=600))
def test_scan_of_any_bytes_yields_only_what_packs_to_them(noise: bytes) -> None:
    """Bytes that nobody wrote are no record."""
    for start, frame, end in scan(noise):
        assert pack(frame) == noise[start:end]


@given(st.integers(0, 5000))
def test_scan_of_zeros_yields_nothing(length: int) -> None:
    """The zeros that a power cut leaves behind are no empty records."""
    assert list(scan(bytes(length))) == []
