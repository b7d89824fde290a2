"""A lane whose files were damaged: what is lost is counted, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rundial.spool.frame import pack
from rundial.spool.segment import HEADER_BYTES, file_name
from tests.unit.spool.builders import balance, copy_of, drain, filled, frame, open_lane, segments


@pytest.mark.parametrize("segment_bytes", [1000, 100_000])
def test_damaged_frame_is_counted_with_what_lies_behind_it(tmp_path: Path, segment_bytes: int) -> None:
    """A bad block costs the rest of one segment, counted, and delivery goes on behind it."""
    lane = filled(tmp_path, 10, segment_bytes=segment_bytes)
    first = tmp_path / "metrics" / file_name(1)
    content = bytearray(first.read_bytes())
    content[HEADER_BYTES + 2 * len(pack(frame(1))) + 20] ^= 1
    first.write_bytes(content)
    delivered = drain(lane)

    assert delivered[:2] == [1, 2]
    assert lane.evicted["internal_error"] == 10 - len(delivered) > 0
    assert balance(lane) == 0
    lane.append(frame(11))
    lane.publish()
    assert drain(lane) == [11]


def test_damaged_header_costs_no_frame(tmp_path: Path) -> None:
    """Frames have checksums of their own; a header's bad byte loses none of them."""
    for victim in (1, 2, 3):
        place = tmp_path / str(victim)
        lane = filled(place, 12)
        last = lane.last
        found = lane.peek()
        assert found is not None
        lane.ack(found[0], delivered=1)
        lane.close()
        path = place / "metrics" / file_name(victim)
        content = bytearray(path.read_bytes())
        content[30] ^= 255
        path.write_bytes(content)
        lane = open_lane(place)

        assert lane.last == last
        assert drain(lane) == list(range(2, 13))
        assert (lane.delivered, balance(lane)) == (12, 0)


def test_damaged_header_of_the_only_segment_costs_no_frame(tmp_path: Path) -> None:
    """The counts at the cursor say what the header would have."""
    lane = filled(tmp_path, 4, segment_bytes=100_000)
    found = lane.peek()
    assert found is not None
    lane.ack(found[0], delivered=1)
    lane.close()
    path = tmp_path / "metrics" / file_name(1)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    lane = open_lane(tmp_path)

    assert drain(lane) == [2, 3, 4]
    assert (lane.last.frames, lane.last.units, lane.delivered) == (4, 4, 4)


def test_segment_torn_in_its_header_is_swept(tmp_path: Path) -> None:
    """A kill while a segment is begun leaves nothing that stands in the way."""
    for size in (0, 1, HEADER_BYTES - 1):
        place = tmp_path / str(size)
        filled(place, 2).close()
        (place / "metrics" / file_name(2)).write_bytes(bytes(size))
        lane = open_lane(place)
        lane.append(frame(3))
        lane.publish()

        assert segments(place) == [file_name(1), file_name(3)]
        assert drain(lane) == [1, 2, 3]


def test_torn_tail_does_not_wait(tmp_path: Path) -> None:
    """A frame that a kill tore is neither delivered nor counted, in frames or in bytes."""
    filled(tmp_path, 3, segment_bytes=100_000).close()
    path = tmp_path / "metrics" / file_name(1)
    os.truncate(path, path.stat().st_size - 1)
    lane = open_lane(tmp_path)

    assert lane.waiting_bytes == 2 * len(pack(frame(1)))
    assert lane.last.end == frame(2).end
    assert drain(lane) == [1, 2]


def test_segment_with_a_tear_that_stays_is_followed_by_another(tmp_path: Path) -> None:
    """Where a torn frame cannot be cut off, later frames go elsewhere and are all delivered."""
    lane = filled(tmp_path, 2, segment_bytes=100_000)
    path = tmp_path / "metrics" / file_name(1)
    writer = lane._segment
    assert writer is not None
    writer.close()
    writer._descriptor = os.open(path, os.O_RDONLY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        lane.append(frame(3))
    with path.open("ab") as file:
        file.write(pack(frame(3))[:50])
    lane.append(frame(4))
    lane.publish()
    again = open_lane(copy_of(tmp_path, tmp_path / "killed"))

    assert drain(lane) == [1, 2, 4]
    assert drain(again) == [1, 2, 4]
    assert balance(again) == 0


def test_answered_segment_that_a_kill_left_goes_when_the_lane_is_opened(tmp_path: Path) -> None:
    """Files that nobody needs do not add up over crashes, and are never counted."""
    lane = filled(tmp_path, 4, segment_bytes=100_000)
    drain(lane)
    old = (tmp_path / "metrics" / file_name(1)).read_bytes()
    assert lane.reclaim()
    lane.close()
    (tmp_path / "metrics" / file_name(1)).write_bytes(old)
    lane = open_lane(tmp_path)

    assert segments(tmp_path) == [file_name(2)]
    assert (lane.delivered, lane.waiting_frames, lane.bytes_on_disk) == (4, 0, HEADER_BYTES)


def test_segment_of_another_lane_is_left_alone(tmp_path: Path) -> None:
    """A file that strayed into a lane's directory is never sent to that lane's endpoint."""
    filled(tmp_path, 2).close()
    other = open_lane(tmp_path, name="traces")
    other.append(frame(50))
    other.close()
    stray = tmp_path / "metrics" / file_name(9)
    (tmp_path / "traces" / file_name(1)).rename(stray)
    lane = open_lane(tmp_path)
    lane.append(frame(3))
    lane.publish()

    assert drain(lane) == [1, 2, 3]
    assert stray.exists()


def test_segments_lost_behind_the_ack_leave_the_counts_alone(tmp_path: Path) -> None:
    """Files that somebody deleted by hand neither stop the lane nor undo what was answered."""
    lane = filled(tmp_path, 8)
    first = (tmp_path / "metrics" / file_name(1)).read_bytes()
    drain(lane)
    lane.close()
    for path in (tmp_path / "metrics").glob("*.seg"):
        path.unlink()
    (tmp_path / "metrics" / file_name(1)).write_bytes(first)
    lane = open_lane(tmp_path)
    assert (lane.delivered, lane.waiting_frames, balance(lane)) == (8, 0, 0)
    lane.append(frame(9))
    lane.publish()

    assert drain(lane) == [9]
    assert (lane.delivered, balance(lane)) == (9, 0)
