"""The ack file: trusted whole, or not at all."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rundial.spool import ack
from rundial.spool.ack import Ack, Cursor

SAMPLE = Ack(Cursor(3, 400), 17, 50, 6, (7, 8, 9))


def test_ack_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    """Counts survive the process that made them."""
    ack.save(str(tmp_path), SAMPLE, sync=True)

    assert ack.load(str(tmp_path)) == (SAMPLE, True)
    assert (tmp_path / "ack").stat().st_mode & 0o777 == 0o600
    assert SAMPLE.units == 80


@given(st.integers(0, len(ack.encode(SAMPLE)) - 1), st.integers(1, 255))
def test_ack_with_a_byte_flipped_is_not_trusted(at: int, flip: int) -> None:
    """A damaged count never passes for another count."""
    content = bytearray(ack.encode(SAMPLE))
    content[at] ^= flip

    assert ack.decode(bytes(content)) is None


@given(st.binary(max_size=200))
def test_ack_of_any_bytes_is_not_trusted(content: bytes) -> None:
    """Bytes that nobody wrote are no ack."""
    assert ack.decode(content) is None


def test_missing_ack_is_told_from_an_unreadable_one(tmp_path: Path) -> None:
    """A lane that was never answered has lost nothing."""
    assert ack.load(str(tmp_path)) == (None, False)
    (tmp_path / "ack").write_bytes(b"")
    assert ack.load(str(tmp_path)) == (None, True)
