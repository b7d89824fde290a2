"""The ring: what it accepts is there after a kill, once and in order; what it refuses is counted."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rundial.errors import RundialError
from rundial.recorder import layout
from rundial.recorder import ring as ring_module
from rundial.recorder.keysets import MAX_KEY_SETS, KeySet, KeySets
from rundial.recorder.layout import BODY_AT, HEADER_BYTES, NO_STEP, Kind
from rundial.recorder.ring import MAX_DEFERRED, MAX_RECORD_BYTES, Ring, RunSlot
from tests.unit.recorder.builders import (
    Row,
    between_bytecodes,
    dropped,
    fill,
    killed,
    left_in,
    numbers_in,
    ring_file,
    rows_in,
    small_ring,
)

Log = Callable[[], bool]


def keys_of(*names: str, number: int = 1) -> KeySet:
    """Return a key set."""
    return KeySet(names or ("loss",), (), number)


def put(ring: Ring, slot: RunSlot, step: int, keys: KeySet) -> bool:
    """Log a row whose values are its step."""
    return ring.row(slot, keys, keys.pack(*[float(step)] * keys.size), step)


def say(ring: Ring, slot: RunSlot, step: int, *, body: bytes = b"line") -> bool:
    """Log a line."""
    return ring.record(Kind.TEXT, slot, body, signal="lines", step=step)


def empty(ring: Ring) -> None:
    """Take everything and give it back."""
    ring.release(ring.take()[1])


# What was accepted is there.


def test_an_accepted_record_survives_a_kill_right_after_the_call(tmp_path: Path) -> None:
    """When log returns, the record is in the mapping, with its names, step and values."""
    ring = small_ring(tmp_path)
    slot = ring.open_slot()
    keys = keys_of("loss", "acc")

    assert ring.row(slot, keys, keys.pack(0.5, 2.0), 3)
    assert ring.record(Kind.EVENT, slot, b"[]")

    found = left_in(killed(ring.file))
    assert rows_in(found) == [Row(("loss", "acc"), 3, (0.5, 2.0))]
    assert [record.kind for record in found] == [Kind.KEYS, Kind.ROW, Kind.EVENT]
    assert {record.run for record in found[1:]} == {slot.index}
    assert [record.seq for record in found] == [1, 2, 3]


def test_a_kill_at_any_bytecode_leaves_what_was_accepted_and_at_most_the_call_under_way() -> None:
    """Rule 2: commit words are cleared first and written last, also over old laps and at the wrap."""
    ring = small_ring()
    slot = ring.open_slot()
    keys, other = keys_of("a", number=1), keys_of("b", "c", number=2)
    fill(ring, slot, body_bytes=3000)
    empty(ring)
    accepted: list[int] = []
    looks = [0]

    def look() -> None:
        looks[0] += 1
        numbers = numbers_in(left_in(killed(ring.file)))
        assert numbers in (accepted, [*accepted, step])

    # The ring was filled once, so every place holds an old record, and the end of the lap comes by.
    with between_bytecodes(look):
        for step in range(1, 17):
            done = (
                say(ring, slot, step, body=bytes(3500))
                if step % 3 == 0
                else put(ring, slot, step, keys if step % 3 == 1 else other)
            )
            assert done
            accepted.append(step)

    assert ring.head // ring.capacity > ring.tail // ring.capacity
    assert looks[0] > 500
    assert {row.names for row in rows_in(left_in(killed(ring.file)))} == {("a",), ("b", "c")}


def test_user_bytes_never_look_like_a_record() -> None:
    """Rule 2: a line made of positions and old records of the ring itself is read as a line."""
    ring = small_ring()
    slot = ring.open_slot()
    ring.row(slot, keys_of(), bytes(8), 1)
    stolen = bytes(ring.file.memory[HEADER_BYTES : HEADER_BYTES + 200])
    position = ring.head
    forged = b"".join((position + 8 * offset).to_bytes(8, "little") for offset in range(300))
    assert say(ring, slot, 2, body=forged)
    assert say(ring, slot, 3, body=stolen)
    # The next record is smaller than the old bytes around it.
    empty(ring)
    ring.head = ring.tail = position
    ring.file.words[layout.WORD_TAIL] = position
    assert say(ring, slot, 4)

    assert numbers_in(left_in(killed(ring.file))) == [4]


@pytest.mark.parametrize("gap", range(0, 120, 8))
def test_a_wrap_leaves_any_gap_and_loses_nothing(gap: int) -> None:
    """Records go on at the start when what is left before the end is too small, whatever it is."""
    ring = small_ring()
    slot = ring.open_slot()
    to_end = ring.capacity - gap
    while to_end - ring.head % ring.capacity > 4000:
        assert say(ring, slot, 0, body=bytes(1000 - BODY_AT))
        empty(ring)
    assert say(ring, slot, 1, body=bytes(to_end - ring.head % ring.capacity - BODY_AT))
    assert ring.head % ring.capacity == to_end % ring.capacity
    assert say(ring, slot, 2, body=bytes(gap))
    assert say(ring, slot, 3)

    assert numbers_in(left_in(killed(ring.file)))[-3:] == [1, 2, 3]


def test_a_forked_childs_ring_goes_on_where_the_parents_was() -> None:
    """Rule 10: a key set that the parent's ring holds is written again in the child's."""
    ring = small_ring()
    keys = keys_of()
    put(ring, ring.open_slot(), 1, keys)

    child = Ring(ring_file(), wake=lambda: None, after=ring)
    put(child, child.open_slot(), 2, keys)

    assert child.tail > ring.head
    assert rows_in(left_in(killed(child.file))) == [Row(("loss",), 2, (2.0,))]
    assert left_in(child.file)[-1].seq == 4


# Key sets.


def test_a_key_set_is_written_again_after_each_take() -> None:
    """Rule 5: whatever the encoder has taken away, a row's names are in the ring with it."""
    ring = small_ring()
    slot = ring.open_slot()
    keys = keys_of()
    for lap in range(3):
        assert put(ring, slot, 2 * lap, keys)
        assert put(ring, slot, 2 * lap + 1, keys)
        end = ring.take()[1]
        assert put(ring, slot, 100 + lap, keys)
        ring.release(end)

        assert rows_in(left_in(killed(ring.file))) == [Row(("loss",), 100 + lap, (100.0 + lap,))]
        empty(ring)


def test_a_key_set_is_written_once_a_take() -> None:
    """A loop that logs the same names a thousand times pays for them once."""
    ring = small_ring()
    slot = ring.open_slot()
    keys = keys_of()
    for step in range(100):
        put(ring, slot, step, keys)

    assert [record.kind for record in left_in(ring.file)].count(Kind.KEYS) == 1


def test_a_row_without_a_number_carries_its_names() -> None:
    """Rule 5: beyond 4,096 key sets rows are whole by themselves."""
    sets = KeySets()
    for index in range(MAX_KEY_SETS):
        sets.get([f"k{index}"])
    ring = small_ring()
    slot = ring.open_slot()

    assert put(ring, slot, 1, sets.get(["beyond", "the cap"]))

    assert rows_in(left_in(killed(ring.file))) == [Row(("beyond", "the cap"), 1, (1.0, 1.0))]
    assert [record.kind for record in left_in(ring.file)] == [Kind.ROW]


def test_a_finaliser_that_logs_during_a_take_keeps_its_names() -> None:
    """A record that arrives while the take is going on belongs to the next one, with its key set."""
    for moment in range(1, 200):
        ring = small_ring()
        slot = ring.open_slot()
        keys = keys_of()
        put(ring, slot, 1, keys)
        empty(ring)
        put(ring, slot, 2, keys)
        left = [moment]

        def log_once(
            ring: Ring = ring, slot: RunSlot = slot, keys: KeySet = keys, left: list[int] = left
        ) -> None:
            left[0] -= 1
            if left[0] == 0:
                assert put(ring, slot, 3, keys)

        with between_bytecodes(log_once):
            start, end = ring.take()
        marked = ring.at_mark(slot.index)
        taken = [record for record in left_in(ring.file) if start <= record.position < end]
        ring.release(end)
        if left[0] > 0:
            break

        assert marked is not None
        assert marked[0] == 1 + len(rows_in(taken))
        later = rows_in(left_in(killed(ring.file)))
        assert [row.step for row in rows_in(taken)] + [row.step for row in later] == [2, 3]
    else:
        pytest.fail("a take never ended")
    assert moment > 20


# Limits.


def test_a_full_ring_refuses_the_newest_whole_and_counts_it() -> None:
    """Nothing that was accepted is overwritten; what is refused is counted queue_full."""
    ring = small_ring()
    slot = ring.open_slot()
    keys = keys_of("a", "b", "c")
    count = 0
    while put(ring, slot, count, keys):
        count += 1
    assert not put(ring, slot, count + 1, keys)

    assert numbers_in(left_in(killed(ring.file))) == list(range(count))
    assert dropped(ring, slot) == {"points": {"queue_full": 6}}
    assert slot.accepted == [3 * count, 0, 0]


def test_text_leaves_room_for_points_and_points_for_run_events() -> None:
    """Rule 7: a log storm takes 3/4 of the ring, points 15/16, run events all of it."""
    ring = small_ring()
    slot = ring.open_slot()
    fill(ring, slot, body_bytes=100)
    text_bytes = ring.head - ring.tail
    keys = keys_of()
    count = 0
    while put(ring, slot, count, keys):
        count += 1
    points_bytes = ring.head - ring.tail
    while ring.record(Kind.EVENT, slot, b"[]"):
        pass

    assert ring.capacity * 3 // 4 - 200 < text_bytes <= ring.capacity * 3 // 4
    assert ring.capacity * 15 // 16 - 200 < points_bytes <= ring.capacity * 15 // 16
    assert ring.capacity - 200 < ring.head - ring.tail <= ring.capacity
    assert count > 50


@pytest.mark.parametrize("size_bytes", [1 << 20, 4 << 20])
def test_a_record_is_at_most_64_kib_and_a_sixteenth_of_the_ring(size_bytes: int) -> None:
    """Rule 8: a longer line or span is refused whole and counted too_large."""
    ring = small_ring(size_bytes=size_bytes)
    slot = ring.open_slot()
    limit = min(MAX_RECORD_BYTES, ring.capacity // 16)

    assert ring.record(Kind.TEXT, slot, bytes(limit), signal="lines")
    assert not ring.record(Kind.TEXT, slot, bytes(limit + 1), signal="lines")
    assert not ring.record(Kind.SPAN_END, slot, bytes(limit + 1), signal="spans")
    assert dropped(ring, slot) == {"lines": {"too_large": 1}, "spans": {"too_large": 1}}


@pytest.mark.parametrize("number", [1, 0])
def test_a_row_that_is_too_long_is_refused_and_costs_nobody_else(number: int) -> None:
    """Rule 8 for rows: too_large, not queue_full for ever, and no other record is evicted for it."""
    ring = small_ring()
    slot = ring.open_slot()
    say(ring, slot, 0)
    end = ring.take()[1]
    ring.allow_eviction([(end, {(slot.index, 1): 1})])
    wide = keys_of(*[f"k{index}" for index in range(600)], number=number)

    assert not put(ring, slot, 1, wide)
    assert put(ring, slot, 2, keys_of(number=2))

    assert dropped(ring, slot) == {"points": {"too_large": 600}}
    assert numbers_in(left_in(ring.file)) == [0, 2]


def test_a_run_event_is_never_too_large_for_a_small_ring() -> None:
    """A run without its start and finish is worth little, so its events have no limit but the ring."""
    ring = small_ring(size_bytes=1 << 20)
    slot = ring.open_slot()

    assert ring.capacity // 16 < 61_440
    assert ring.record(Kind.EVENT, slot, bytes(61_440))


# Times.


def test_implicit_times_are_even_and_grow_whatever_the_clock_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 17: no two points of a process share a time, also when NTP sets the clock back."""
    times = iter([1_000_001, 1_000_001, 1_000_000, 5, 2_000_000, 2_000_001])
    ring = small_ring()
    slot = ring.open_slot()
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    for step in range(6):
        say(ring, slot, step)
    monkeypatch.undo()

    stamps = [record.time_unix_ns for record in left_in(ring.file)]
    assert stamps == [1_000_000, 1_000_002, 1_000_004, 1_000_006, 2_000_000, 2_000_002]


def test_an_explicit_time_is_kept_and_moves_no_other() -> None:
    """Rule 17: the user's own time is odd, stays as it is, and the clock's go on from the clock's."""
    ring = small_ring()
    slot = ring.open_slot()
    far = 4_000_000_000_000_000_001
    say(ring, slot, 1)
    ring.row(slot, keys_of(), bytes(8), 2, far)
    say(ring, slot, 3)

    stamps = {record.step: record.time_unix_ns for record in left_in(ring.file) if record.kind != Kind.KEYS}
    assert stamps[2] == far
    assert stamps[1] < stamps[3] < far
    assert stamps[1] % 2 == stamps[3] % 2 == 0


# Re-entrancy.


def test_a_record_logged_from_inside_a_call_is_there_once() -> None:
    """Rule 3: a signal handler that logs at any instruction of log neither deadlocks nor loses a record."""
    for moment in range(1, 2000):
        ring = small_ring()
        slot = ring.open_slot()
        keys, other = keys_of("a", number=1), keys_of("b", number=2)
        put(ring, slot, 1, keys)
        left = [moment]

        def interrupt(
            ring: Ring = ring, slot: RunSlot = slot, other: KeySet = other, left: list[int] = left
        ) -> None:
            left[0] -= 1
            if left[0] == 0:
                assert put(ring, slot, 3, other)
                ring.drop(slot, "spans", "invalid", 2)

        with between_bytecodes(interrupt):
            assert put(ring, slot, 2, keys)
        if left[0] > 0:
            break

        found = rows_in(left_in(killed(ring.file)))
        assert sorted(row.step for row in found) == [1, 2, 3]
        assert {row.step: row.names for row in found} == {1: ("a",), 2: ("a",), 3: ("b",)}
        assert dropped(ring, slot) == {"spans": {"invalid": 2}}
        assert slot.accepted == [3, 0, 0]
    assert moment > 50


class Interruption(Exception):
    """Raised by a signal handler."""


@pytest.mark.parametrize("logs_first", [False, True], ids=["raises", "logs and raises"])
def test_an_exception_at_any_call_inside_leaves_a_ring_that_works(logs_first: bool) -> None:
    """Rule 3: KeyboardInterrupt inside log loses no accepted record, and doubles none."""
    for moment in range(1, 2000):
        ring = small_ring()
        slot = ring.open_slot()
        keys, other = keys_of("a", number=1), keys_of("b", number=2)
        accepted = [1]
        put(ring, slot, 1, keys)
        ring.take()
        left = [moment]

        def interrupt(
            ring: Ring = ring, slot: RunSlot = slot, other: KeySet = other, left: list[int] = left
        ) -> None:
            left[0] -= 1
            if left[0] == 0:
                if logs_first:
                    assert put(ring, slot, 3, other)
                raise Interruption

        try:
            with between_bytecodes(interrupt, only_after_calls=True):
                assert put(ring, slot, 2, keys)
        except Interruption:
            accepted += [3] if logs_first else []
        else:
            break
        assert put(ring, slot, 4, keys)
        assert say(ring, slot, 5)
        ring.take()

        steps = numbers_in(left_in(killed(ring.file)))
        assert set(steps) - {2} == {*accepted, 4, 5}
        assert len(steps) == len(set(steps))
        assert len(rows_in(left_in(ring.file))) == len(steps) - 1
    assert moment > 5


def test_an_exception_while_deferred_records_are_written_loses_and_doubles_none() -> None:
    """Rule 3: a second signal that strikes while the first one's record is put in."""
    for moment in range(1, 2000):
        ring = small_ring()
        slot = ring.open_slot()
        keys = keys_of("a", number=1)
        put(ring, slot, 1, keys)
        calls = [0]
        is_deferred = [False]

        def interrupt(
            ring: Ring = ring,
            slot: RunSlot = slot,
            keys: KeySet = keys,
            calls: list[int] = calls,
            is_deferred: list[bool] = is_deferred,
            moment: int = moment,
        ) -> None:
            if not is_deferred[0]:
                is_deferred[0] = ring._busy and put(ring, slot, 3, keys)
                return
            calls[0] += 1
            if calls[0] == moment:
                raise Interruption

        try:
            with between_bytecodes(interrupt, only_after_calls=True):
                put(ring, slot, 2, keys)
        except Interruption:
            pass
        else:
            break
        assert put(ring, slot, 4, keys)
        ring.take()

        steps = numbers_in(left_in(killed(ring.file)))
        assert set(steps) - {2} == {1, 3, 4}
        assert len(steps) == len(set(steps))
    assert moment > 10


def test_one_interruption_fills_no_memory_and_what_it_loses_is_counted() -> None:
    """A handler that dumps without end inside log has a thousand records deferred and the rest counted."""
    ring = small_ring(size_bytes=1 << 20)
    slot = ring.open_slot()
    results: list[bool] = []

    def dump() -> None:
        if ring._busy and not results:
            results.extend(say(ring, slot, step) for step in range(MAX_DEFERRED + 10))
            results.append(ring.record(Kind.EVENT, slot, b"[]"))

    with between_bytecodes(dump):
        assert say(ring, slot, 9_999)

    assert results == [True] * MAX_DEFERRED + [False] * 11
    assert numbers_in(left_in(ring.file)) == [9_999, *range(MAX_DEFERRED)]
    assert dropped(ring, slot) == {"lines": {"queue_full": 10}}


class Striker:
    """A signal handler that logs every other time, and raises, but only inside a call of log."""

    def __init__(self, log: Callable[[int], bool]) -> None:
        self._log = log
        self.is_armed = False
        self.count = 0
        self.accepted: list[int] = []

    def __call__(self, number: int, frame: object) -> None:
        del number, frame
        if not self.is_armed:
            return
        self.count += 1
        step = 1_000_000 + self.count
        if self.count % 2 and self._log(step):
            self.accepted.append(step)
        self.is_armed = False
        raise Interruption

    def attempt(self, log: Callable[[int], bool], step: int) -> bool:
        """Log under fire; return whether the call came back and said that it was accepted."""
        try:
            self.is_armed = True
            is_accepted = log(step)
            self.is_armed = False
        except Interruption:
            return False
        return is_accepted


def test_real_signals_that_raise_inside_log_lose_and_double_nothing() -> None:
    """Rule 3: exceptions thrown into log() two thousand times a second; accepted == recovered."""
    ring = small_ring(size_bytes=16 << 20)
    slot = ring.open_slot()
    keys = keys_of()
    accepted: list[int] = []
    strike = Striker(lambda step: say(ring, slot, step))
    before = signal.signal(signal.SIGALRM, strike)
    end = time.monotonic() + 0.5
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        # Never so many that the ring would be full.
        for step in range(100_000):
            if strike.attempt(lambda step: put(ring, slot, step, keys), step):
                accepted.append(step)
            if time.monotonic() > end:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    ring.take()

    steps = numbers_in(left_in(killed(ring.file)))
    assert len(steps) == len(set(steps))
    assert dropped(ring, slot) == {}
    assert set(accepted) | set(strike.accepted) <= set(steps)
    # Beyond those, at most the call that each exception cut short.
    assert len(steps) <= len(accepted) + len(strike.accepted) + strike.count
    assert strike.count > 50


def test_a_finaliser_that_logs_inside_log_does_not_deadlock() -> None:
    """Rule 3: the garbage collector may run anybody's code anywhere, also ours inside our own lock."""
    ring = small_ring(size_bytes=8 << 20)
    slot = ring.open_slot()
    keys = keys_of()
    finished: list[int] = []

    class Noisy:
        def __init__(self, number: int) -> None:
            self.number = number
            self.me = self

        def __del__(self) -> None:
            if say(ring, slot, self.number):
                finished.append(self.number)

    before = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for step in range(2000):
            Noisy(10_000 + step)
            assert put(ring, slot, step, keys)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    ring.take()

    steps = numbers_in(left_in(killed(ring.file)))
    assert sorted(steps) == sorted([*range(2000), *finished])
    assert len(finished) == 2000


def test_the_encoder_is_woken_outside_the_lock() -> None:
    """Rule 3: whoever is woken finds the lock free."""
    is_free: list[bool] = []

    def wake() -> None:
        other = threading.Thread(target=ring.drop, args=(slot, "points", "invalid", 1))
        other.start()
        other.join(5)
        is_free.append(not other.is_alive())

    ring = Ring(ring_file(), wake=wake)
    slot = ring.open_slot()
    fill(ring, slot)

    # At a quarter of the ring, and not again before the next take.
    assert is_free == [True]
    empty(ring)
    fill(ring, slot)
    assert is_free == [True, True]


def test_a_ring_whose_lock_was_left_busy_heals_with_the_next_take() -> None:
    """An exception between the last two instructions of a call must not put off every record for ever."""
    ring = small_ring()
    slot = ring.open_slot()
    ring._busy = True
    assert say(ring, slot, 1)
    ring.take()
    assert say(ring, slot, 2)

    assert numbers_in(left_in(killed(ring.file))) == [1, 2]


# Runs.


def test_a_closed_run_refuses_all_but_its_last_events() -> None:
    """What comes after finish is counted after_finish; the run's own end still gets through."""
    ring = small_ring()
    slot = ring.open_slot()
    ring.close_intake(slot)

    assert not put(ring, slot, 1, keys_of())
    assert not say(ring, slot, 1)
    assert not ring.record(Kind.SPAN_START, slot, b"[]")
    assert ring.record(Kind.EVENT, slot, b"[]")
    assert slot.late == [1, 1, 0]
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
    say(ring, first, 1)
    ring.record(Kind.EVENT, first, b"[]")

    assert left_in(ring.file) == []
    assert dropped(ring, again) == {}
    assert first.late == [1, 1, 0]


def test_a_process_has_room_for_128_runs_and_says_so() -> None:
    """The 129th run is refused with advice, and there is room again when one ends."""
    ring = small_ring()
    slots = [ring.open_slot() for _ in range(layout.RUN_SLOTS)]
    with pytest.raises(RundialError, match="128 runs"):
        ring.open_slot()
    ring.close_slot(slots[5])

    assert ring.open_slot().index == 5


# Eviction.


def evictable(ring: Ring, slot: RunSlot, count: int) -> list[tuple[int, dict[tuple[int, int], int]]]:
    """Log `count` lines in each of two parts, and return the parts."""
    parts: list[tuple[int, dict[tuple[int, int], int]]] = []
    for part in range(2):
        for step in range(count):
            assert say(ring, slot, part * count + step, body=bytes(900))
        parts.append((ring.take()[1], {(slot.index, 1): count}))
    return parts


def evicted_lines(ring: Ring, slot: RunSlot) -> int:
    """Return the evicted lines as a kill at this moment would show them."""
    return ring_module.counters.evicted(killed(ring.file).words, slot.index)["lines"]


def test_a_ring_gives_up_its_oldest_only_when_it_may() -> None:
    """Rule 15: while the spool can be written the newest is refused; while it cannot, the oldest goes."""
    ring = small_ring()
    slot = ring.open_slot()
    parts = evictable(ring, slot, 10)
    refused_at = fill(ring, slot)
    assert numbers_in(left_in(ring.file))[:20] == list(range(20))

    ring.allow_eviction(parts)
    assert say(ring, slot, 777, body=bytes(900))
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
        lost = ring_module.counters.evicted(copy.words, slot.index)["lines"]
        assert there + lost == taken
        states.add(lost)

    with between_bytecodes(look):
        for _ in range(13):
            assert say(ring, slot, 777, body=bytes(900))

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
                    say(ring, slot, 777, body=bytes(900))
            except Interruption:
                pass
            else:
                break
            if goes_on:
                say(ring, slot, 777, body=bytes(900))
            ring.forbid_eviction()
            start, end = ring.take()
            lines = [n for n in numbers_in(left_in(ring.file)) if n != 777]
            assert start == killed(ring.file).words[layout.WORD_TAIL]
            ring.release(end)

            assert len(lines) + evicted_lines(ring, slot) == there
        assert moment > 10


# Moving.


def test_a_moved_ring_keeps_counters_sequence_and_names(tmp_path: Path) -> None:
    """Rule 6: whoever deletes the ring's file costs no record and no count."""
    ring = small_ring(tmp_path)
    slot = ring.open_slot()
    keys = keys_of()
    put(ring, slot, 1, keys)
    ring.drop(slot, "points", "invalid", 4)

    old, start, end = ring.move(ring_file(tmp_path))
    put(ring, slot, 2, keys)

    assert [row.step for row in rows_in(list(ring_module.scan(old, start, end)))] == [1]
    assert rows_in(left_in(killed(ring.file))) == [Row(("loss",), 2, (2.0,))]
    assert dropped(ring, slot) == {"points": {"invalid": 4}}
    assert [record.seq for record in left_in(ring.file)] == [3, 4]
    assert ring.tail > end


def test_a_smaller_ring_has_smaller_limits() -> None:
    """Shares and record size follow the memory that there is now."""
    ring = small_ring(size_bytes=1 << 20)
    slot = ring.open_slot()
    ring.move(ring_file())

    assert not say(ring, slot, 1, body=bytes(5000))
    fill(ring, slot)
    assert ring.head - ring.tail <= ring.capacity * 3 // 4


# Threads.


@pytest.mark.stress
def test_threads_lose_and_double_nothing() -> None:
    """Eight threads and an encoder: every accepted record is taken once, each thread's in its order."""
    ring = small_ring()
    slot = ring.open_slot()
    accepted: list[list[int]] = [[] for _ in range(8)]
    taken: list[int] = []
    stop = threading.Event()

    def work(thread: int) -> None:
        keys = keys_of(f"t{thread}", number=thread + 1)
        for step in range(thread * 10_000, thread * 10_000 + 400):
            action: Callable[[], bool] = (
                (lambda step=step: put(ring, slot, step, keys))
                if step % 2
                else (lambda step=step: say(ring, slot, step))
            )
            if action():
                accepted[thread].append(step)

    def encode() -> None:
        while not stop.is_set() or ring.head != ring.tail:
            start, end = ring.take()
            taken.extend(numbers_in(list(ring_module.scan(ring.file, start, end))))
            ring.release(end)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    encoder = threading.Thread(target=encode)
    for thread in [*threads, encoder]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    encoder.join()

    for number, steps in enumerate(accepted):
        assert [step for step in taken if step // 10_000 == number] == steps
    assert NO_STEP not in taken
