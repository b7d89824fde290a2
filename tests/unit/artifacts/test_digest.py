"""Hashing beside writing: the digest is that of all blocks, in their order."""

from __future__ import annotations

import hashlib
import os

import pytest

from rundial.artifacts.digest import MAX_WAITING, MIN_BLOCKS, Digest


@pytest.mark.parametrize("count", [0, 1, MIN_BLOCKS - 1, MIN_BLOCKS, MIN_BLOCKS + 4 * MAX_WAITING])
def test_digest_is_that_of_all_blocks_in_order(count: int) -> None:
    """A large file has the same digest as a small one has: that of its bytes."""
    blocks = [os.urandom(4_096) for _ in range(count)]
    found = Digest()
    for block in blocks:
        found.update(block)

    assert found.end() == hashlib.sha256(b"".join(blocks)).hexdigest()
