"""What a full or old spool gives up, and what it never does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.errors import SpoolFullError
from rundial.spool.frame import LANES
from rundial.spool.segment import HEADER_BYTES
from rundial.spool.spool import Spool
from tests.support.clock import ManualClock
from tests.unit.spool.builders import balance, drain, frame, meta
from tests.unit.spool.test_segment import files_end_at

DAY_S = 24 * 3600.0


def on_disk(spool: Spool) -> int:
    """Return the bytes of all segments, as the file system has them."""
    return sum(path.stat().st_size for path in spool.path.glob("*/*.seg"))


def append(spool: Spool, lane: str, numbers: range, *, body_bytes: int = 400) -> None:
    """Append frames of one unit and publish them."""
    for number in numbers:
        spool.lanes[lane].append(frame(number, body_bytes=body_bytes))
    spool.publish()


def test_full_spool_evicts_the_oldest_of_the_largest_lane(spool_dir: Path) -> None:
    """A long outage costs the oldest records of what fills the disk, counted; small lanes keep theirs."""
    spool = Spool.create(spool_dir, meta(), max_bytes=40_000)
    append(spool, "traces", range(1, 6))
    append(spool, "metrics", range(1, 201))
    kept = drain(spool.lanes["metrics"])

    assert drain(spool.lanes["traces"]) == [1, 2, 3, 4, 5]
    assert kept == list(range(201 - len(kept), 201))
    assert spool.lanes["metrics"].evicted["spool_full"] == 200 - len(kept) > 0
    spool.close()


def test_run_events_are_never_evicted(spool_dir: Path) -> None:
    """A run's start and finish outlive any amount of metrics, in the fullest spool."""
    spool = Spool.create(spool_dir, meta(), max_bytes=20_000)
    append(spool, "events", range(1, 31))
    append(spool, "metrics", range(1, 101))

    assert drain(spool.lanes["events"]) == list(range(1, 31))
    spool.close()


def test_frame_without_room_raises_and_evicts_nothing(spool_dir: Path) -> None:
    """What cannot fit does not push out what does."""
    spool = Spool.create(spool_dir, meta(), max_bytes=20_000)
    append(spool, "logs", range(1, 6))

    with pytest.raises(SpoolFullError, match="20,000 bytes"):
        spool.lanes["metrics"].append(frame(1, body_bytes=20_000))
    assert drain(spool.lanes["logs"]) == [1, 2, 3, 4, 5]
    spool.close()


def test_spool_full_of_run_events_raises(spool_dir: Path) -> None:
    """When only run events are left, the next frame is refused, not they."""
    spool = Spool.create(spool_dir, meta(), max_bytes=10_000)

    with pytest.raises(SpoolFullError):
        append(spool, "events", range(1, 100))
    with pytest.raises(SpoolFullError):
        append(spool, "metrics", range(1, 3), body_bytes=2000)
    spool.publish()
    assert len(drain(spool.lanes["events"])) > 10
    append(spool, "metrics", range(1, 3), body_bytes=2000)
    assert drain(spool.lanes["metrics"]) == [1, 2]
    spool.close()


def test_answered_frames_make_room_before_anything_is_evicted(spool_dir: Path) -> None:
    """Nothing is given up while the disk holds bytes that nobody waits for."""
    spool = Spool.create(spool_dir, meta(), max_bytes=20_000)
    for lane in ("events", "metrics", "traces"):
        append(spool, lane, range(1, 5))
        drain(spool.lanes[lane])
    append(spool, "logs", range(1, 31))

    assert drain(spool.lanes["logs"]) == list(range(1, 31))
    spool.close()


def test_delivery_that_keeps_up_evicts_nothing(spool_dir: Path) -> None:
    """A small spool carries any amount of data as long as it is answered."""
    spool = Spool.create(spool_dir, meta(), max_bytes=20_000, segment_bytes=100_000)
    append(spool, "logs", range(1, 5))
    for number in range(1, 101):
        append(spool, "metrics", range(number, number + 1))
        assert drain(spool.lanes["metrics"]) == [number]

    assert spool.lanes["logs"].evicted["spool_full"] == 0
    assert spool.lanes["metrics"].evicted["spool_full"] == 0
    spool.close()


@given(
    st.lists(st.tuples(st.sampled_from(LANES), st.integers(8, 3000), st.booleans()), max_size=60),
    st.integers(4_000, 20_000),
)
def test_spool_never_exceeds_its_bound(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, bool]], max_bytes: int
) -> None:
    """The disk that a run takes has a limit, whatever is logged and answered, and the books close."""
    spool = Spool.create(tmp_path_factory.mktemp("bound"), meta(), max_bytes=max_bytes)
    for number, (lane, body_bytes, is_answered) in enumerate(steps):
        try:
            append(spool, lane, range(number, number + 1), body_bytes=body_bytes)
        except SpoolFullError:
            assert on_disk(spool) + body_bytes > max_bytes // 4
        if is_answered:
            drain(spool.lanes[lane])
        assert on_disk(spool) <= max_bytes
        assert {balance(each) for each in spool.lanes.values()} == {0}
    spool.close()


def test_old_segments_are_evicted_when_one_is_sealed(spool_dir: Path) -> None:
    """Data that waited longer than the limit goes, counted as expired; run events stay."""
    clock = ManualClock()
    spool = Spool.create(spool_dir, meta(), segment_bytes=2000, max_age_s=7 * DAY_S, clock=clock)
    for lane in ("metrics", "events"):
        append(spool, lane, range(1, 9))
    clock.advance(8 * DAY_S)
    append(spool, "metrics", range(9, 13))

    remaining = drain(spool.lanes["metrics"])
    assert remaining[-4:] == [9, 10, 11, 12]
    assert spool.lanes["metrics"].evicted["spool_expired"] == 12 - len(remaining) > 0
    assert drain(spool.lanes["events"]) == list(range(1, 9))
    spool.close()


def test_old_spool_is_expired_when_it_is_adopted(spool_dir: Path) -> None:
    """A spool found weeks later is counted as expired; its state and run events survive."""
    clock = ManualClock()
    spool = Spool.create(spool_dir, meta(), clock=clock)
    append(spool, "metrics", range(1, 4))
    append(spool, "events", range(1, 4))
    last = spool.lanes["metrics"].last
    spool.close()
    for path in spool.path.glob("*/*.seg"):
        os.utime(path, ns=(clock.time_unix_ns(), clock.time_unix_ns()))
    clock.advance(8 * DAY_S)
    again = Spool.adopt(spool.path, clock=clock)

    assert again.lanes["metrics"].evicted["spool_expired"] == 3
    assert again.lanes["metrics"].last == last
    assert drain(again.lanes["events"]) == [1, 2, 3]
    again.close()


def test_old_spool_on_a_full_disk_is_adopted_and_delivered(spool_dir: Path) -> None:
    """Where the loss cannot be put on disk, old data is delivered rather than given up uncounted."""
    clock = ManualClock()
    spool = Spool.create(spool_dir, meta(), clock=clock)
    append(spool, "metrics", range(1, 4))
    spool.close()
    for path in spool.path.glob("*/*.seg"):
        os.utime(path, ns=(clock.time_unix_ns(), clock.time_unix_ns()))
    clock.advance(8 * DAY_S)
    with files_end_at(10):
        again = Spool.adopt(spool.path, clock=clock)
        assert drain(again.lanes["metrics"]) == [1, 2, 3]

    assert again.lanes["metrics"].evicted["spool_expired"] == 0
    again.close()


def test_young_spool_is_kept_when_it_is_adopted(spool_dir: Path) -> None:
    """A segment counts as old by its last write, not by its first."""
    clock = ManualClock()
    spool = Spool.create(spool_dir, meta(), clock=clock)
    append(spool, "metrics", range(1, 4))
    spool.close()
    clock.advance(8 * DAY_S)
    for path in spool.path.glob("*/*.seg"):
        os.utime(path, ns=(clock.time_unix_ns(), clock.time_unix_ns()))
    again = Spool.adopt(spool.path, clock=clock)

    assert drain(again.lanes["metrics"]) == [1, 2, 3]
    again.close()


def test_small_bound_has_small_segments(spool_dir: Path) -> None:
    """One eviction costs a part of what a small spool holds, not all of it."""
    spool = Spool.create(spool_dir, meta(), max_bytes=80_000)
    append(spool, "metrics", range(1, 100))
    largest = max(path.stat().st_size for path in spool.path.glob("metrics/*.seg"))

    assert HEADER_BYTES < largest <= 10_000
    spool.close()


def test_answered_frames_are_the_room_that_a_full_disk_has_left(spool_dir: Path) -> None:
    """On a full disk the spool frees what a server has taken, in every lane, and takes the next frame."""
    spool = Spool.create(spool_dir, meta())
    append(spool, "logs", range(1, 6))
    append(spool, "metrics", range(1, 6))
    answered = [drain(spool.lanes[name]) for name in ("logs", "metrics")]
    full = on_disk(spool)

    with files_end_at(full // 2 + 100):
        spool.lanes["metrics"].append(frame(6, body_bytes=400))
    spool.publish()

    assert answered == [list(range(1, 6))] * 2
    assert on_disk(spool) < full / 2
    assert drain(spool.lanes["metrics"]) == [6]
    assert balance(spool.lanes["metrics"]) == balance(spool.lanes["logs"]) == 0
