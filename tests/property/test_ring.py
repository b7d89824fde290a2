"""Whatever is offered, taken and released in whatever order: a kill leaves what was accepted, in order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rundial.recorder import layout
from rundial.recorder.keysets import KeySet, KeySets
from rundial.recorder.layout import HEADER_BYTES, Kind
from rundial.recorder.mapping import RingFile
from rundial.recorder.ring import Ring, RunSlot
from rundial.recorder.scan import Record, Rows, scan, scan_grouped, scan_strictly
from tests.unit.recorder.builders import killed, left_in, ring_file, rows_in, small_ring

PAGE_BYTES = 4096
LENGTHS = st.one_of(st.integers(0, 80), st.integers(0, 4096))
WIDTHS = st.integers(1, 40)
STEPS = st.one_of(st.just(layout.NO_STEP), st.integers(0, 3), st.just(2**63 - 1))
TIMES = st.sampled_from([0, 0, 0, 1, 4_000_000_000_000_000_001])


class RingMachine(RuleBasedStateMachine):
    """A ring beside a list of what it accepted and still has to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.ring = Ring(ring_file(self.place), wake=lambda: None)
        self.slot: RunSlot = self.ring.open_slot()
        self.keysets = KeySets()
        self.number = 0
        # (where it begins or later, what it says) of each accepted record.
        self.accepted: list[tuple[int, object]] = []
        self.marks: list[int] = []
        self.refused = 0

    def teardown(self) -> None:
        """Leave no file behind."""
        self.ring.file.close()
        shutil.rmtree(self.place)

    def note(self, said: object, *, is_accepted: bool) -> None:
        """Remember what the ring answered."""
        if is_accepted:
            self.accepted.append((self.ring.head, said))
        else:
            self.refused += 1

    @rule(width=WIDTHS, which=st.integers(0, 4), step=STEPS, time=TIMES)
    def log(self, width: int, which: int, step: int, time: int) -> None:
        """A thread logs a row, with one of many key sets."""
        self.number += 1
        keys = self.keysets.get([f"{which}/{index}" for index in range(width)])
        values = tuple(float(self.number + index) for index in range(width))
        is_accepted = self.ring.row_writer(self.slot)(keys, keys.pack(*values), step, time)
        self.note((keys.names, step, values), is_accepted=is_accepted)

    @rule(length=LENGTHS, kind=st.sampled_from([Kind.TEXT, Kind.EVENT, Kind.SPAN_END]))
    def say(self, length: int, kind: Kind) -> None:
        """A thread logs something else, often the largest that there may be."""
        self.number += 1
        body = (self.number.to_bytes(4, "little") * 1024)[:length]
        is_accepted = self.ring.record(kind, self.slot, body, signal=None if kind == Kind.EVENT else "lines")
        self.note(body, is_accepted=is_accepted)

    @rule(times=st.integers(1, 20), length=st.integers(500, 4000))
    def burst(self, times: int, length: int) -> None:
        """A log storm, so that the ring goes round."""
        for _ in range(times):
            self.say(length, Kind.TEXT)

    @rule()
    def take(self) -> None:
        """The encoder takes."""
        start, end = self.ring.take()
        assert said_in(list(scan(self.ring.file, start, end))) == [
            said for at, said in self.accepted if at <= end
        ]
        self.marks.append(end)

    @precondition(lambda self: self.marks)
    @rule(which=st.integers(0, 100))
    def release(self, which: int) -> None:
        """The encoder releases one of its marks, and with it those before."""
        mark = self.marks[which % len(self.marks)]
        self.marks = [each for each in self.marks if each > mark]
        self.accepted = [(at, said) for at, said in self.accepted if at > mark]
        self.ring.release(mark)

    @rule(is_larger=st.booleans())
    def move(self, is_larger: bool) -> None:
        """The file lost its name."""
        size = HEADER_BYTES + ((128 << 10) if is_larger else (64 << 10))
        old, start, end = self.ring.move(ring_file(self.place, size_bytes=size))
        assert said_in(list(scan(old, start, end))) == [said for _, said in self.accepted]
        old.remove()
        self.accepted = []
        self.marks = []

    @rule()
    def kill(self) -> None:
        """The process dies, and somebody adopts its ring after a reboot."""
        found = said_in(list(scan_strictly(killed(self.ring.file), self.ring.tail)))
        # One record alone has nothing to confirm it.
        assert found == [said for _, said in self.accepted] or len(self.accepted) == 1

    @invariant()
    def holds_what_it_accepted(self) -> None:
        """Recovery finds every accepted record, once, in order, and nothing else."""
        assert said_in(left_in(self.ring.file)) == [said for _, said in self.accepted]
        assert self.ring.head - self.ring.tail <= self.ring.capacity


def said_in(records: list[Record]) -> list[object]:
    """Return what records say: rows with their names, and the others' bodies."""
    rows = iter(rows_in(records))
    said: list[object] = []
    for record in records:
        if record.kind == Kind.ROW:
            row = next(rows)
            said.append((row.names, row.step, row.values))
        elif record.kind != Kind.KEYS:
            said.append(record.body)
    return said


TestRing = RingMachine.TestCase
TestRing.settings = settings(max_examples=40, stateful_step_count=40)


@given(st.data())
@settings(max_examples=60)
def test_a_power_cut_invents_nothing(data: st.DataObject) -> None:
    """Rule 9: with any page as old as one likes, what a strict scan yields was logged like that, in order."""
    ring = small_ring()
    slot = ring.open_slot()
    keys = KeySet(("lr",), (), 1)
    truth: dict[int, Record] = {}
    snapshots = [ring.file.memory[:]]
    step = 0
    for _ in range(data.draw(st.integers(1, 6))):
        for _ in range(data.draw(st.integers(1, 60))):
            step += 1
            # Constant values and repeated lines: old bytes are likely to look right.
            if step % 3:
                ring.row_writer(slot)(keys, keys.pack(0.1), step, step * 2 + 1 if step % 2 else 0)
            else:
                ring.record(Kind.TEXT, slot, b"again " * (step % 200), signal="lines", step=step)
        start, end = ring.take()
        truth |= {record.position: record for record in scan(ring.file, start, end)}
        snapshots.append(ring.file.memory[:])
        if data.draw(st.booleans()):
            ring.release(end)
            snapshots.append(ring.file.memory[:])

    pages = len(snapshots[0]) // PAGE_BYTES + 1
    ages = data.draw(st.lists(st.integers(0, len(snapshots) - 1), min_size=pages, max_size=pages))
    torn = b"".join(
        snapshots[age][page * PAGE_BYTES : (page + 1) * PAGE_BYTES] for page, age in enumerate(ages)
    )
    file = killed(ring.file)
    file.memory[:] = torn
    found = list(scan_strictly(file, file.words[layout.WORD_TAIL]))

    for record in found:
        # The time alone is not covered; its growth is checked instead.
        assert record._replace(time_unix_ns=0) == truth[record.position]._replace(time_unix_ns=0)
    assert [record.seq for record in found] == list(range(found[0].seq, found[-1].seq + 1)) if found else True


@given(st.integers(0, 2**32), st.integers(0, 7))
@settings(max_examples=100)
def test_a_flipped_bit_in_a_body_ends_a_strict_scan_there(where: int, bit: int) -> None:
    """Rule 9: of another boot no damaged value is believed, and what stands before it is."""
    ring = small_ring()
    slot = ring.open_slot()
    for step in range(20):
        ring.record(Kind.TEXT, slot, step.to_bytes(90, "little"), signal="lines", step=step)
    file = killed(ring.file)
    whole = list(scan(file, ring.tail))
    hit = whole[where % len(whole)]
    offset = HEADER_BYTES + hit.position % file.capacity + layout.BODY_AT + where % len(hit.body)
    file.memory[offset] ^= 1 << bit

    found = [record.step for record in scan_strictly(file, ring.tail)]
    assert found == list(range(hit.step))


@given(st.binary(min_size=200, max_size=3000), st.integers(0, 60_000))
@settings(max_examples=60)
def test_noise_in_the_ring_never_leads_a_reader_astray(noise: bytes, where: int) -> None:
    """Whatever a disk makes of a ring's bytes, a reader ends, and yields records that lie inside."""
    ring = small_ring()
    slot = ring.open_slot()
    keys = KeySet(("a", "b"), (), 1)
    for step in range(300):
        ring.row_writer(slot)(keys, keys.pack(step, step), step)
    file: RingFile = killed(ring.file)
    offset = HEADER_BYTES + where % (file.capacity - len(noise))
    file.memory[offset : offset + len(noise)] = noise

    for record in scan(file, ring.tail):
        assert ring.tail <= record.position < record.end <= ring.tail + file.capacity


@given(st.data())
@settings(max_examples=60)
def test_rows_that_are_read_together_are_those_that_are_read_one_by_one(data: st.DataObject) -> None:
    """Of any mixture of runs, key sets and lines, round the ring's end too, nothing is skipped or doubled."""
    ring = small_ring()
    slots = [ring.open_slot() for _ in range(2)]
    keysets = [
        KeySet(tuple(f"k{width}/{index}" for index in range(width)), (), width) for width in (1, 2, 40)
    ]
    step = 0
    for _ in range(data.draw(st.integers(1, 4))):
        for _ in range(data.draw(st.integers(1, 12))):
            slot, keys = data.draw(st.sampled_from(slots)), data.draw(st.sampled_from(keysets))
            for _ in range(data.draw(st.sampled_from([1, 2, 3, 50, 700]))):
                step += 1
                ring.row_writer(slot)(
                    keys,
                    keys.pack(*[step + 0.5] * keys.size),
                    step,
                    data.draw(TIMES) if step < 9 else 0,
                )
            if data.draw(st.booleans()):
                ring.record(Kind.TEXT, slot, b"line" * (step % 9), signal="lines", step=step)
        start, end = ring.take()
        one_by_one = list(scan(ring.file, start, end))
        together = list(scan_grouped(ring.file, start, end))

        assert [each for group in together for each in _each(group)] == one_by_one
        assert all(len(group.bodies) for group in together if isinstance(group, Rows))
        ring.release(end)


def _each(group: Record | Rows) -> list[Record]:
    return list(group.records()) if isinstance(group, Rows) else [group]
