"""The ring: what it accepts is there after a kill, once and in order; what it refuses is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rundial.recorder import layout
from rundial.recorder import ring as ring_module
from rundial.recorder.keysets import MAX_KEY_SETS, KeySet, KeySets
from rundial.recorder.layout import BODY_AT, HEADER_BYTES, NO_STEP, Kind
from rundial.recorder.ring import MAX_RECORD_BYTES, Ring
from rundial.recorder.scan import scan
from rundial.recorder.slots import RunSlot
from tests.unit.recorder.builders import (
    Row,
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


def test_an_accepted_record_survives_a_kill_right_after_the_call(tmp_path: Path) -> None:
    """When log returns, the record is in the mapping, with its names, step and values."""
    ring = small_ring(tmp_path)
    slot = ring.open_slot()
    keys = keys_of("loss", "acc")

    assert ring.row_writer(slot)(keys, keys.pack(0.5, 2.0), 3)
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
                put_line(ring, slot, step, body=bytes(3500))
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
    ring.row_writer(slot)(keys_of(), bytes(8), 1)
    stolen = bytes(ring.file.memory[HEADER_BYTES : HEADER_BYTES + 200])
    position = ring.head
    forged = b"".join((position + 8 * offset).to_bytes(8, "little") for offset in range(300))
    assert put_line(ring, slot, 2, body=forged)
    assert put_line(ring, slot, 3, body=stolen)
    # The next record is smaller than the old bytes around it.
    empty(ring)
    ring.head = ring.tail = position
    ring.file.words[layout.WORD_TAIL] = position
    assert put_line(ring, slot, 4)

    assert numbers_in(left_in(killed(ring.file))) == [4]


@pytest.mark.parametrize("is_row", [True, False], ids=["row", "line"])
def test_a_place_is_cleared_before_it_is_written_again(is_row: bool) -> None:
    """Rule 2: over a record that an exception left behind, a kill never shows half of another."""
    ring = small_ring()
    slot = ring.open_slot()
    keys = keys_of("a", "b")
    put(ring, slot, 1, keys)
    position, seq = ring.head, ring.seq
    assert put(ring, slot, 2, keys) if is_row else put_line(ring, slot, 2, body=bytes(range(50)))
    # As an exception between the commit word and the head leaves them.
    ring.head, ring.seq = position, seq
    seen = set()

    def look() -> None:
        copy = killed(ring.file)
        found = [(record.step, record.is_sound) for record in scan(copy, ring.tail, verify=True)]
        assert all(is_sound for _, is_sound in found)
        seen.add(tuple(step for step, _ in found))

    with between_bytecodes(look):
        assert put(ring, slot, 3, keys) if is_row else put_line(ring, slot, 3, body=bytes(range(60)))
    look()

    assert seen == {(0, 1, 2), (0, 1), (0, 1, 3)}


@pytest.mark.parametrize("gap", range(0, 120, 8))
def test_a_wrap_leaves_any_gap_and_loses_nothing(gap: int) -> None:
    """Records go on at the start when what is left before the end is too small, whatever it is."""
    ring = small_ring()
    slot = ring.open_slot()
    to_end = ring.capacity - gap
    while to_end - ring.head % ring.capacity > 4000:
        assert put_line(ring, slot, 0, body=bytes(1000 - BODY_AT))
        empty(ring)
    assert put_line(ring, slot, 1, body=bytes(to_end - ring.head % ring.capacity - BODY_AT))
    assert ring.head % ring.capacity == to_end % ring.capacity
    assert put_line(ring, slot, 2, body=bytes(gap))
    assert put_line(ring, slot, 3)

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


def test_the_short_way_writes_what_the_long_way_writes() -> None:
    """A row is the same record whether its key set was there or had to be written, wrapped or not."""
    ring = small_ring()
    slot = ring.open_slot()
    keys = keys_of("a", "b", "c", number=70_000)
    for step in (layout.NO_STEP, 0, 2**63 - 1):
        body = keys.pack(1.5, -0.0, 1e300)
        ring.take()
        assert ring.row_writer(slot)(keys, body, step)
        assert ring.row_writer(slot)(keys, body, step)
        _, long, short = left_in(killed(ring.file))[-3:]

        assert short.seq == long.seq + 1
        assert short.time_unix_ns > long.time_unix_ns
        assert short.position == long.end
        assert short.end - short.position == long.end - long.position
        assert short[2:6] == long[2:6]
        assert short[7] == long[7] == step
        assert short.body == long.body == body
        checked = list(scan(ring.file, long.position, verify=True))
        assert [record.is_sound for record in checked] == [True, True]


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
    assert slot.accepted == [3 * count, 0, 0, 0]


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
    put_line(ring, slot, 0)
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


def test_implicit_times_are_even_and_grow_whatever_the_clock_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 17: no two points of a process share a time, also when NTP sets the clock back."""
    times = iter([1_000_001, 1_000_001, 1_000_000, 5, 2_000_000, 2_000_001])
    ring = small_ring()
    slot = ring.open_slot()
    monkeypatch.setattr(ring_module, "time_ns", lambda: next(times))
    for step in range(6):
        put_line(ring, slot, step)
    monkeypatch.undo()

    stamps = [record.time_unix_ns for record in left_in(ring.file)]
    assert stamps == [1_000_000, 1_000_002, 1_000_004, 1_000_006, 2_000_000, 2_000_002]


def test_an_explicit_time_is_kept_and_moves_no_other() -> None:
    """Rule 17: the user's own time is odd, stays as it is, and the clock's go on from the clock's."""
    ring = small_ring()
    slot = ring.open_slot()
    far = 4_000_000_000_000_000_001
    put_line(ring, slot, 1)
    ring.row_writer(slot)(keys_of(), bytes(8), 2, far)
    put_line(ring, slot, 3)

    stamps = {record.step: record.time_unix_ns for record in left_in(ring.file) if record.kind != Kind.KEYS}
    assert stamps[2] == far
    assert stamps[1] < stamps[3] < far
    assert stamps[1] % 2 == stamps[3] % 2 == 0


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
                else (lambda step=step: put_line(ring, slot, step))
            )
            if action():
                accepted[thread].append(step)

    def encode() -> None:
        while not stop.is_set() or ring.head != ring.tail:
            start, end = ring.take()
            taken.extend(numbers_in(list(scan(ring.file, start, end))))
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
