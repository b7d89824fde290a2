"""One file of a lane against a disk that fills, vanishes and tears."""

from __future__ import annotations

import os
import resource
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rundial.errors import SegmentCorruptError
from rundial.spool import segment
from rundial.spool.frame import pack
from rundial.spool.segment import HEADER_BYTES, Header, LaneState, Segment
from tests.unit.spool.builders import frame


@contextmanager
def files_end_at(limit_bytes: int) -> Iterator[None]:
    """Let the kernel cut every write of this process that goes beyond a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)


def begun(directory: Path, *, sync: bool = False) -> Segment:
    """Return a segment without frames."""
    return Segment.create(str(directory), Header("logs", 1, 5, LaneState()), sync=sync)


def test_short_write_is_cut_off_and_raises(tmp_path: Path) -> None:
    """A disk that fills in the middle of a frame leaves no torn frame in front of later ones."""
    writer = begun(tmp_path)
    writer.append((pack(frame(1)),))
    whole = Path(writer.path).read_bytes()

    with files_end_at(len(whole) + 50), pytest.raises(OSError, match="bytes could be written"):
        writer.append((pack(frame(2)),))
    torn_off = Path(writer.path).read_bytes()
    writer.append((pack(frame(3)),))

    assert torn_off == whole
    assert Path(writer.path).read_bytes() == whole + pack(frame(3))
    writer.close()


def test_segment_that_cannot_be_begun_leaves_no_file(tmp_path: Path) -> None:
    """A disk that refuses the header is not littered with empty segments."""
    with files_end_at(HEADER_BYTES - 1), pytest.raises(OSError, match="could be written"):
        begun(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_append_to_a_removed_segment_raises(tmp_path: Path) -> None:
    """Removing the directory of a live run is noticed, not written into nowhere."""
    writer = begun(tmp_path)
    os.unlink(writer.path)

    with pytest.raises(FileNotFoundError):
        writer.append((pack(frame(1)),))
    writer.close()


def test_tear_that_cannot_be_cut_off_ends_the_segment(tmp_path: Path) -> None:
    """When even the cut fails, the segment takes no more frames behind the torn one."""
    writer = begun(tmp_path)
    os.close(writer._descriptor)
    writer._descriptor = os.open(writer.path, os.O_RDONLY)

    with pytest.raises(OSError, match="Bad file descriptor"):
        writer.append((pack(frame(1)),))

    assert writer.is_dead
    writer.close()


def test_segment_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """What a run records is nobody else's business."""
    writer = begun(tmp_path, sync=True)
    writer.append((pack(frame(1)),))

    assert os.stat(writer.path).st_mode & 0o777 == 0o600
    writer.close()
    writer.close()


def test_damaged_length_asks_for_no_memory(tmp_path: Path) -> None:
    """One flipped bit in a file does not make training run out of memory."""
    writer = begun(tmp_path)
    writer.append((b"\xff" * 4 + pack(frame(1))[4:],))
    tracemalloc.start()
    found = segment.read_frame(writer.path, HEADER_BYTES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found is None
    assert peak < 1_000_000
    writer.close()


def test_damaged_header_is_reported(tmp_path: Path) -> None:
    """A file that is not a segment is named, with what was wrong."""
    path = tmp_path / segment.file_name(1)
    path.write_bytes(b"no segment at all")

    with pytest.raises(SegmentCorruptError, match="torn or damaged"):
        segment.read_header(str(path))


def test_numbers_leave_other_names_alone(tmp_path: Path) -> None:
    """Files that are not ours are neither read nor removed."""
    for name in ("000000000002.seg", "000000000010.seg", "ack", "1.seg", "000000000003.seg.new"):
        (tmp_path / name).touch()

    assert segment.numbers(str(tmp_path)) == [2, 10]
