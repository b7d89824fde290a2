"""A lane against full disks, damage, eviction in flight and threads."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from rundial.spool.frame import OVERHEAD_BYTES, pack, scan
from rundial.spool.lane import Lane
from rundial.spool.limits import Limits
from rundial.spool.segment import HEADER_BYTES, file_name
from tests.unit.spool.builders import balance, copy_of, drain, filled, frame, number_of, open_lane, segments
from tests.unit.spool.test_segment import files_end_at


def test_frames_are_invisible_until_published(tmp_path: Path) -> None:
    """The sender never sends what the ring would hand out again after a crash."""
    lane = open_lane(tmp_path)
    lane.append(frame(1))

    assert lane.peek() is None
    assert lane.waiting_units == 1
    lane.publish()
    assert drain(lane) == [1]


def test_frames_come_in_the_order_they_were_appended(tmp_path: Path) -> None:
    """Order holds inside a lane, across segments."""
    lane = filled(tmp_path, 20)

    assert drain(lane) == list(range(1, 21))
    assert lane.delivered == 20


def test_answered_segments_are_deleted(tmp_path: Path) -> None:
    """Delivery gives disk space back while the run goes on."""
    lane = filled(tmp_path, 20)
    before = segments(tmp_path)
    drain(lane)

    assert len(before) > 2
    assert segments(tmp_path) == before[-1:]
    assert lane.waiting_bytes == 0


def test_waiting_bytes_are_the_frames_alone(tmp_path: Path) -> None:
    """What the user is told is waiting is what will be sent, headers and answered frames aside."""
    lane = filled(tmp_path, 10)
    found = lane.peek()
    assert found is not None
    lane.ack(found[0], delivered=1)

    assert lane.waiting_bytes == 9 * len(pack(frame(1)))


def test_written_bytes_are_those_of_every_frame_appended_here(tmp_path: Path) -> None:
    """What delivery costs the disk is told, answered frames and evicted ones included."""
    lane = filled(tmp_path, 10)
    lane.evict("spool_full")
    lane.close()
    again = open_lane(tmp_path)

    assert lane.counts().written_bytes == 10 * len(pack(frame(1)))
    assert again.counts().written_bytes == 0


def test_peek_again_returns_the_same_frame(tmp_path: Path) -> None:
    """A retry sends the frame that failed, not the next one."""
    lane = filled(tmp_path, 3)

    assert lane.peek() == lane.peek()
    assert drain(lane) == [1, 2, 3]


def test_ack_of_a_frame_that_is_not_in_flight_raises(tmp_path: Path) -> None:
    """An answer cannot settle a frame that nobody sent, nor the same frame twice."""
    lane = filled(tmp_path, 3)
    found = lane.peek()
    assert found is not None
    lane.ack(found[0], delivered=1)

    with pytest.raises(ValueError, match="not in flight"):
        lane.ack(found[0], delivered=1)
    assert lane.delivered == 1


@pytest.mark.parametrize(("delivered", "rejected"), [(1, 0), (2, 2), (4, -1), (-1, 4)])
def test_ack_of_other_units_than_the_frames_raises(tmp_path: Path, delivered: int, rejected: int) -> None:
    """No unit is settled twice or forgotten by an answer that does not add up."""
    lane = open_lane(tmp_path)
    lane.append(frame(1, units=3))
    lane.publish()
    found = lane.peek()
    assert found is not None

    with pytest.raises(ValueError, match="not all of 3 units"):
        lane.ack(found[0], delivered=delivered, rejected=rejected)
    assert balance(lane) == 0


def test_evicted_frame_in_flight_that_arrives_counts_as_delivered(tmp_path: Path) -> None:
    """What the server took was not lost, even if its segment had to go meanwhile."""
    lane = filled(tmp_path, 4)
    found = lane.peek()
    assert found is not None
    lane.evict("spool_full")
    assert lane.evicted["spool_full"] == 4
    lane.ack(found[0], delivered=1)

    assert (lane.delivered, lane.evicted["spool_full"]) == (1, 3)
    lane.close()
    assert open_lane(tmp_path).evicted["spool_full"] == 3


def test_evicted_frame_in_flight_is_not_sent_again(tmp_path: Path) -> None:
    """A frame that was given up while its request failed is lost once, and stays counted so."""
    lane = filled(tmp_path, 5, segment_bytes=600)
    lane.peek()
    lost = lane.evict("spool_full")

    assert drain(lane) == list(range(lost + 1, 6))
    assert lane.evicted["spool_full"] == lost


def test_state_survives_the_deletion_of_every_frame(tmp_path: Path) -> None:
    """Recovery knows how far the lane got, when nothing of it is left on disk."""
    lane = filled(tmp_path, 9)
    last = lane.last
    drain(lane)
    assert lane.reclaim()
    assert os.path.getsize(tmp_path / "metrics" / segments(tmp_path)[0]) == HEADER_BYTES
    lane.close()

    assert open_lane(tmp_path).last == last
    assert last.end == frame(9).end
    assert last.totals == frame(9).totals


def test_opened_lane_appends_to_a_segment_of_its_own(tmp_path: Path) -> None:
    """A dead process's files are read, never written to."""
    lane = filled(tmp_path, 2)
    lane.close()
    foreign = (tmp_path / "metrics" / file_name(1)).read_bytes()
    lane = open_lane(tmp_path)
    lane.append(frame(3))
    lane.publish()

    assert (tmp_path / "metrics" / file_name(1)).read_bytes() == foreign
    assert drain(lane) == [1, 2, 3]


def test_unreadable_ack_sends_again_from_the_first_segment(tmp_path: Path) -> None:
    """Losing the ack costs requests, not records; the lane says that it happened."""
    lane = filled(tmp_path, 10)
    for _ in range(6):
        found = lane.peek()
        assert found is not None
        lane.ack(found[0], delivered=1)
    lane.close()
    (tmp_path / "metrics" / "ack").write_bytes(b"\0" * 76)
    lane = open_lane(tmp_path)

    assert lane.ack_was_lost
    assert balance(lane) == 0
    assert drain(lane)[-6:] == [5, 6, 7, 8, 9, 10]
    assert lane.delivered == 10


def test_missing_ack_of_a_used_lane_is_noticed(tmp_path: Path) -> None:
    """An ack that somebody deleted is not taken for a lane that was never answered."""
    lane = filled(tmp_path, 10)
    assert not lane.ack_was_lost
    drain(lane)
    lane.close()
    (tmp_path / "metrics" / "ack").unlink()

    assert open_lane(tmp_path).ack_was_lost


def test_full_disk_raises_and_the_lane_goes_on_when_space_returns(tmp_path: Path) -> None:
    """A disk that fills costs no frame that was appended, and no restart."""
    lane = open_lane(tmp_path, segment_bytes=100_000)
    lane.append(frame(1))
    with files_end_at(HEADER_BYTES + len(pack(frame(1))) + 60), pytest.raises(OSError, match="be written"):
        lane.append(frame(2))
    assert lane.waiting_frames == 1
    lane.append(frame(3))
    lane.publish()

    assert drain(lane) == [1, 3]
    assert balance(lane) == 0


def test_disk_that_refuses_a_new_segment_leaves_the_lane_usable(tmp_path: Path) -> None:
    """Rolling on a full disk fails as an append does, and works later."""
    lane = filled(tmp_path, 4, segment_bytes=800)
    with files_end_at(10), pytest.raises(OSError, match="be written"):
        lane.append(frame(5, body_bytes=700))
    lane.append(frame(6, body_bytes=700))
    lane.publish()

    assert drain(lane) == [1, 2, 3, 4, 6]


def test_ack_on_a_full_disk_moves_on_and_is_saved_later(tmp_path: Path) -> None:
    """A disk that refuses the ack cannot stop the delivery that would free it."""
    lane = filled(tmp_path, 3)
    with files_end_at(10):
        assert drain(lane) == [1, 2, 3]
    assert lane.delivered == 3
    lane.close()

    again = open_lane(tmp_path)
    assert (again.delivered, again.waiting_frames) == (3, 0)


def test_answers_that_were_never_saved_are_inferred_from_what_is_gone(tmp_path: Path) -> None:
    """Segments go only once answered, so a kill before the ack is saved loses no count."""
    lane = filled(tmp_path, 10)
    with files_end_at(10):
        drain(lane)
    again = open_lane(copy_of(tmp_path, tmp_path / "killed"))

    assert balance(again) == 0
    assert again.delivered + again.waiting_units == 10
    assert again.delivered > 0


def test_eviction_on_a_full_disk_gives_nothing_up(tmp_path: Path) -> None:
    """What cannot be counted as lost is not lost."""
    lane = filled(tmp_path, 10)
    with files_end_at(10), pytest.raises(OSError, match="be written"):
        lane.evict("spool_full")

    assert drain(lane) == list(range(1, 11))
    assert lane.evicted == {"spool_full": 0, "spool_expired": 0, "internal_error": 0}


def test_sealed_segment_that_cannot_be_synced_is_counted_and_delivered(tmp_path: Path) -> None:
    """A failing sync is known, and does not make the encoder write the same frame twice."""
    lane = filled(tmp_path, 4, segment_bytes=1000)
    writer = lane._segment
    assert writer is not None
    writer.close()
    reading, writer._descriptor = os.pipe()
    lane.append(frame(5, body_bytes=700))
    lane.publish()
    os.close(reading)

    assert lane.failed_syncs == 1
    assert drain(lane) == [1, 2, 3, 4, 5]


def test_removed_directory_raises_and_gives_nothing_up(tmp_path: Path) -> None:
    """Removing a live spool is an error that its owner can act on, not a crash or a silent loss."""
    lane = filled(tmp_path, 10)
    shutil.rmtree(tmp_path / "metrics")

    with pytest.raises(FileNotFoundError):
        lane.append(frame(11))
    with pytest.raises(FileNotFoundError):
        lane.peek()
    assert (lane.waiting_units, balance(lane)) == (10, 0)


def test_lost_power_behind_the_ack_never_unsettles_counts(tmp_path: Path) -> None:
    """Frames that a power cut took after they were answered stay answered."""
    lane = filled(tmp_path, 4, segment_bytes=100_000)
    drain(lane)
    lane.close()
    os.truncate(tmp_path / "metrics" / file_name(1), HEADER_BYTES + len(pack(frame(1))))
    lane = open_lane(tmp_path)

    assert (lane.delivered, lane.waiting_units, balance(lane)) == (4, 0, 0)
    lane.append(frame(5))
    lane.publish()
    assert drain(lane) == [5]


def test_rejected_body_is_kept_before_it_counts(tmp_path: Path) -> None:
    """What the server refused can be looked at, and says which frame it was part of."""
    lane = open_lane(tmp_path)
    lane.append(frame(1, units=3))
    lane.publish()
    found = lane.peek()
    assert found is not None
    lane.reject(found[0], b"refused", 2)
    assert lane.rejected == 0
    lane.ack(found[0], delivered=1, rejected=2)

    kept = [each for _, each, _ in scan((tmp_path / "rejected" / "metrics.seg").read_bytes())]
    assert [(each.body, each.units, each.first, each.end) for each in kept] == [
        (b"refused", 2, found[0].segment, found[0].offset)
    ]
    assert (lane.delivered, lane.rejected, balance(lane)) == (1, 2, 0)


def test_closed_lane_changes_nothing_on_disk(tmp_path: Path) -> None:
    """A late answer cannot reach into a directory that another process may own by now."""
    lane = filled(tmp_path, 2)
    found = lane.peek()
    assert found is not None
    lane.close()
    before = {path.name: path.read_bytes() for path in (tmp_path / "metrics").iterdir()}
    lane.ack(found[0], delivered=1)

    assert lane.peek() is None
    assert lane.delivered == 1
    with pytest.raises(OSError, match="closed"):
        lane.append(frame(3))
    assert {path.name: path.read_bytes() for path in (tmp_path / "metrics").iterdir()} == before


def test_power_durability_delivers_the_same(tmp_path: Path) -> None:
    """Waiting for the disk changes when an append returns, nothing else."""
    (tmp_path / "logs").mkdir()
    lane = Lane(str(tmp_path / "logs"), "logs", limits=Limits(segment_bytes=500, durability="power"))
    for number in range(1, 6):
        lane.append(frame(number))
    lane.publish()

    assert drain(lane) == [1, 2, 3, 4, 5]


@pytest.mark.stress
def test_books_close_while_two_threads_work(tmp_path: Path) -> None:
    """Counts are exact at every moment, with an encoder, a sender and an eviction at once."""
    lane = open_lane(tmp_path, segment_bytes=5 * (OVERHEAD_BYTES + 40))
    count = 600
    is_done = threading.Event()
    taken: list[int] = []
    off: list[int] = []

    def send() -> None:
        while not (is_done.is_set() and lane.waiting_frames == 0):
            found = lane.peek()
            if found is not None:
                taken.append(number_of(found[1]))
                lane.ack(found[0], delivered=found[1].units)
            off.append(balance(lane))

    sender = threading.Thread(target=send)
    sender.start()
    for number in range(1, count + 1):
        lane.append(frame(number))
        lane.publish()
        if number % 50 == 0:
            lane.evict("spool_full")
    is_done.set()
    sender.join(15)

    assert not sender.is_alive()
    assert set(off) == {0}
    assert taken == sorted(set(taken))
    counts = lane.counts()
    assert counts.delivered == len(taken)
    assert counts.delivered + counts.evicted["spool_full"] == count
