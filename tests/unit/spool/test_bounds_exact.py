"""The bound of a spool to the byte: what still fits, and what goes for what does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rundial.errors import SpoolFullError
from rundial.spool.bounds import Bounds, Unbounded
from rundial.spool.frame import OVERHEAD_BYTES
from rundial.spool.limits import Limits
from rundial.spool.segment import HEADER_BYTES
from rundial.spool.spool import Spool
from tests.support.clock import ManualClock
from tests.unit.spool.builders import drain, filled, frame, meta
from tests.unit.spool.test_bounds import DAY_S, append, on_disk

BODY_BYTES = 400
# What a frame takes that has a segment of its own, and what is asked for before it is appended.
ALONE_BYTES = HEADER_BYTES + OVERHEAD_BYTES + BODY_BYTES


def test_spool_filled_to_the_byte_gives_up_only_the_oldest_for_one_more(spool_dir: Path) -> None:
    """The bound is used up before anything goes, and then no more goes than has to."""
    spool = Spool.create(spool_dir, meta(), max_bytes=8 * ALONE_BYTES)
    append(spool, "metrics", range(1, 9), body_bytes=BODY_BYTES)
    full = on_disk(spool), spool.lanes["metrics"].waiting_units
    append(spool, "metrics", range(9, 10), body_bytes=BODY_BYTES)

    assert full == (8 * ALONE_BYTES, 8)
    assert on_disk(spool) == 8 * ALONE_BYTES
    assert drain(spool.lanes["metrics"]) == list(range(2, 10))
    spool.close()


def test_frame_is_asked_for_with_the_segment_that_it_may_begin(spool_dir: Path) -> None:
    """The header of one more file does not carry the spool over its bound."""
    spool = Spool.create(spool_dir, meta(), max_bytes=9 * ALONE_BYTES - 1)
    append(spool, "metrics", range(1, 10), body_bytes=BODY_BYTES)

    assert on_disk(spool) == 8 * ALONE_BYTES
    assert spool.lanes["metrics"].evicted["spool_full"] == 1
    spool.close()


def test_frame_that_fits_to_the_byte_once_everything_went_is_taken(spool_dir: Path) -> None:
    """A frame as large as the bound allows is kept, at the cost of what waits in other lanes."""
    spool = Spool.create(spool_dir, meta(), max_bytes=8000)
    append(spool, "logs", range(1, 2), body_bytes=3000)
    largest = 8000 - HEADER_BYTES - HEADER_BYTES - OVERHEAD_BYTES

    with pytest.raises(SpoolFullError):
        append(spool, "metrics", range(1, 2), body_bytes=largest + 1)
    before = spool.lanes["logs"].waiting_units
    append(spool, "metrics", range(1, 2), body_bytes=largest)

    assert (before, spool.lanes["logs"].evicted["spool_full"]) == (1, 1)
    assert drain(spool.lanes["metrics"]) == [1]
    spool.close()


def test_frame_without_room_beside_the_run_events_evicts_nothing(spool_dir: Path) -> None:
    """Nothing is given up for a frame that the run's own start and finish leave no room for."""
    spool = Spool.create(spool_dir, meta(), max_bytes=8000)
    append(spool, "events", range(1, 2), body_bytes=4000)
    append(spool, "metrics", range(1, 3), body_bytes=1000)

    with pytest.raises(SpoolFullError):
        append(spool, "logs", range(1, 2), body_bytes=4000)

    assert drain(spool.lanes["metrics"]) == [1, 2]
    spool.close()


def test_answered_run_events_make_room(spool_dir: Path) -> None:
    """Run events that the server has do not hold the bound against what it has not."""
    spool = Spool.create(spool_dir, meta(), max_bytes=8000)
    append(spool, "events", range(1, 2), body_bytes=4000)
    drain(spool.lanes["events"])
    append(spool, "logs", range(1, 2), body_bytes=4000)

    assert drain(spool.lanes["logs"]) == [1]
    spool.close()


def test_sealing_a_segment_expires_no_lane_that_is_still_written(spool_dir: Path) -> None:
    """A quiet signal of a live run keeps its last records however old they are."""
    clock = ManualClock()
    spool = Spool.create(spool_dir, meta(), segment_bytes=2000, clock=clock)
    append(spool, "traces", range(1, 3))
    clock.advance(8 * DAY_S)
    append(spool, "metrics", range(1, 9))

    assert len(list(spool.path.glob("metrics/*.seg"))) > 1
    assert drain(spool.lanes["traces"]) == [1, 2]
    spool.close()


def test_reclaim_says_whether_it_freed_anything(tmp_path: Path) -> None:
    """A write to a full disk is tried again only when there is reason to hope."""
    lane = filled(tmp_path, 3)
    bounds = Bounds(str(tmp_path), Limits(), ManualClock())
    bounds.watch([lane])
    waiting = bounds.reclaim()
    drain(lane)

    assert (waiting, bounds.reclaim(), Unbounded().reclaim()) == (False, True, False)
    lane.close()


def test_reclaim_of_a_lane_that_cannot_be_freed_goes_on_to_the_next(tmp_path: Path) -> None:
    """One lane that the disk refuses does not keep the room that another has."""
    stuck, other = filled(tmp_path / "stuck", 3), filled(tmp_path / "other", 3)
    for lane in (stuck, other):
        drain(lane)
    shutil.rmtree(tmp_path / "stuck")
    bounds = Bounds(str(tmp_path), Limits(), ManualClock())
    bounds.watch([stuck, other])

    assert bounds.reclaim()
    assert other.bytes_on_disk == HEADER_BYTES
    for lane in (stuck, other):
        lane.close()


def test_only_frame_of_a_lane_can_be_evicted(spool_dir: Path) -> None:
    """A single large record of one signal does not block the others for ever."""
    spool = Spool.create(spool_dir, meta(), max_bytes=8000)
    append(spool, "logs", range(1, 2), body_bytes=5000)
    spool.lanes["metrics"].append(frame(1, body_bytes=5000))
    spool.publish()

    assert drain(spool.lanes["metrics"]) == [1]
    assert spool.lanes["logs"].evicted["spool_full"] == 1
    spool.close()
