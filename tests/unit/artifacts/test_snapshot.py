"""One file as it is now: what is recorded is what was hashed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from rundial.artifacts import snapshot
from rundial.artifacts.preparation import Preparation
from rundial.artifacts.snapshot import Budget, Gone, take
from tests.support.mounts import image_mounted

# The least that btrfs takes, with a little over.
BTRFS_BYTES = 112 << 20


def _take(path: Path, kept: Path, room: int = 1 << 30) -> snapshot.Taken:
    return take(str(path), str(kept), Budget(room))


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(3 * (1 << 20) + 7)])
def test_snapshot_outlives_what_becomes_of_the_file(tmp_path: Path, content: bytes) -> None:
    """A script that truncates its checkpoint in place changes the file, and not what was taken of it."""
    path, kept = tmp_path / "a", tmp_path / "kept"
    path.write_bytes(content)
    taken = _take(path, kept)
    with open(path, "r+b") as file:
        file.truncate(0)
        file.write(b"other")

    assert (taken.size, taken.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert Path(taken.source).read_bytes() == content
    assert path.stat().st_ino != kept.stat().st_ino
    assert not taken.was_changing


def test_file_beyond_the_budget_is_hashed_in_place(tmp_path: Path) -> None:
    """No copy is made that finds no room; the time of the file says later whether it is still the same."""
    path, kept = tmp_path / "a", tmp_path / "kept"
    path.write_bytes(b"x" * 100)
    taken = _take(path, kept, room=99)
    if taken.source == str(kept):
        pytest.skip("this file system clones, which takes no room")

    assert (taken.source, taken.mtime_ns) == (str(path), path.stat().st_mtime_ns)
    assert not kept.exists()
    assert taken.sha256 == hashlib.sha256(b"x" * 100).hexdigest()


def test_budget_counts_all_copies(tmp_path: Path) -> None:
    """Many small files are bounded together."""
    budget = Budget(250)
    places = []
    for number in range(4):
        path = tmp_path / f"f{number}"
        path.write_bytes(b"x" * 100)
        places.append(take(str(path), str(tmp_path / f"k{number}"), budget).source)
    if budget.used == 0:
        pytest.skip("this file system clones, which takes no room")

    assert budget.used == 200
    assert [Path(place).name[0] for place in places] == ["k", "k", "f", "f"]


@pytest.mark.parametrize("kind", ["missing", "pipe", "directory"])
def test_what_is_no_readable_file_is_gone(tmp_path: Path, kind: str) -> None:
    """Nothing waits for a pipe that nobody writes to."""
    path = tmp_path / "a"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()

    with pytest.raises(Gone):
        _take(path, tmp_path / "kept")


def test_a_file_system_that_can_clone_copies_nothing(tmp_path: Path) -> None:
    """On btrfs a snapshot shares the file's blocks: it takes no room, no budget, and outlives the file."""
    content = os.urandom(8 << 20)
    with image_mounted(tmp_path / "image", tmp_path / "btrfs", kind="btrfs", size_bytes=BTRFS_BYTES) as place:
        path, kept, budget = place / "model.bin", place / "kept", Budget(0)
        path.write_bytes(content)
        os.sync()
        free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
        taken = take(str(path), str(kept), budget)
        os.sync()
        left = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
        with open(path, "r+b") as file:
            file.truncate(0)

        assert (taken.source, taken.mtime_ns, budget.used) == (str(kept), 0, 0)
        assert taken.sha256 == hashlib.sha256(content).hexdigest()
        assert kept.read_bytes() == content
        assert free - left < len(content) // 2


def test_a_budget_of_nothing_still_keeps_what_can_be_cloned(tmp_path: Path) -> None:
    """A file that changes while it is sent is no trouble where a snapshot costs nothing."""
    with image_mounted(tmp_path / "image", tmp_path / "btrfs", kind="btrfs", size_bytes=BTRFS_BYTES) as place:
        source = place / "data"
        source.mkdir()
        for number in range(20):
            (source / f"{number}").write_bytes(os.urandom(10_000))
        job = {"token": "job", "path": str(source), "at": 0}
        manifest = Preparation(place, Budget(0)).prepare(job, None)

        assert {Path(entry.source).parent.name for entry in manifest.files} == {"job"}
        assert {entry.mtime_ns for entry in manifest.files} == {0}
