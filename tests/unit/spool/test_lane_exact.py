"""A lane to the frame: what an eviction, a reclaim and a close change, and what they leave."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import psutil
import pytest

from rundial.spool.rejected import MAX_BYTES
from rundial.spool.segment import HEADER_BYTES, file_name
from tests.unit.spool.builders import balance, drain, filled, frame, open_lane, segments
from tests.unit.spool.test_segment import files_end_at


def test_frame_in_flight_is_not_read_again(tmp_path: Path) -> None:
    """A frame that waits for a slow server costs the disk nothing, and outlives its file."""
    lane = filled(tmp_path, 1)
    found = lane.peek()
    assert found is not None
    os.unlink(tmp_path / "metrics" / file_name(1))

    assert lane.peek() == found
    lane.ack(found[0], delivered=1)
    assert (lane.delivered, balance(lane)) == (1, 0)


def test_refused_bodies_without_a_copy_are_counted(tmp_path: Path) -> None:
    """How many refused bodies were too large to look at later is known."""
    lane = filled(tmp_path, 1)
    found = lane.peek()
    assert found is not None
    lane.reject(found[0], b"small", 1)
    kept = lane.unkept_copies
    for _ in range(2):
        lane.reject(found[0], bytes(MAX_BYTES // 8), 1)

    assert (kept, lane.unkept_copies) == (0, 2)


def test_expired_segments_are_counted_together(tmp_path: Path) -> None:
    """The caller is told of every unit that went, and the segment being written stays."""
    lane = filled(tmp_path, 12)
    assert len(segments(tmp_path)) > 2
    lost = lane.evict_expired(2**63 - 1)

    assert lost == lane.evicted["spool_expired"] == 12 - lane.waiting_units
    assert (len(segments(tmp_path)), lane.waiting_units > 0) == (1, True)
    assert lane.evict_expired(2**63 - 1, with_last=True) == 12 - lost
    assert (lane.waiting_units, balance(lane)) == (0, 0)


def test_eviction_of_the_only_frame_tells_its_units(tmp_path: Path) -> None:
    """One frame is given up as any number of them is; then there is nothing to give up."""
    lane = open_lane(tmp_path)
    lane.append(frame(1, units=7))

    assert (lane.evict("spool_full"), lane.evict("spool_full")) == (7, 0)
    assert (lane.evicted["spool_full"], balance(lane)) == (7, 0)


def test_eviction_begins_a_segment_only_for_the_last(tmp_path: Path) -> None:
    """Giving up the oldest of several files makes no other."""
    lane = filled(tmp_path, 12)
    before = segments(tmp_path)
    lane.evict("spool_full")
    after = segments(tmp_path)
    lane.evict_expired(2**63 - 1, with_last=True)

    assert after == before[1:]
    assert segments(tmp_path) == [file_name(len(before) + 1)]
    assert lane.bytes_on_disk == HEADER_BYTES


def test_reclaimed_lane_has_nothing_more_to_free(tmp_path: Path) -> None:
    """A full disk is not littered with one empty segment after another."""
    lane = filled(tmp_path, 3)
    waiting = lane.reclaim()
    drain(lane)

    assert (waiting, lane.reclaim(), lane.reclaim()) == (False, True, False)
    assert segments(tmp_path) == [file_name(2)]


def test_frame_larger_than_a_segment_takes_the_empty_one_that_is_there(tmp_path: Path) -> None:
    """A large record does not leave an empty file behind it."""
    lane = filled(tmp_path, 3)
    drain(lane)
    lane.reclaim()
    lane.append(frame(4, body_bytes=5000))
    lane.publish()

    assert segments(tmp_path) == [file_name(2)]
    assert drain(lane) == [4]


def test_any_number_of_segments_holds_one_descriptor(tmp_path: Path) -> None:
    """A run of weeks does not run out of open files."""
    process = psutil.Process()
    lane = filled(tmp_path, 1)
    # What other tests left to be collected would close its files in the midst.
    gc.collect()
    before = process.num_fds()
    for number in range(2, 50):
        lane.append(frame(number, body_bytes=900))
        lane.publish()
        if number % 3 == 0:
            lane.evict_expired(2**63 - 1, with_last=True)
        elif number % 3 == 1:
            drain(lane)
            lane.reclaim()
    held = process.num_fds()
    lane.close()

    assert (held, process.num_fds()) == (before, before - 1)


def test_close_writes_only_what_is_unwritten(tmp_path: Path) -> None:
    """The end of a run costs the disk nothing when everything is noted."""
    lane = filled(tmp_path, 2)
    drain(lane)
    before = os.stat(tmp_path / "metrics" / "ack").st_ino
    lane.close()

    assert os.stat(tmp_path / "metrics" / "ack").st_ino == before


def test_lane_closed_on_a_full_disk_never_writes_its_ack(tmp_path: Path) -> None:
    """What could not be noted in time stays unnoted: by then another process may own the directory."""
    lane = filled(tmp_path, 2)
    with files_end_at(10):
        drain(lane)
        lane.close()
    lane.close()

    assert not (tmp_path / "metrics" / "ack").exists()


def test_each_segment_that_cannot_be_synced_is_counted(tmp_path: Path) -> None:
    """How much a power cut could take is known."""
    lane = open_lane(tmp_path)
    for number in (1, 2):
        lane.append(frame(number, body_bytes=900))
        writer = lane._segment
        assert writer is not None
        writer.close()
        reading, writer._descriptor = os.pipe()
        os.close(reading)
    lane.append(frame(3, body_bytes=900))
    lane.publish()

    assert lane.failed_syncs == 2
    assert drain(lane) == [1, 2, 3]


def test_abandoned_lane_writes_nothing(tmp_path: Path) -> None:
    """A forked worker that let go of its parent's lane cannot reach into it."""
    lane = filled(tmp_path, 2)
    before = segments(tmp_path)
    lane.abandon_in_child()

    with pytest.raises(OSError, match="closed"):
        lane.append(frame(3))
    with pytest.raises(OSError, match="closed"):
        lane.evict("spool_full")
    assert (lane.peek(), segments(tmp_path)) == (None, before)
