"""The bound of what is kept of refused requests."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rundial.spool.ack import Cursor
from rundial.spool.frame import OVERHEAD_BYTES, scan
from rundial.spool.rejected import Rejected, keep_aside
from tests.unit.spool.test_segment import files_end_at


def test_rejected_bodies_stay_within_their_bound(tmp_path: Path) -> None:
    """A server that refuses everything for weeks cannot fill the disk; the newest copies stay."""
    kept = Rejected(str(tmp_path / "rejected"), "logs", max_bytes=8 * 1000)
    for number in range(50):
        assert kept.keep(Cursor(1, number), number.to_bytes(200, "little"), 1)
    files = list((tmp_path / "rejected").iterdir())

    assert sum(path.stat().st_size for path in files) <= 2 * kept.limit_bytes
    newest = [frame for _, frame, _ in scan((tmp_path / "rejected" / "logs.seg").read_bytes())]
    assert newest[-1].end == 49
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_rejected_body_over_the_bound_is_not_kept(tmp_path: Path) -> None:
    """One huge body cannot push out all the others."""
    kept = Rejected(str(tmp_path / "rejected"), "logs", max_bytes=8 * 1000)

    assert not kept.keep(Cursor(1, 0), bytes(2000), 1)


def test_rejected_bodies_fill_their_bound_to_the_byte(tmp_path: Path) -> None:
    """The copies are as many as the bound has room for."""
    kept = Rejected(str(tmp_path), "logs", max_bytes=8 * 2 * (OVERHEAD_BYTES + 200))
    for number in range(3):
        assert kept.keep(Cursor(1, number), bytes(200), 1)

    assert (tmp_path / "logs.older.seg").stat().st_size == kept.limit_bytes
    assert kept.keep(Cursor(1, 3), bytes(kept.limit_bytes - OVERHEAD_BYTES), 1)
    assert (tmp_path / "logs.seg").stat().st_size == kept.limit_bytes


def test_rejected_body_that_a_full_disk_refuses_in_a_new_file_leaves_it_empty(tmp_path: Path) -> None:
    """A copy that did not fit does not hide the ones that come later, in a file just begun either."""
    kept = Rejected(str(tmp_path), "logs", max_bytes=8 * 1000)
    kept.keep(Cursor(1, 1), bytes(600), 1)
    with files_end_at(20), pytest.raises(OSError, match="be written"):
        kept.keep(Cursor(1, 2), bytes(600), 1)
    kept.keep(Cursor(1, 3), b"third", 1)

    assert [frame.body for _, frame, _ in scan((tmp_path / "logs.seg").read_bytes())] == [b"third"]


def test_rejected_body_on_a_full_disk_leaves_nothing_torn(tmp_path: Path) -> None:
    """A copy that did not fit does not hide the ones that come later."""
    kept = Rejected(str(tmp_path / "rejected"), "logs")
    kept.keep(Cursor(1, 1), b"\x1f\x8bfirst", 1)
    size = (tmp_path / "rejected" / "logs.seg").stat().st_size
    with files_end_at(size + 20), pytest.raises(OSError, match="be written"):
        kept.keep(Cursor(1, 2), b"second", 1)
    kept.keep(Cursor(1, 3), b"third", 1)

    found = [frame for _, frame, _ in scan((tmp_path / "rejected" / "logs.seg").read_bytes())]
    assert [(frame.body, frame.is_gzip) for frame in found] == [(b"\x1f\x8bfirst", True), (b"third", False)]


def test_copies_outlive_the_spool_and_go_when_they_are_old(tmp_path: Path) -> None:
    """What was refused can be looked at for as long as undelivered records would be kept, and no longer."""
    for run in ("old", "new"):
        spool = tmp_path / run / "instance"
        Rejected(str(spool / "rejected"), "logs").keep(Cursor(1, 0), run.encode(), 1)
    kept_old = keep_aside(f"{tmp_path}/old/instance", max_age_s=60, now_unix_ns=time.time_ns())
    assert kept_old == f"{tmp_path}/.rejected/old.instance"
    os.utime(kept_old, (0, 0))
    kept_new = keep_aside(f"{tmp_path}/new/instance", max_age_s=60, now_unix_ns=time.time_ns())

    assert kept_new is not None
    assert [path.name for path in (tmp_path / ".rejected").iterdir()] == ["new.instance"]
    assert [frame.body for _, frame, _ in scan(Path(kept_new, "logs.seg").read_bytes())] == [b"new"]
    assert (tmp_path / ".rejected").stat().st_mode & 0o777 == 0o700


def test_a_spool_that_nothing_was_refused_of_leaves_nothing(tmp_path: Path) -> None:
    """A delivered spool leaves no directory behind."""
    assert keep_aside(f"{tmp_path}/run/instance", max_age_s=60, now_unix_ns=time.time_ns()) is None
    assert not (tmp_path / ".rejected").exists()
