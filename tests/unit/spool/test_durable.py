"""Small files on disk: whole or not at all, whatever an earlier process left behind."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rundial.spool import durable
from tests.unit.spool.test_segment import files_end_at


def test_replace_uses_up_what_a_killed_replace_left(tmp_path: Path) -> None:
    """A kill between writing and renaming neither litters the directory nor mixes two contents."""
    (tmp_path / "ack.new").write_bytes(b"half of something much longer")
    (tmp_path / "ack.new").chmod(0o600)
    durable.replace(f"{tmp_path}/ack", b"short", sync=True)

    assert [path.name for path in tmp_path.iterdir()] == ["ack"]
    assert (tmp_path / "ack").read_bytes() == b"short"
    assert (tmp_path / "ack").stat().st_mode & 0o777 == 0o600


def test_replace_on_a_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    """A disk that fills costs the new content, never the old one."""
    durable.replace(f"{tmp_path}/ack", b"old", sync=False)
    with files_end_at(2), pytest.raises(OSError, match="only 2 of 3 bytes"):
        durable.replace(f"{tmp_path}/ack", b"new", sync=False)

    assert (tmp_path / "ack").read_bytes() == b"old"


def test_directories_are_made_private_and_existing_ones_keep_their_mode(tmp_path: Path) -> None:
    """What a run records is nobody else's business; a directory that the user made stays the user's."""
    tmp_path.chmod(0o755)
    durable.make_directory(f"{tmp_path}/run/instance")
    durable.make_directory(str(tmp_path))

    modes = [path.stat().st_mode & 0o777 for path in (tmp_path, tmp_path / "run", tmp_path / "run/instance")]
    assert modes == [0o755, 0o700, 0o700]


def test_directory_made_by_many_at_once_is_there_for_all(tmp_path: Path) -> None:
    """Processes that start together on a fresh machine all get their spool."""
    start = threading.Barrier(8)
    failed: list[OSError] = []

    def make() -> None:
        for round_ in range(40):
            start.wait(10)
            try:
                durable.make_directory(f"{tmp_path}/{round_}/run/instance")
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert failed == []


def test_removing_files_goes_on_behind_one_that_is_gone(tmp_path: Path) -> None:
    """A file that somebody removed first does not keep the others on the disk."""
    (tmp_path / "second").touch()
    durable.remove_files([f"{tmp_path}/first", f"{tmp_path}/second"])

    assert list(tmp_path.iterdir()) == []
