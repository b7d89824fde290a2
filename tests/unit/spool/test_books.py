"""A lane's books without a disk: where the cursor stands, what waits, and what is old."""

from __future__ import annotations

import pytest

from rundial.spool.ack import Ack, Cursor
from rundial.spool.books import Books, InFlight
from rundial.spool.inventory import Inventory
from rundial.spool.segment import HEADER_BYTES, LaneState
from tests.unit.spool.builders import frame

FRAME_BYTES = 50


def opened() -> Books:
    """Return the books of a lane that never had a frame."""
    return Books(Inventory([], LaneState(), Ack(), ack_was_lost=False, next_number=1, newest_unix_ns=0))


def entered(*frames_a_segment: int) -> Books:
    """Return books with published frames of 2 units; segment n is begun at n * 100 ns."""
    books = opened()
    for segment, count in enumerate(frames_a_segment, start=1):
        books.begin(segment, f"{segment}.seg", segment * 100)
        for _ in range(count):
            books.enter(frame(books.last.frames + 1, units=2), FRAME_BYTES)
    books.published = books.last.frames
    return books


def answer(books: Books, *, delivered: int = 2, rejected: int = 0) -> list[str]:
    """Take the next frame in flight and settle it; return the files that go."""
    cursor = books.next_cursor()
    assert cursor is not None
    books.in_flight = InFlight(cursor, frame(1, units=2), cursor.offset + FRAME_BYTES)
    return books.settle(cursor, delivered, rejected)


def test_cursor_moves_past_each_answered_frame_and_over_each_answered_segment() -> None:
    """What was answered is never sent again, and its files go as soon as nothing in them waits."""
    books = entered(2, 1)
    cursors, doomed = [books.next_cursor()], []
    for _ in range(3):
        doomed.append(answer(books))
        cursors.append(books.next_cursor())

    first = HEADER_BYTES
    assert cursors == [Cursor(1, first), Cursor(1, first + FRAME_BYTES), Cursor(2, first), None]
    assert doomed == [[], ["1.seg"], []]
    assert books.settled.cursor == Cursor(2, first + FRAME_BYTES)


def test_counts_say_what_became_of_every_unit() -> None:
    """At any moment each unit is in one place, and the bytes that wait are those of the frames that do."""
    books = entered(2, 2)
    answer(books, delivered=1, rejected=1)
    counts = books.counts()

    assert (counts.appended, counts.delivered, counts.rejected, counts.waiting) == (8, 1, 1, 6)
    assert (counts.waiting_frames, counts.waiting_bytes) == (3, 3 * FRAME_BYTES)
    assert set(counts.evicted.values()) == {0}
    assert books.size == 2 * HEADER_BYTES + 4 * FRAME_BYTES


def test_eviction_is_settled_with_a_cursor_behind_the_segment() -> None:
    """A kill between the note of an eviction and the end of its files sends and counts nothing twice."""
    books = entered(2, 1)
    answer(books)
    settled = books.without_first("spool_full")

    assert settled.cursor == Cursor(2, HEADER_BYTES)
    assert (settled.frames, settled.units) == (2, 4)
    assert books.evict_first(settled, "spool_full") == ["1.seg"]
    assert (books.counts().evicted["spool_full"], books.counts().waiting) == (2, 2)


@pytest.mark.parametrize("rejected", [0, 1, 2])
def test_frame_evicted_in_flight_counts_by_its_outcome(rejected: int) -> None:
    """A frame that arrives after it was given up is no loss, and the cursor stays where it is."""
    books = entered(1, 1)
    cursor = books.next_cursor()
    assert cursor is not None
    books.in_flight = InFlight(cursor, frame(1, units=2), cursor.offset + FRAME_BYTES)
    books.evict_first(books.without_first("spool_full"), "spool_full")
    books.evict_first(books.settled, "internal_error")
    lost = books.counts().evicted["spool_full"]
    books.settle(cursor, 2 - rejected, rejected)
    counts = books.counts()

    assert lost == 2
    assert (counts.delivered, counts.rejected, sum(counts.evicted.values())) == (2 - rejected, rejected, 0)
    assert books.next_cursor() == Cursor(2, HEADER_BYTES)


def test_only_a_segment_with_waiting_frames_gets_old() -> None:
    """What is answered is not counted as expired, however old it is."""
    books = entered(1)
    one_waits = books.is_first_older(101, with_last=True), books.is_first_older(100, with_last=True)
    answer(books)

    assert one_waits == (True, False)
    assert not books.is_first_older(1000, with_last=True)
    assert not opened().is_first_older(1000, with_last=True)


def test_sealed_segment_is_as_old_as_the_start_of_the_next() -> None:
    """The last write counts, and a live run's last segment does not get old."""
    books = entered(1, 1)
    ages = [books.is_first_older(before, with_last=False) for before in (200, 201)]
    answer(books)

    assert ages == [False, True]
    assert not books.is_first_older(1000, with_last=False)


def test_segment_whose_successor_has_no_date_is_not_old() -> None:
    """A damaged header never makes data expire before its time."""
    books = entered(1, 1)
    books.extents[1].created_unix_ns = 0

    assert not books.is_first_older(1000, with_last=True)


def test_frames_appended_after_publication_are_not_next() -> None:
    """The sender never sees what the encoder has not finished."""
    books = entered(1)
    books.enter(frame(2, units=2), FRAME_BYTES)
    answer(books)

    assert books.next_cursor() is None
    assert (books.waiting_frames, books.counts().waiting_bytes) == (1, FRAME_BYTES)


def test_first_segment_after_all_were_answered_and_gone_starts_where_the_lane_stands() -> None:
    """A lane that was emptied goes on behind what it had, and its cursor at the new file."""
    ack = Ack(cursor=Cursor(3, 500), frames=7, delivered=14)
    state = LaneState(frames=7, units=14)
    books = Books(Inventory([], state, ack, ack_was_lost=False, next_number=4, newest_unix_ns=0))
    doomed = books.begin(4, "4.seg", 900)
    books.enter(frame(8, units=2), FRAME_BYTES)
    books.published = books.last.frames

    assert (doomed, books.next_cursor()) == ([], Cursor(4, HEADER_BYTES))
    assert (books.counts().waiting, books.counts().waiting_bytes) == (2, FRAME_BYTES)
    assert books.newest_unix_ns == 900
