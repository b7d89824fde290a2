"""One frame on its way, to the request and to the unit: what is learnt, counted, filed and waited for."""

from __future__ import annotations

import gzip
import logging

import pytest

from rundial.export.delivery import BISECT_REQUESTS, Delivery, Habits, Part
from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Reject, Retry, Split
from rundial.signals.split import split_request
from rundial.spool.ack import Cursor
from rundial.spool.frame import Frame
from tests.support.lanes import MemoryLane, metrics_body, metrics_frame
from tests.unit.export.test_delivery import _deliver, _limit, _refuse


class FullLane(MemoryLane):
    """A lane whose disk takes no refused part."""

    error = OSError(28, "No space left on device")

    def reject(self, cursor: Cursor, body: bytes, units: int) -> None:
        """Refuse to keep it."""
        raise self.error


def begun(frame: Frame, habits: Habits | None = None, lane: MemoryLane | None = None) -> Delivery:
    """Return the delivery of a lane's only frame."""
    lane = lane or MemoryLane()
    lane.append(frame)
    found = lane.peek()
    assert found is not None
    return Delivery("metrics", found, habits or Habits(), split_request)


def numbered(count: int) -> Frame:
    """Return a frame of so many points."""
    return metrics_frame([float(n) for n in range(count)])


@pytest.mark.parametrize(
    ("outcome", "goes_on"),
    [
        (Accepted(), True),
        (Partial(1, "no"), True),
        (Split(), True),
        (Reject(400, "no"), True),
        (Pause(415, "encoding"), True),
        (Pause(401, "no"), False),
        (Pause(None, "no"), False),
        (Retry(None, "down"), False),
    ],
)
def test_outcome_says_whether_to_go_on_at_once(outcome: Outcome, goes_on: bool) -> None:
    """What a wait cannot help is not waited for, and what it can is sent again as it was."""
    delivery = begun(numbered(2))
    part = delivery.next_part()

    assert delivery.take(outcome) is goes_on
    assert goes_on or delivery.next_part() is part


def test_plain_body_of_an_encoding_that_is_not_supported_waits() -> None:
    """415 for a body without any encoding is not answered by a request every moment."""
    delivery = begun(metrics_frame([1.0], is_gzip=False))
    part = delivery.next_part()

    assert not delivery.take(Pause(415, "encoding"))
    assert delivery.next_part() is part


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError(28, "No space left on device"), "No space left on device"), (OSError("gone"), "OSError")],
)
def test_refused_part_that_cannot_be_filed_is_counted_and_said(
    caplog: pytest.LogCaptureFixture, error: OSError, reason: str
) -> None:
    """A full disk costs the copy of what was refused, never the count or the delivery."""
    lane = FullLane()
    lane.error = error
    delivery = begun(metrics_frame([1.0], units=7), lane=lane)
    with caplog.at_level(logging.WARNING, "rundial"):
        while not delivery.is_answered:
            delivery.next_part()
            delivery.take(Reject(400, "no"))
        rejected = delivery.settle(lane)

    assert (rejected, lane.rejected, lane.delivered) == (7, 7, 0)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert f"a refused part of 7 units could not be filed ({reason}); it is counted as" in caplog.text
    assert "Free space where the spool lies." in caplog.text


def test_first_limit_is_half_of_what_was_too_large() -> None:
    """The next frame is made small enough before it is sent."""
    habits = Habits()
    delivery = begun(numbered(64), habits)
    size = delivery.next_part().plain_bytes
    delivery.take(Split())

    assert size == len(metrics_body([float(n) for n in range(64)]))
    assert habits.fits_bytes == size // 2


@pytest.mark.parametrize(("known", "is_lower"), [(10, False), (100_000, True)])
def test_known_limit_is_only_lowered_by_what_was_too_large(known: int, is_lower: bool) -> None:
    """A server's limit is never guessed above what is known to fit."""
    habits = Habits(fits_bytes=known)
    delivery = begun(numbered(64), habits)
    delivery.take(Split())

    size = len(metrics_body([float(n) for n in range(64)]))
    assert habits.fits_bytes == (size // 2 if is_lower else known)


@pytest.mark.parametrize(("missing", "parts"), [(0, 1), (1, 2)])
def test_frame_that_fits_its_limit_to_the_byte_leaves_whole(missing: int, parts: int) -> None:
    """What a server is known to take is not cut smaller than it need be."""
    size = len(metrics_body([0.0, 1.0]))
    _, requests, _ = _deliver(numbered(2), lambda _: Accepted(), Habits(fits_bytes=size - missing))

    assert len(requests) == parts


def test_known_limit_is_raised_by_what_fits() -> None:
    """A single point above the limit that a server takes after all is known to fit."""
    habits = Habits(fits_bytes=10)
    delivery = begun(numbered(1), habits)
    part = delivery.next_part()
    delivery.take(Accepted())
    raised = habits.fits_bytes
    smaller = begun(metrics_frame([]), habits)
    smaller.take(Accepted())

    assert raised == part.plain_bytes == habits.fits_bytes


def test_single_item_that_is_too_large_lowers_no_limit() -> None:
    """One huge point is refused, and the others go on as they did."""
    lane, habits = MemoryLane(), Habits()
    delivery = begun(numbered(1), habits, lane)
    delivery.take(Split())

    assert delivery.is_answered
    assert delivery.settle(lane) == 1
    assert habits.fits_bytes is None


def test_bad_point_teaches_nothing_about_compression() -> None:
    """A server that takes gzip goes on getting it after a batch with a poisoned point."""
    habits = Habits()
    _deliver(numbered(8), _refuse({3.0}), habits)
    _deliver(numbered(4), _limit(60), habits)

    assert not habits.is_plain


def test_too_large_a_plain_body_teaches_nothing_about_compression() -> None:
    """A limit on size is not taken for a dislike of gzip."""
    habits = Habits()
    delivery = begun(numbered(8), habits)
    delivery.take(Reject(400, "no"))
    delivery.take(Split())
    delivery.take(Accepted())

    assert not habits.is_plain


@pytest.mark.parametrize("outcome", [Reject(422, "no"), Pause(415, "no")])
def test_plain_body_that_is_taken_teaches_to_send_plain(outcome: Outcome) -> None:
    """A server that cannot gunzip is asked once."""
    habits = Habits()
    delivery = begun(numbered(2), habits)
    delivery.take(outcome)
    part = delivery.next_part()
    delivery.take(Accepted())

    assert (part.is_gzip, habits.is_plain, delivery.is_answered) == (False, True, True)
    assert begun(numbered(2), habits).next_part().body == metrics_body([0.0, 1.0])


def test_search_for_what_is_refused_uses_its_requests_and_no_more() -> None:
    """A server that refuses everything costs a bounded number of requests, and every one is used."""
    lane, requests, stored = _deliver(numbered(200), lambda _: Reject(400, "no"))

    assert len(requests) == BISECT_REQUESTS
    assert (lane.rejected, lane.delivered, stored) == (200, 0, [])
    # Each request but the first, plain one halves a part or files it.
    assert len(lane.parts) == BISECT_REQUESTS // 2


@pytest.mark.parametrize(("rejected", "counted"), [(0, 0), (1, 0), (2, 7), (9, 7)])
def test_refused_items_that_are_no_units_count_only_all_together(rejected: int, counted: int) -> None:
    """How many units some items are is not guessed; that all of them were refused is certain."""
    lane, _, _ = _deliver(metrics_frame([1.0, 2.0], units=7), lambda _: Partial(rejected, "no"))

    assert (lane.rejected, lane.delivered) == (counted, 7 - counted)


def test_refusals_of_several_parts_add_up() -> None:
    """A frame that left in halves counts what each of them lost."""
    outcomes = iter([Split(), Partial(1, "no"), Partial(1, "no")])
    lane, _, _ = _deliver(numbered(2), lambda _: next(outcomes))

    assert (lane.rejected, lane.delivered) == (2, 0)


def test_parts_that_were_taken_are_not_counted_with_the_one_that_was_not() -> None:
    """Where an item is not a unit, a refused half counts for nothing rather than for everything."""
    outcomes = iter([Split(), Accepted(), Reject(400, "no"), Reject(400, "no")])
    lane, _, _ = _deliver(metrics_frame([1.0, 2.0], units=7), lambda _: next(outcomes))

    assert (lane.rejected, lane.delivered) == (0, 7)
    assert len(lane.parts) == 1


def test_halves_say_how_much_is_in_them() -> None:
    """Each half is a request of its own, as compressed as the whole was."""
    habits = Habits()
    delivery = begun(numbered(3), habits)
    delivery.take(Split())
    habits.fits_bytes = None
    halves = [delivery.next_part()]
    delivery.take(Accepted())
    halves.append(delivery.next_part())

    assert sorted((part.items, part.units, part.is_gzip) for part in halves) == [(1, 1, True), (2, 2, True)]
    assert [part.plain_bytes for part in halves] == [len(gzip.decompress(part.body)) for part in halves]


def test_plain_part_is_itself_uncompressed() -> None:
    """Nothing is copied that need not be."""
    part = Part(b"body", False, 1, 2)

    assert part.plain() is part
    assert part.plain_bytes == 4
    assert Part(gzip.compress(b"body"), True, 1, 2).plain() == part
