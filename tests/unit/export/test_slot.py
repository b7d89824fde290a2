"""One lane at the sender: when it is due, and what it has counted."""

from __future__ import annotations

from random import Random

import pytest

from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Reject, Retry, Split
from rundial.export.slot import LaneReport, Slot
from rundial.signals.split import split_request
from tests.support.lanes import MemorySource, metrics_frame


@pytest.fixture
def slot() -> Slot:
    """A lane with two frames."""
    source = MemorySource("http://host")
    for value in (1.0, 2.0):
        source.lanes["metrics"].append(metrics_frame([value]))
    return Slot(source, "metrics", source.lanes["metrics"])


def test_fresh_lane_is_due_and_has_counted_nothing(slot: Slot) -> None:
    """Delivery begins at once."""
    assert slot.is_due(0.0)
    assert slot.report() == LaneReport(0, 0, 0, None, False, 0)


def test_retry_is_due_when_its_wait_is_over(slot: Slot) -> None:
    """A lane is tried at the moment that was said, not before."""
    wait = slot.back_off(Retry(30.0, "slow down"), {}, 100.0, Random(1))

    assert 30.0 <= wait <= 33.0
    assert (slot.is_due(100.0 + wait - 0.001), slot.is_due(100.0 + wait)) == (False, True)
    assert (slot.attempt, slot.is_repeat) == (1, True)


def test_retries_back_off_further_each_time(slot: Slot) -> None:
    """A server that is down for long is asked ever more rarely."""
    waits = [slot.back_off(Retry(None, "down"), {}, 0.0, Random(1)) for _ in range(12)]

    assert slot.attempt == 12
    assert max(waits[:2]) <= 1.0 < max(waits) <= 60.0


def test_pauses_double_and_a_retry_between_them_begins_anew(slot: Slot) -> None:
    """A lane that only a person can help costs few requests; an outage is another thing."""
    pauses = [slot.back_off(Pause(401, "no"), {}, 50.0, Random(1)) for _ in range(3)]
    paused = slot.report().is_paused, slot.attempt, slot.due_s
    slot.back_off(Retry(None, "down"), {}, 0.0, Random(1))
    retried = slot.report().is_paused, slot.attempt
    again = slot.back_off(Pause(401, "no"), {}, 0.0, Random(1))

    assert pauses == [30.0, 60.0, 120.0]
    assert paused == (True, 0, 170.0)
    assert retried == (False, 1)
    assert (again, slot.attempt) == (30.0, 0)


def test_paused_lane_is_due_when_its_key_changes(slot: Slot) -> None:
    """A new key is tried at once, the refused one is not."""
    source = slot.source
    assert isinstance(source, MemorySource)
    slot.back_off(Pause(401, "no"), dict(source.headers("metrics")), 0.0, Random(1))
    same = slot.is_due(1.0)
    source.key = "key-7654321"

    assert (same, slot.is_due(1.0)) == (False, True)
    slot.note(Accepted(), is_moving=True)
    slot.back_off(Retry(30.0, "slow down"), dict(source.headers("metrics")), 1.0, Random(1))
    source.key = "key-1111111"
    assert not slot.is_due(2.0)


def test_wish_to_try_now_ends_the_wait_and_counts_anew(slot: Slot) -> None:
    """A flush tries a lane at once; if that fails, it backs off as after a first failure."""
    for _ in range(3):
        slot.back_off(Pause(401, "no"), {}, 0.0, Random(1))
    slot.try_now = True
    was_due = slot.is_due(0.0)
    slot.start()

    assert (was_due, slot.try_now, slot.attempt, slot.pauses) == (True, False, 0, 0)
    assert slot.back_off(Pause(401, "no"), {}, 0.0, Random(1)) == 30.0


def test_visit_without_a_wish_keeps_the_backoff(slot: Slot) -> None:
    """An ordinary visit forgets nothing."""
    for _ in range(2):
        slot.back_off(Retry(None, "down"), {}, 0.0, Random(1))
    slot.current(split_request)
    kept = slot.delivery, slot.habits
    slot.start()

    assert (slot.attempt, slot.delivery, slot.habits) == (2, *kept)
    assert slot.delivery is not None


def test_changed_target_forgets_what_was_learnt(slot: Slot) -> None:
    """Another server is not judged by the limits of the last one, and the frame goes out whole again."""
    slot.habits.fits_bytes = 10
    first = slot.current(split_request)
    slot.forget = True
    slot.start()

    assert (slot.forget, slot.delivery, slot.habits.fits_bytes) == (False, None, None)
    second = slot.current(split_request)
    assert second is not None
    assert second is not first


def test_frame_keeps_its_delivery_until_it_is_another(slot: Slot) -> None:
    """What is known of a frame's parts lasts as long as the frame does, and no longer."""
    lane = slot.lane
    first = slot.current(split_request)
    same = slot.current(split_request)
    found = lane.peek()
    assert found is not None
    lane.ack(found[0], delivered=1)
    second = slot.current(split_request)
    assert second is not None
    lane.ack(second.cursor, delivered=1)

    assert first is same is not second
    assert slot.current(split_request) is None
    assert slot.delivery is None


@pytest.mark.parametrize(
    ("outcome", "is_moving", "failed", "error"),
    [
        (Accepted(), True, 0, None),
        (Partial(1, "no"), True, 0, None),
        (Split("too large"), True, 1, "too large"),
        (Reject(400, "malformed"), True, 1, "malformed"),
        (Pause(415, "encoding"), True, 1, "encoding"),
        (Pause(401, "no key"), False, 1, "no key"),
        (Retry(None, "down"), False, 1, "down"),
    ],
)
def test_outcomes_are_counted_and_the_last_fault_is_named(
    slot: Slot, outcome: Outcome, is_moving: bool, failed: int, error: str | None
) -> None:
    """Diagnostics say what went wrong last, until it goes right again."""
    slot.last_error = "something older"
    slot.note(outcome, is_moving)

    assert (slot.failed, slot.last_error) == (failed, error)
    slot.note(outcome, is_moving)
    slot.note(Accepted(), is_moving=True)
    assert (slot.failed, slot.last_error) == (2 * failed, None)


def test_progress_ends_every_backoff(slot: Slot) -> None:
    """After one accept nothing of the outage is left."""
    slot.back_off(Retry(None, "down"), {}, 0.0, Random(1))
    slot.back_off(Pause(401, "no"), {"a": "b"}, 0.0, Random(1))
    slot.note(Accepted(), is_moving=True)

    assert (slot.attempt, slot.pauses, slot.due_s, slot.is_repeat) == (0, 0, 0.0, False)
    assert slot.refused_headers is None
    assert slot.is_due(0.0)


def test_fault_keeps_the_backoff_that_there_is(slot: Slot) -> None:
    """One more failure does not make a lane start from the beginning."""
    slot.back_off(Retry(None, "down"), {}, 0.0, Random(1))
    due = slot.due_s
    slot.note(Retry(None, "down"), is_moving=False)

    assert (slot.attempt, slot.due_s, slot.is_repeat) == (1, due, True)


def test_report_has_each_count_in_its_place(slot: Slot) -> None:
    """What diagnostics show is what happened."""
    slot.requests, slot.retries, slot.failed, slot.last_error, slot.pauses = 5, 3, 2, "down", 1
    slot.sent_bytes = 7

    assert slot.report() == LaneReport(
        requests=5, retries=3, failed=2, last_error="down", is_paused=True, sent_bytes=7
    )
