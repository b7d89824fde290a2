"""Files by digest, kept within a bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rundial.artifacts.cache import Cache

DIGESTS = [f"{number:064x}" for number in range(4)]


def test_files_longest_unused_go_first(tmp_path: Path) -> None:
    """The bound holds, and what was used lately stays."""
    cache = Cache(tmp_path, max_bytes=250)
    for age, sha256 in enumerate(DIGESTS):
        part = cache.begin(sha256)
        part.write_bytes(b"x" * 100)
        os.utime(cache.keep(part), ns=(age, age))
    assert cache.find(DIGESTS[0]) is not None
    cache.trim()

    assert [cache.find(sha256) is not None for sha256 in DIGESTS] == [True, False, False, True]


@pytest.mark.parametrize("name", ["../x", "", "A" * 64, "0" * 63])
def test_name_that_is_no_digest_is_no_path(tmp_path: Path, name: str) -> None:
    """What a server calls a digest never becomes a path unless it is one."""
    with pytest.raises(ValueError, match="sha256"):
        Cache(tmp_path).path(name)
