"""What a frame refuses to be."""

from __future__ import annotations

import zlib

import pytest

from rundial.spool.frame import OVERHEAD_BYTES, TOTALS, Frame, frame_bytes, pack, scan
from rundial.value import changed
from tests.unit.spool.builders import frame


@pytest.mark.parametrize(
    "misfit",
    [
        changed(frame(1), ring=b"short"),
        changed(frame(1), totals=(1, 2, 3)),
        changed(frame(1), units=-1),
        changed(frame(1), items=2**32),
        changed(frame(1), end=2**64),
    ],
    ids=["ring", "totals", "units", "items", "end"],
)
def test_pack_of_a_field_that_does_not_fit_raises(misfit: Frame) -> None:
    """A number is never cut to fit: the ledger would be wrong for good."""
    with pytest.raises(ValueError, match=r"ring id|format"):
        pack(misfit)


def test_frame_size_is_known_from_its_prefix() -> None:
    """A reader fetches one frame, not the segment."""
    packed = pack(frame(1, body_bytes=77))

    assert frame_bytes(packed[:8]) == len(packed) == OVERHEAD_BYTES + 77


def test_scan_starts_where_it_is_told() -> None:
    """Offsets are those of the data, so that they can be kept and used again."""
    first, second = pack(frame(1)), pack(frame(2))

    found = list(scan(b"head" + first + second, 4 + len(first)))

    assert found == [(4 + len(first), frame(2), 4 + len(first) + len(second))]


def test_scan_of_another_versions_frame_stops() -> None:
    """A later format is not taken for ours, even with its checksum right."""
    packed = bytearray(pack(frame(1)))
    packed[8] = 2
    packed[4:8] = zlib.crc32(packed[8:], zlib.crc32(packed[:4])).to_bytes(4, "little")

    assert list(scan(bytes(packed))) == []


def test_scan_of_a_frame_that_is_shorter_than_its_head_stops() -> None:
    """A length that cannot be is no frame, even with its checksum right."""
    packed = bytearray(pack(frame(1)))[:OVERHEAD_BYTES]
    packed[:4] = (10).to_bytes(4, "little")
    packed[4:8] = zlib.crc32(packed[8:], zlib.crc32(packed[:4])).to_bytes(4, "little")

    assert list(scan(bytes(packed))) == []


def test_checksum_is_over_the_length_the_head_and_the_body() -> None:
    """What is on disk stays readable: the sum is part of the format."""
    packed = pack(frame(1))

    assert packed[4:8] == zlib.crc32(packed[8:], zlib.crc32(packed[:4])).to_bytes(4, "little")


def test_totals_are_in_the_order_of_the_ledger() -> None:
    """The order is on disk: changing it would rename what old spools counted."""
    assert TOTALS == (
        "recorded",
        "queue_full",
        "spool_full",
        "spool_expired",
        "too_large",
        "invalid",
        "non_finite",
        "rejected",
        "after_finish",
        "internal_error",
    )
    assert len(frame(1).totals) == len(TOTALS)
