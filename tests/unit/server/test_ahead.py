"""Digests of blobs in parts: taken while they arrive, and never of bytes that may be others by now."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

import pytest

from rundial.server.blobs.ahead import MAX_BLOBS, Ahead

PART = 1_000
COUNT = 3
CONTENT = os.urandom(PART * COUNT - 300)
SIZE = len(CONTENT)


def _arrive(ahead: Ahead, path: Path, order: tuple[int, ...]) -> None:
    for number in order:
        ahead.begun("blob")
        mine = CONTENT[number * PART : (number + 1) * PART]
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(descriptor, mine, number * PART)
        os.close(descriptor)
        ahead.arrived("blob", path, number * PART, len(mine))


@pytest.mark.parametrize("order", list(itertools.permutations(range(COUNT))))
def test_parts_in_any_order_are_hashed_as_they_come(tmp_path: Path, order: tuple[int, ...]) -> None:
    """Once the last part is there, nothing is left to read."""
    ahead, path = Ahead(), tmp_path / "data"
    _arrive(ahead, path, order)
    path.write_bytes(bytes(SIZE))  # what would be read now is something else

    found = ahead.digest("blob", path, parts=COUNT, size_bytes=SIZE, tries=COUNT)
    assert found == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(("order", "elsewhere"), [((0, 1, 1, 2), 0), ((0, 1, 2, 0), 0), ((0, 1, 2), 1)])
def test_a_part_that_was_tried_twice_leaves_the_file_to_be_read(
    tmp_path: Path, order: tuple[int, ...], elsewhere: int
) -> None:
    """Whoever sent other bytes behind the digest is found out, also by way of another server process."""
    ahead, path = Ahead(), tmp_path / "data"
    _arrive(ahead, path, order)

    tries = len(order) + elsewhere
    assert ahead.digest("blob", path, parts=COUNT, size_bytes=SIZE, tries=tries) is None


def test_what_did_not_come_by_here_is_read(tmp_path: Path) -> None:
    """After a restart nothing is taken on trust."""
    ahead = Ahead()

    assert ahead.digest("blob", tmp_path / "data", parts=COUNT, size_bytes=SIZE, tries=COUNT) is None


def test_blobs_that_nobody_finishes_are_forgotten() -> None:
    """A server that is up for a year holds no more than it did after a day."""
    ahead = Ahead()
    ahead.begun("first")
    for number in range(MAX_BLOBS):
        ahead.begun(f"place/{number}")

    assert ahead.digest("first", Path("nowhere"), parts=1, size_bytes=1, tries=1) is None
