"""Reading records back from a ring, of this boot and of another."""

from __future__ import annotations

import pytest

from rundial.recorder import layout
from rundial.recorder.keysets import KeySet
from rundial.recorder.layout import BODY_AT, HEADER_BYTES, Kind
from rundial.recorder.mapping import RingFile
from rundial.recorder.ring import Ring
from rundial.recorder.scan import Record, Rows, scan, scan_grouped, scan_strictly
from rundial.recorder.slots import RunSlot
from tests.unit.recorder.builders import fill, killed, small_ring

SEQ_AT = 24
STEP_AT = 32
TIME_AT = 40


def ring_of(count: int) -> tuple[Ring, RunSlot]:
    """Return a ring with that many lines, each with its number as step and in its body."""
    ring = small_ring()
    slot = ring.open_slot()
    for step in range(count):
        assert ring.record(Kind.TEXT, slot, step.to_bytes(100, "little"), signal="lines", step=step)
    return ring, slot


def start_of(file: RingFile) -> int:
    """Return where the records begin."""
    return int(file.words[layout.WORD_TAIL])


def offset_of(file: RingFile, record: Record) -> int:
    """Return the byte where a record's commit word lies."""
    return HEADER_BYTES + record.position % file.capacity


def strictly(file: RingFile) -> list[int]:
    """Return the steps of what a strict scan yields."""
    return [record.step for record in scan_strictly(file, start_of(file))]


def of_another_boot(file: RingFile) -> RingFile:
    """Return the ring as the next boot of the machine would find it."""
    left = killed(file)
    left.words[layout.WORD_BOOT] ^= 1
    return left


def test_a_scan_can_begin_and_end_at_any_record() -> None:
    """The encoder reads exactly what it took, and recovery begins behind what is on disk."""
    ring, _ = ring_of(6)
    found = list(scan(ring.file, start_of(ring.file)))

    for first in range(6):
        for last in range(first, 6):
            part = scan(ring.file, found[first].position, found[last].end)
            assert [record.step for record in part] == list(range(first, last + 1))


def test_a_scan_of_a_full_ring_ends() -> None:
    """A ring filled to its last byte is read once, not round and round."""
    ring = small_ring()
    slot = ring.open_slot()
    fill(ring, slot)
    while ring.record(Kind.EVENT, slot, bytes(16)):
        pass
    steps = [record.seq for record in scan(ring.file, start_of(ring.file))]

    assert ring.head - ring.tail > ring.capacity - 64
    assert steps == list(range(1, len(steps) + 1))


def test_a_scan_stops_at_a_record_that_was_never_committed() -> None:
    """What a kill cut short is not there."""
    ring, _ = ring_of(5)
    file = killed(ring.file)
    third = list(scan(file, start_of(file)))[3]
    file.words[offset_of(file, third) >> 3] = 0

    assert [record.step for record in scan(file, start_of(file))] == [0, 1, 2]


@pytest.mark.parametrize("size", [0, 8, BODY_AT - 8, 2**31, 2**32 - 1])
def test_a_scan_stops_at_a_size_that_cannot_be(size: int) -> None:
    """A damaged head never leads a reader out of the ring or round in circles."""
    ring, _ = ring_of(5)
    file = killed(ring.file)
    offset = offset_of(file, list(scan(file, start_of(file)))[3])
    file.memory[offset + 8 : offset + 12] = size.to_bytes(4, "little")

    assert [record.step for record in scan(file, start_of(file))] == [0, 1, 2]


def test_a_strict_scan_of_a_sound_ring_yields_everything() -> None:
    """After a clean reboot nothing that was accepted is missing, explicit times included."""
    ring, slot = ring_of(4)
    keys = KeySet(("loss",), (), 1)
    ring.row_writer(slot)(keys, keys.pack(1.0), 4, 1_000_001)
    ring.row_writer(slot)(keys, keys.pack(2.0), 5)

    found = [record.step for record in scan_strictly(ring.file, start_of(ring.file))]
    assert found == [0, 1, 2, 3, 0, 4, 5]


def test_a_strict_scan_stops_at_a_flipped_body() -> None:
    """Rule 9: false values are worse than lost ones; of another boot nothing is believed unchecked."""
    ring, _ = ring_of(6)
    file = killed(ring.file)
    offset = offset_of(file, list(scan(file, start_of(file)))[4])
    file.memory[offset + BODY_AT + 50] ^= 1

    assert strictly(file) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("at", "number"), [(SEQ_AT, 3), (SEQ_AT, 99), (TIME_AT, 1_000_000)], ids=["seq", "gap", "time"]
)
def test_a_strict_scan_stops_where_sequence_or_time_do_not_follow(at: int, number: int) -> None:
    """Rule 9: a page that never reached the disk shows an older lap's record in a newer one's place."""
    ring, _ = ring_of(6)
    file = killed(ring.file)
    offset = offset_of(file, list(scan(file, start_of(file)))[4])
    file.memory[offset + at : offset + at + 8] = number.to_bytes(8, "little")

    assert strictly(file) == [0, 1, 2, 3]


def test_a_strict_scan_stops_at_a_time_that_was_there_before() -> None:
    """Rule 9: the clock's own times grow from record to record; one that repeats is an older page's."""
    ring, _ = ring_of(6)
    file = killed(ring.file)
    found = list(scan(file, start_of(file)))
    offset = offset_of(file, found[4])
    file.memory[offset + TIME_AT : offset + TIME_AT + 8] = found[3].time_unix_ns.to_bytes(8, "little")

    assert strictly(file) == [0, 1, 2, 3]


def test_a_strict_scan_trusts_no_first_record_that_the_second_does_not_follow() -> None:
    """Rule 9: nothing comes before the first record, so an old lap's body could pass for it."""
    ring, _ = ring_of(3)
    file = of_another_boot(ring.file)
    offset = offset_of(file, next(scan(file, start_of(file))))
    file.memory[offset + SEQ_AT : offset + SEQ_AT + 8] = (77).to_bytes(8, "little")

    assert strictly(file) == []
    assert strictly(of_another_boot(ring.file)) == [0, 1, 2]


def test_a_strict_scan_gives_a_single_record_up() -> None:
    """Rule 9: with nothing to confirm it, one record of another boot is lost rather than believed."""
    ring, _ = ring_of(1)

    assert strictly(of_another_boot(ring.file)) == []
    assert strictly(ring.file) == [0]


def test_the_scan_of_a_live_ring_takes_bodies_as_they_are() -> None:
    """Within one boot the commit word is enough: no checksum is computed for a million points."""
    ring, _ = ring_of(2)
    file = killed(ring.file)
    first = next(scan(file, start_of(file)))
    file.memory[offset_of(file, first) + BODY_AT] ^= 1

    assert [record.is_sound for record in scan(file, start_of(file))] == [True, True]
    assert [record.is_sound for record in scan(file, start_of(file), verify=True)] == [False, True]


def test_rows_that_are_alike_are_read_together_a_chunk_at_a_time() -> None:
    """The interpreter is held for no more points at a time than a chunk has, and a lone row costs nothing."""
    ring = small_ring()
    slot = ring.open_slot()
    two, one = KeySet(("a", "b"), (), 1), KeySet(("c",), (), 2)
    for step in range(400):
        assert ring.row_writer(slot)(two, two.pack(step, step), step)
    for step in range(6):
        keys = one if step % 2 else two
        assert ring.row_writer(slot)(keys, keys.pack(*[step] * keys.size), step)
    found = list(scan_grouped(ring.file, *ring.take()))

    sizes = [len(group.bodies) if isinstance(group, Rows) else 0 for group in found]
    assert sizes == [0, 0, 250, 150, 0, 0, 0, 0, 0, 0, 0][: len(sizes)]
    assert sum(size or 1 for size in sizes) == 400 + 6 + 2
