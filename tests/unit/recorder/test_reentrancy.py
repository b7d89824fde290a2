"""Signal handlers and finalisers inside a call of the ring: they log, they raise, and nothing is lost."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Callable

import pytest

from rundial.recorder.deferred import MAX_DEFERRED
from rundial.recorder.keysets import KeySet
from rundial.recorder.layout import Kind
from rundial.recorder.ring import Ring
from rundial.recorder.slots import RunSlot
from tests.unit.recorder.builders import (
    Interruption,
    between_bytecodes,
    dropped,
    empty,
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
        assert slot.accepted == [3, 0, 0, 0]
    assert moment > 50


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
            if logs_first:
                # At once, not with the next call: the process may be killed before there is one.
                assert numbers_in(left_in(killed(ring.file))).count(3) == 1
                accepted.append(3)
        else:
            break
        assert put(ring, slot, 4, keys)
        assert put_line(ring, slot, 5)
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
            results.extend(put_line(ring, slot, step) for step in range(MAX_DEFERRED + 10))
            results.append(ring.record(Kind.EVENT, slot, b"[]"))

    with between_bytecodes(dump):
        assert put_line(ring, slot, 9_999)

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
        """Strike."""
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
    strike = Striker(lambda step: put_line(ring, slot, step))
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
            if put_line(ring, slot, self.number):
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
    assert put_line(ring, slot, 1)
    ring.take()
    assert put_line(ring, slot, 2)

    assert numbers_in(left_in(killed(ring.file))) == [1, 2]


def test_a_run_that_ends_inside_a_call_keeps_what_was_accepted_before() -> None:
    """A handler that logs, ends the run and logs again, at any call inside log: each answer was true."""
    for moment in range(1, 2000):
        ring = small_ring()
        slot = ring.open_slot()
        keys = keys_of("a", number=1)
        put(ring, slot, 1, keys)
        left = [moment]
        answers: dict[int, bool] = {}

        def interrupt(
            ring: Ring = ring,
            slot: RunSlot = slot,
            keys: KeySet = keys,
            left: list[int] = left,
            answers: dict[int, bool] = answers,
        ) -> None:
            left[0] -= 1
            if left[0] == 0:
                answers[3] = put(ring, slot, 3, keys)
                ring.close_intake(slot)
                answers[4] = put(ring, slot, 4, keys)
                assert ring.record(Kind.EVENT, slot, b"[]")

        with between_bytecodes(interrupt):
            answers[2] = put(ring, slot, 2, keys)
        if left[0] > 0:
            break

        assert answers[3]
        assert not answers[4]
        records = left_in(killed(ring.file))
        assert sorted(row.step for row in rows_in(records)) == [1, *(n for n in (2, 3) if answers[n])]
        assert sum(record.kind == Kind.EVENT for record in records) == 1
        assert slot.late == [1 + (not answers[2]), 0, 0, 0]
        assert dropped(ring, slot) == {}
    assert moment > 50


def test_a_thread_knows_whether_it_is_inside_a_call() -> None:
    """Only who has interrupted a call is told so; another thread that waits its turn is not."""
    ring = small_ring()
    slot = ring.open_slot()
    seen: list[bool] = []

    with between_bytecodes(lambda: seen.append(ring.is_inside)):
        assert put(ring, slot, 1, keys_of("a", number=1))

    assert any(seen)
    assert not seen[0]
    assert not ring.is_inside
