"""What announces an upload: the same JSON, however many files there are, and small for many."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from rundial.artifacts.announcement import FILES_AT_ONCE, packed
from rundial.artifacts.manifest import FileEntry


def _files(count: int) -> list[FileEntry]:
    return [
        FileEntry(
            f"train/{number // 1_000:05}/é {number:09}.bin",
            number,
            hashlib.sha256(b"%d" % number).hexdigest(),
            "x",
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, FILES_AT_ONCE, FILES_AT_ONCE + 1, 3 * FILES_AT_ONCE])
def test_every_file_is_announced_once_and_in_order(count: int) -> None:
    """A server reads what one that knows no packing would."""
    files = _files(count)
    found = json.loads(gzip.decompress(packed({"name": "data", "metadata": {"a": [1]}}, files)))

    assert (found["name"], found["metadata"]) == ("data", {"a": [1]})
    assert [each["path"] for each in found["files"]] == [each.path for each in files]
    assert [(each["sizeBytes"], each["sha256"]) for each in found["files"]] == [
        (each.size, each.sha256) for each in files
    ]
    assert {each["contentType"] for each in found["files"]} <= {"application/octet-stream"}


def test_a_hundred_thousand_files_fit_one_request() -> None:
    """The server reads 16 MiB of a request; the plain JSON would be more."""
    assert len(packed({"name": "data"}, _files(100_000))) < 8 << 20
