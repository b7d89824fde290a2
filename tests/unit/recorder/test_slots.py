"""A run's place in a ring: its number, its shares, and what was accepted for it by a moment."""

from __future__ import annotations

import pytest

from rundial.errors import RundialError
from rundial.recorder.layout import RUN_SLOTS
from rundial.recorder.slots import RunSlot, Slots

CAPACITY = 16_000


def limits(slot: RunSlot) -> tuple[int, int, int]:
    """Return how full the ring may be for points, text and events."""
    return slot.limit_points, slot.limit_text, slot.limit_events


def test_fresh_slot_has_shares_and_has_counted_nothing() -> None:
    """A log storm leaves room for the loss curve, and a curve for the run's own end."""
    slot = Slots().open(CAPACITY)

    assert limits(slot) == (15_000, 12_000, 16_000)
    assert (slot.index, slot.accepted, slot.at_mark, slot.late) == (
        0,
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    )
    assert not slot.is_closed


def test_ended_run_may_only_add_its_end() -> None:
    """What is logged after the end is refused, and the events that say how it ended are not."""
    slot = Slots().open(CAPACITY)
    slot.is_closed = True
    slot.limit(8_000)

    assert limits(slot) == (-1, -1, 8_000)


def test_closed_slot_takes_nothing_and_its_number_rests_longest() -> None:
    """Records of a run that is gone are not taken for those of the next one."""
    slots = Slots()
    first = slots.open(CAPACITY)
    slots.close(first)
    numbers = [slots.open(CAPACITY).index for _ in range(RUN_SLOTS)]

    assert first.limit_events == -1
    assert numbers == [*range(1, RUN_SLOTS), 0]


def test_more_runs_than_slots_are_refused_with_what_to_do() -> None:
    """A program that never finishes its runs is told so, at the start of one more."""
    slots = Slots()
    opened = [slots.open(CAPACITY) for _ in range(RUN_SLOTS)]
    with pytest.raises(RundialError, match="128 runs are open in this process; finish one"):
        slots.open(CAPACITY)
    slots.close(opened[7])

    assert slots.open(CAPACITY).index == 7


def test_another_ring_sets_the_shares_of_every_open_run() -> None:
    """A ring that replaces another one is shared in the same way."""
    slots = Slots()
    gone, kept = slots.open(CAPACITY), slots.open(CAPACITY)
    slots.close(gone)
    slots.limit(1_600)

    assert limits(kept) == (1_500, 1_200, 1_600)
    assert gone.limit_points == 15_000


def test_mark_remembers_what_was_accepted_by_then() -> None:
    """What the encoder took is told from what came while it was at work."""
    slots = Slots()
    slot, other = slots.open(CAPACITY), slots.open(CAPACITY)
    slot.accepted[0], other.accepted[2] = 5, 9
    slots.mark()
    slot.accepted[0] += 3
    marked = slots.at_mark(slot.index)

    assert (marked, slots.at_mark(other.index)) == ([5, 0, 0, 0], [0, 0, 9, 0])
    assert slots.at_mark(99) is None
    slots.close(slot)
    assert slots.at_mark(slot.index) is None


def test_marks_that_are_read_are_copies() -> None:
    """A reader that goes on counting changes nothing of the ring's."""
    slots = Slots()
    slot = slots.open(CAPACITY)
    marked = slots.at_mark(slot.index)
    assert marked is not None
    marked[0] += 1
    slots.mark()
    slot.at_mark[1] += 1

    assert slots.at_mark(slot.index) == [0, 1, 0, 0]
    assert slot.accepted == [0, 0, 0, 0]
