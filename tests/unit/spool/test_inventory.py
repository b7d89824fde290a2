"""What a lane is found to hold when its files and its ack disagree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rundial.spool import inventory, segment
from rundial.spool.ack import Ack, AckFile, Cursor
from rundial.spool.frame import pack
from rundial.spool.segment import HEADER_BYTES, LaneState
from tests.unit.spool.builders import frame, open_lane

UNITS = 3
FRAME_BYTES = len(pack(frame(1)))


def left(directory: Path, *, answered: int, segments: tuple[int, ...] = (5, 5)) -> str:
    """Leave a lane with two segments of five frames, so many of them answered; return its directory."""
    lane = open_lane(directory, segment_bytes=HEADER_BYTES + segments[0] * FRAME_BYTES)
    for number in range(1, sum(segments) + 1):
        lane.append(frame(number, units=UNITS))
    lane.publish()
    for _ in range(answered):
        found = lane.peek()
        assert found is not None
        lane.ack(found[0], delivered=UNITS)
    lane.close()
    return str(directory / "metrics")


def damage_header(directory: str, number: int) -> None:
    """Flip a byte in a segment's header."""
    path = Path(directory, segment.file_name(number))
    content = bytearray(path.read_bytes())
    content[20] ^= 255
    path.write_bytes(content)


def test_lane_is_found_as_it_was_left(tmp_path: Path) -> None:
    """The next process knows every frame, every answer and every file of the last one."""
    directory = left(tmp_path, answered=2)
    newest = os.stat(f"{directory}/{segment.file_name(2)}").st_mtime_ns
    found = inventory.read(directory, "metrics")

    assert [(each.number, each.base.frames, each.base.units) for each in found.extents] == [
        (1, 0, 0),
        (2, 5, 5 * UNITS),
    ]
    assert [each.size for each in found.extents] == [HEADER_BYTES + 5 * FRAME_BYTES] * 2
    assert found.ack == Ack(Cursor(1, HEADER_BYTES + 2 * FRAME_BYTES), frames=2, delivered=2 * UNITS)
    assert (found.last.frames, found.last.units, found.last.end) == (10, 10 * UNITS, frame(10).end)
    assert (found.ack_was_lost, found.next_number) == (False, 3)
    assert found.newest_unix_ns >= newest


def test_empty_lane_is_found_empty(tmp_path: Path) -> None:
    """A fresh lane begins at nothing, and nothing counts as lost."""
    found = inventory.read(str(tmp_path), "metrics")

    assert found == inventory.Inventory([], LaneState(), Ack(), False, 1, 0)


def test_unreadable_ack_without_segments_is_lost(tmp_path: Path) -> None:
    """That counts may be missing is said even when no frame is left."""
    (tmp_path / "ack").write_bytes(b"?")
    found = inventory.read(str(tmp_path), "metrics")

    assert (found.ack, found.ack_was_lost) == (Ack(), True)


def test_missing_ack_of_a_lane_that_was_never_answered_is_not_lost(tmp_path: Path) -> None:
    """A kill before the first answer is no damage."""
    directory = left(tmp_path, answered=0)
    found = inventory.read(directory, "metrics")

    assert (found.ack_was_lost, found.ack.frames, found.ack.cursor) == (False, 0, Cursor(1, HEADER_BYTES))


def test_missing_ack_of_a_lane_that_was_answered_is_lost(tmp_path: Path) -> None:
    """What the segments that are left say was before them counts as delivered."""
    directory = left(tmp_path, answered=7)
    os.unlink(f"{directory}/ack")
    found = inventory.read(directory, "metrics")

    assert found.ack_was_lost
    assert found.ack == Ack(Cursor(2, HEADER_BYTES), frames=5, delivered=5 * UNITS)


def test_missing_ack_is_noticed_after_a_single_answered_frame(tmp_path: Path) -> None:
    """One frame that is gone is enough to know that something was answered."""
    directory = left(tmp_path, answered=1, segments=(1, 1))
    os.unlink(f"{directory}/ack")
    found = inventory.read(directory, "metrics")

    assert (found.ack_was_lost, found.ack.frames, found.ack.delivered) == (True, 1, UNITS)


def test_segment_that_never_got_its_header_hides_none_behind_it(tmp_path: Path) -> None:
    """A kill while a file was begun costs nothing, wherever that file lies."""
    directory = left(tmp_path, answered=0)
    empty = Path(directory, segment.file_name(0))
    empty.touch()
    found = inventory.read(directory, "metrics")

    assert not empty.exists()
    assert [each.number for each in found.extents] == [1, 2]


def test_answers_beyond_the_ack_are_taken_from_the_first_segment_left(tmp_path: Path) -> None:
    """Segments go only when they are answered, so an ack that is behind them is made to agree."""
    directory = left(tmp_path, answered=2)
    os.unlink(f"{directory}/{segment.file_name(1)}")
    found = inventory.read(directory, "metrics")

    assert found.ack == Ack(Cursor(2, HEADER_BYTES), frames=5, delivered=5 * UNITS)
    assert (found.last.units, found.next_number) == (10 * UNITS, 3)


def test_damaged_header_behind_a_missing_segment_goes_on_from_the_ack(tmp_path: Path) -> None:
    """With nothing else to go by, the counts that were noted stand, and every frame left is delivered."""
    directory = left(tmp_path, answered=2)
    os.unlink(f"{directory}/{segment.file_name(1)}")
    damage_header(directory, 2)
    found = inventory.read(directory, "metrics")

    assert found.extents[0].base == LaneState(frames=2, units=2 * UNITS)
    assert found.ack == Ack(Cursor(2, HEADER_BYTES), frames=2, delivered=2 * UNITS)
    assert (found.last.frames, found.last.units) == (7, 7 * UNITS)


@pytest.mark.parametrize("answered", [5, 7])
def test_damaged_header_of_the_cursors_segment_is_counted_back_from_the_ack(
    tmp_path: Path, answered: int
) -> None:
    """Neither a frame nor a unit is counted twice when the header of the segment being sent is bad."""
    directory = left(tmp_path, answered=answered)
    damage_header(directory, 2)
    found = inventory.read(directory, "metrics")

    assert found.extents[-1].base == LaneState(frames=5, units=5 * UNITS)
    assert (found.ack.frames, found.ack.delivered) == (answered, answered * UNITS)
    assert (found.last.frames, found.last.units) == (10, 10 * UNITS)


def test_damaged_header_in_the_middle_is_counted_on_from_the_segment_before(tmp_path: Path) -> None:
    """The state that a header lost stands at the end of the file before it."""
    directory = left(tmp_path, answered=0, segments=(2, 2, 2))
    damage_header(directory, 2)
    found = inventory.read(directory, "metrics")

    assert [(each.number, each.base.frames, each.base.units) for each in found.extents] == [
        (1, 0, 0),
        (2, 2, 2 * UNITS),
        (3, 4, 4 * UNITS),
    ]
    assert found.extents[1].created_unix_ns == 0 < found.extents[2].created_unix_ns


def test_segments_lost_with_the_power_leave_the_cursor_at_the_end_of_what_is_left(tmp_path: Path) -> None:
    """An ack that names a file that never reached the disk is answered up to the last one that did."""
    directory = left(tmp_path, answered=2)
    AckFile(directory).save(Ack(Cursor(9, 500), frames=4, delivered=12 * UNITS), sync=False)
    found = inventory.read(directory, "metrics")

    assert [each.number for each in found.extents] == [2]
    assert not Path(directory, segment.file_name(1)).exists()
    assert found.ack == Ack(Cursor(2, HEADER_BYTES + 5 * FRAME_BYTES), frames=10, delivered=12 * UNITS)
    assert (found.last.frames, found.last.units, found.next_number) == (10, 12 * UNITS, 10)


def test_number_of_a_segment_that_was_acked_and_removed_is_not_used_again(tmp_path: Path) -> None:
    """A cursor never points into a file that was begun after it was written."""
    AckFile(str(tmp_path)).save(Ack(Cursor(7, HEADER_BYTES), frames=4, delivered=4), sync=False)
    found = inventory.read(str(tmp_path), "metrics")

    assert found == inventory.Inventory(
        [], LaneState(frames=4, units=4), Ack(Cursor(7, HEADER_BYTES), 4, 4), False, 8, 0
    )


def test_torn_tail_is_not_part_of_the_last_segment(tmp_path: Path) -> None:
    """Bytes that a kill left unfinished neither wait nor count."""
    directory = left(tmp_path, answered=0)
    with open(f"{directory}/{segment.file_name(2)}", "ab") as file:
        file.write(b"torn")
    found = inventory.read(directory, "metrics")

    assert found.extents[-1].size == HEADER_BYTES + 5 * FRAME_BYTES
    assert found.last.frames == 10
