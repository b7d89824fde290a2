"""The ack file: the newest state that was written whole, or none at all."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.spool import ack
from rundial.spool.ack import SLOT_BYTES, Ack, AckFile, Cursor

SAMPLE = Ack(Cursor(3, 400), 17, 50, 6, (7, 8, 9))
SLOT = ack.encode(SAMPLE, 5)
NUMBERS = st.integers(0, 2**64 - 1)
ACKS = st.builds(
    Ack,
    st.builds(Cursor, NUMBERS, NUMBERS),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
)


def loaded(directory: str | Path) -> tuple[Ack | None, bool]:
    """What the next process finds."""
    return AckFile(str(directory)).load()


def test_ack_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    """Counts survive the process that made them."""
    AckFile(str(tmp_path)).save(SAMPLE, sync=True)

    assert loaded(tmp_path) == (SAMPLE, True)
    assert (tmp_path / "ack").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "ack"]
    assert SAMPLE.units == 80


@given(st.lists(ACKS, min_size=1, max_size=6), st.lists(st.booleans(), min_size=6, max_size=6))
def test_last_state_saved_is_the_one_that_is_found(states: list[Ack], restarts: list[bool]) -> None:
    """However often a lane is opened again in between, the newest counts stand, in a file of two sectors."""
    with TemporaryDirectory() as place:
        file = AckFile(place)
        for number, (state, is_restarted) in enumerate(zip(states, restarts, strict=False)):
            file = AckFile(place) if is_restarted else file
            file.save(state, sync=False)

            assert loaded(place) == (state, True), number
        assert (Path(place) / "ack").stat().st_size == 2 * SLOT_BYTES


@given(st.lists(ACKS, min_size=2, max_size=5), st.integers(0, SLOT_BYTES), st.booleans())
def test_a_save_that_is_cut_at_any_byte_leaves_the_state_before_or_the_new_one(
    states: list[Ack], cut: int, is_whole_page_lost: bool
) -> None:
    """A crash in the middle of a save loses no count that was saved before it."""
    *before, last = states
    with TemporaryDirectory() as place:
        path, file = Path(place) / "ack", AckFile(place)
        for state in before:
            file.save(state, sync=False)
        old = path.read_bytes().ljust(2 * SLOT_BYTES, b"\0")
        file.save(last, sync=False)
        new = path.read_bytes().ljust(2 * SLOT_BYTES, b"\0")
        at = 0 if old[:SLOT_BYTES] != new[:SLOT_BYTES] else SLOT_BYTES
        rest = bytes(SLOT_BYTES - cut) if is_whole_page_lost else old[at + cut : at + SLOT_BYTES]
        torn = new[: at + cut] + rest + new[at + SLOT_BYTES :]
        path.write_bytes(torn)

        found, _ = loaded(place)
        assert found == last if torn == new else found in (before[-1], last)
        # And the lane goes on from there, over the torn slot.
        AckFile(place).save(SAMPLE, sync=False)
        assert loaded(place) == (SAMPLE, True)


def test_a_save_that_fails_leaves_the_state_before(tmp_path: Path) -> None:
    """A disk that takes only a part of a save costs no count that was saved before it."""
    file = AckFile(str(tmp_path))
    file.save(SAMPLE, sync=False)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, limits[1]))
    try:
        with pytest.raises(OSError, match="of 512 bytes"):
            file.save(Ack(Cursor(4, 0)), sync=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    assert loaded(tmp_path) == (SAMPLE, True)
    file.save(Ack(Cursor(5, 0)), sync=False)
    assert loaded(tmp_path) == (Ack(Cursor(5, 0)), True)


def test_a_file_that_was_removed_is_made_again(tmp_path: Path) -> None:
    """Whoever deletes the file costs the counts until the next save, and no more."""
    file = AckFile(str(tmp_path))
    for segment in range(3):
        file.save(Ack(Cursor(segment, 0)), sync=False)
        (tmp_path / "ack").unlink()
    file.save(SAMPLE, sync=True)
    file.sync()

    assert loaded(tmp_path) == (SAMPLE, True)


@given(st.integers(0, len(SLOT) - 1), st.integers(1, 255))
def test_ack_with_a_byte_flipped_is_not_trusted(at: int, flip: int) -> None:
    """A damaged count never passes for another count."""
    content = bytearray(SLOT)
    content[at] ^= flip

    assert ack.decode(bytes(content)) is None
    assert ack.decode(SLOT) == (5, SAMPLE)


@given(st.binary(max_size=200))
def test_ack_of_any_bytes_is_not_trusted(content: bytes) -> None:
    """Bytes that nobody wrote are no ack."""
    assert ack.decode(content) is None


@pytest.mark.parametrize("content", [b"", b"\0" * 1024, os.urandom(1024), SLOT[:-1]])
def test_missing_ack_is_told_from_an_unreadable_one(tmp_path: Path, content: bytes) -> None:
    """A lane that was never answered has lost nothing."""
    assert loaded(tmp_path) == (None, False)
    (tmp_path / "ack").write_bytes(content)
    assert loaded(tmp_path) == (None, True)

    AckFile(str(tmp_path)).save(SAMPLE, sync=False)
    assert loaded(tmp_path) == (SAMPLE, True)
