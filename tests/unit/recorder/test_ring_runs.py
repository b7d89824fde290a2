"""Runs in one ring, what a full one gives up, and a ring that moves to other memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.errors import RundialError
from rundial.recorder import counters, layout
from rundial.recorder.layout import Kind
from rundial.recorder.ring import Ring
from rundial.recorder.scan import scan
from rundial.recorder.slots import RunSlot
from tests.unit.recorder.builders import (
    Interruption,
    Row,
    between_bytecodes,
    dropped,
    fill,
    keys_of,
    killed,
    left_in,
    numbers_in,
    put,
    put_line,
    ring_file,
    rows_in,
    small_ring,
)


def test_a_closed_run_refuses_all_but_its_last_events() -> None:
    """What comes after finish is counted after_finish; the run's own end still gets through."""
    ring = small_ring()
    slot = ring.open_slot()
    ring.close_intake(slot)

    assert not put(ring, slot, 1, keys_of())
    assert not put_line(ring, slot, 1)
    assert not ring.record(Kind.SPAN_START, slot, b"[]")
    assert ring.record(Kind.EVENT, slot, b"[]")
    assert slot.late == [1, 1, 0, 0]
    ring.close_slot(slot)
    assert not ring.record(Kind.EVENT, slot, b"[]")


def test_a_run_that_is_gone_never_speaks_in_the_name_of_the_next() -> None:
    """A slot given to another run takes nothing from the one before it, counters included."""
    ring = small_ring()
    first = ring.open_slot()
    ring.close_intake(first)
    ring.close_slot(first)
    slots = [ring.open_slot() for _ in range(layout.RUN_SLOTS)]
    again = next(slot for slot in slots if slot.index == first.index)

    put(ring, first, 1, keys_of())
    put_line(ring, first, 1)
    ring.record(Kind.EVENT, first, b"[]")

    assert left_in(ring.file) == []
    assert dropped(ring, again) == {}
    assert first.late == [1, 1, 0, 0]


def test_a_process_has_room_for_128_runs_and_says_so() -> None:
    """The 129th run is refused with advice, and there is room again when one ends."""
    ring = small_ring()
    slots = [ring.open_slot() for _ in range(layout.RUN_SLOTS)]
    with pytest.raises(RundialError, match="128 runs"):
        ring.open_slot()
    ring.close_slot(slots[5])

    assert ring.open_slot().index == 5


def evictable(ring: Ring, slot: RunSlot, count: int) -> list[tuple[int, dict[tuple[int, int], int]]]:
    """Log `count` lines in each of two parts, and return the parts."""
    parts: list[tuple[int, dict[tuple[int, int], int]]] = []
    for part in range(2):
        for step in range(count):
            assert put_line(ring, slot, part * count + step, body=bytes(900))
        parts.append((ring.take()[1], {(slot.index, 1): count}))
    return parts


def evicted_lines(ring: Ring, slot: RunSlot) -> int:
    """Return the evicted lines as a kill at this moment would show them."""
    return counters.evicted(killed(ring.file).words, slot.index)["lines"]


def test_a_ring_gives_up_its_oldest_only_when_it_may() -> None:
    """Rule 15: while the spool can be written the newest is refused; while it cannot, the oldest goes."""
    ring = small_ring()
    slot = ring.open_slot()
    parts = evictable(ring, slot, 10)
    refused_at = fill(ring, slot)
    assert numbers_in(left_in(ring.file))[:20] == list(range(20))

    ring.allow_eviction(parts)
    assert put_line(ring, slot, 777, body=bytes(900))
    assert numbers_in(left_in(ring.file))[:10] == list(range(10, 20))
    assert evicted_lines(ring, slot) == 10

    ring.forbid_eviction()
    fill(ring, slot)
    assert numbers_in(left_in(ring.file))[:10] == list(range(10, 20))
    assert refused_at > 0


def test_a_kill_at_any_bytecode_of_an_eviction_counts_each_record_once() -> None:
    """Rules 1 and 15: what is in the ring is not counted lost, and what is counted lost is not in it."""
    ring = small_ring()
    slot = ring.open_slot()
    parts = evictable(ring, slot, 10)
    taken = 20 + fill(ring, slot)
    ring.allow_eviction(parts)
    states = set()

    def look() -> None:
        copy = killed(ring.file)
        there = len([number for number in numbers_in(left_in(copy)) if number != 777])
        lost = counters.evicted(copy.words, slot.index)["lines"]
        assert there + lost == taken
        states.add(lost)

    with between_bytecodes(look):
        for _ in range(13):
            assert put_line(ring, slot, 777, body=bytes(900))

    assert states == {0, 10, 20}


def test_an_exception_in_an_eviction_counts_each_record_once() -> None:
    """Rule 15: an interrupted eviction is done later or never, and then never counted."""
    for goes_on in (True, False):
        for moment in range(1, 500):
            ring = small_ring()
            slot = ring.open_slot()
            parts = evictable(ring, slot, 10)
            fill(ring, slot)
            there = len(left_in(ring.file))
            ring.allow_eviction(parts)
            left = [moment]

            def strike(left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] == 0:
                    raise Interruption

            try:
                with between_bytecodes(strike, only_after_calls=True):
                    put_line(ring, slot, 777, body=bytes(900))
            except Interruption:
                pass
            else:
                break
            if goes_on:
                put_line(ring, slot, 777, body=bytes(900))
            ring.forbid_eviction()
            start, end = ring.take()
            lines = [n for n in numbers_in(left_in(ring.file)) if n != 777]
            assert start == killed(ring.file).words[layout.WORD_TAIL]
            ring.release(end)

            assert len(lines) + evicted_lines(ring, slot) == there
        assert moment > 10


def test_a_moved_ring_keeps_counters_sequence_and_names(tmp_path: Path) -> None:
    """Rule 6: whoever deletes the ring's file costs no record and no count."""
    ring = small_ring(tmp_path)
    slot = ring.open_slot()
    keys = keys_of()
    put(ring, slot, 1, keys)
    ring.drop(slot, "points", "invalid", 4)

    old, start, end = ring.move(ring_file(tmp_path))
    put(ring, slot, 2, keys)

    assert [row.step for row in rows_in(list(scan(old, start, end)))] == [1]
    assert rows_in(left_in(killed(ring.file))) == [Row(("loss",), 2, (2.0,))]
    assert dropped(ring, slot) == {"points": {"invalid": 4}}
    assert [record.seq for record in left_in(ring.file)] == [3, 4]
    assert ring.tail > end


def test_a_smaller_ring_has_smaller_limits() -> None:
    """Shares and record size follow the memory that there is now."""
    ring = small_ring(size_bytes=1 << 20)
    slot = ring.open_slot()
    ring.move(ring_file())

    assert not put_line(ring, slot, 1, body=bytes(5000))
    fill(ring, slot)
    assert ring.head - ring.tail <= ring.capacity * 3 // 4
