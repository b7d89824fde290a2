"""Reading records back from a ring, alive or dead; pure but for the bytes it is given.

A committed record is recognised by its commit word alone, which is all that a live ring needs. What
a dead process left is read strictly as well (checksum, sequence and time must make sense), because a
page that never reached the disk holds old bytes, after a power cut as after a disk that failed and was
mounted anew; false values are worse than lost ones.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from zlib import crc32

from rundial.recorder import layout
from rundial.recorder.layout import BODY_AT, HEAD, HEAD_AT, HEADER_BYTES, MIN_GAP, Kind
from rundial.recorder.mapping import RingFile
from rundial.typed import NamedTuple

# As many as a chunk packs at a time, so that the interpreter is not held for longer by a group.
MAX_GROUP_POINTS = 500
# Size, kind, flags, run and key set: what rows that are alike have in common.
_ALIKE_BYTES = 12


class Record(NamedTuple):
    """One record as the ring holds it; a tuple, because the encoder makes one for each row.

    Attributes:
        position: Where it starts.
        end: Where the next one starts.
        kind: What it holds.
        run: The slot of its run.
        flags: `layout.FLAG_*`.
        aux: A row's key set number, or the length of its own names.
        seq: Its number in the ring, growing.
        step: The row's step, `NO_STEP` for none.
        time_unix_ns: When it was logged.
        body: Its bytes.
        is_sound: Whether the body's checksum holds.
    """

    position: int
    end: int
    kind: int
    run: int
    flags: int
    aux: int
    seq: int
    step: int
    time_unix_ns: int
    body: bytes
    is_sound: bool = True


def scan(file: RingFile, start: int, end: int | None = None, *, verify: bool = False) -> Iterator[Record]:
    """Yield the committed records from a position on, key sets included, padding left out.

    Args:
        file: The ring's memory.
        start: A position where a record starts.
        end: Where to stop; None stops at the first record that was not committed.
        verify: Also compute each body's checksum.
    """
    position = start
    last = start + file.capacity if end is None else end
    words, memory, capacity = file.words, file.memory, file.capacity
    while position < last:
        rest = capacity - position % capacity
        if rest < MIN_GAP:
            position += rest
            continue
        offset = HEADER_BYTES + position % capacity
        if words[offset >> 3] != position ^ file.nonce:
            return
        size, kind, flags, run, aux, crc, seq, step, stamp = HEAD.unpack_from(memory, offset + HEAD_AT)
        if size < MIN_GAP or size > rest:
            return
        if kind != Kind.PAD:
            body = memory[offset + BODY_AT : offset + size - (flags & layout.FLAG_PADDING)]
            is_sound = not verify or crc32(body, step & layout.STEP_MASK) == crc
            yield Record(position, position + size, kind, run, flags, aux, seq, step, stamp, body, is_sound)
        position += size


class Rows(NamedTuple):
    """Rows of one run and one key set that lie side by side, for most programs log the same names again.

    Attributes:
        position: Where the first one starts.
        end: Where the record behind the last one starts.
        run: The slot of their run.
        aux: Their key set's number.
        seq: The first one's number in the ring; they follow one another.
        times: When each was logged, Unix nanoseconds.
        steps: Step of each, `NO_STEP` for none.
        bodies: Values of each.
    """

    position: int
    end: int
    run: int
    aux: int
    seq: int
    times: list[int]
    steps: list[int]
    bodies: list[bytes]

    def records(self) -> Iterator[Record]:
        """Yield them one by one, as `scan` does."""
        size = (self.end - self.position) // len(self.bodies)
        for index, (stamp, step, body) in enumerate(zip(self.times, self.steps, self.bodies, strict=True)):
            position = self.position + index * size
            seq = self.seq + index
            yield Record(position, position + size, Kind.ROW, self.run, 0, self.aux, seq, step, stamp, body)


def scan_grouped(file: RingFile, start: int, end: int) -> Iterator[Record | Rows]:
    """Yield what `scan` does, rows that are alike together: a third of the work, for rows of one metric.

    A row that stands alone, or is the first of its kind, comes as a record, so that programs whose
    names alternate pay nothing for the attempt.
    """
    records, last = scan(file, start, end), (-1, -1)
    while (record := next(records, None)) is not None:
        # Only rows that bring no names along have all the same size.
        kind = (record.run, record.aux) if record.kind == Kind.ROW and not record.flags else (-1, -1)
        if kind == last and kind != (-1, -1):
            rows = _rows(file, record, end)
            yield rows
            records = scan(file, rows.end, end)
            continue
        last = kind
        yield record


def _rows(file: RingFile, first: Record, end: int) -> Rows:
    """Return a row with those behind it that are alike, as far as the lap, the take and a chunk go."""
    size = first.end - first.position
    width = max(1, (size - BODY_AT) >> 3)
    lap_end = (first.position // file.capacity + 1) * file.capacity
    most = min(max(1, MAX_GROUP_POINTS // width), (min(end, lap_end) - first.position) // size)
    offset = HEADER_BYTES + first.position % file.capacity
    alike = bytes(file.memory[offset + HEAD_AT : offset + HEAD_AT + _ALIKE_BYTES])
    position, nonce = first.position, file.nonce
    rows = Rows(position, position, first.run, first.aux, first.seq, [], [], [])
    times, steps, bodies = rows.times, rows.steps, rows.bodies
    for word, head, _, _, step, stamp, body in _side_by_side(size).iter_unpack(
        file.memory[offset : offset + most * size]
    ):
        if word != position ^ nonce or head != alike:
            break
        times.append(stamp)
        steps.append(step)
        bodies.append(body)
        position += size
    return rows._replace(end=position)


@functools.lru_cache(maxsize=256)
def _side_by_side(size: int) -> struct.Struct:
    """What splits a row's record of a size: commit word, what is alike, checksum, seq, step, time, body."""
    return struct.Struct(f"<Q{_ALIKE_BYTES}sIQqQ{size - BODY_AT}s")


def scan_strictly(file: RingFile, start: int) -> Iterator[Record]:
    """Yield records of a dead process as `scan` does, and stop at the first that cannot be trusted.

    The sequence must follow, implicit times must grow, and the checksum must hold. In a ring of an
    earlier boot the first record is trusted only once the second one follows it, for it has none before
    it to follow: a record that stands alone is given up there.
    """
    first: Record | None = None
    trusts_first = file.is_of_this_boot
    seq = time_ns = -1
    for record in scan(file, start, verify=True):
        implicit = record.time_unix_ns % 2 == 0
        if not record.is_sound or (seq >= 0 and record.seq != seq + 1):
            return
        if implicit and record.time_unix_ns <= time_ns:
            return
        if seq < 0 and not trusts_first:
            first = record
        else:
            if first is not None:
                yield first
                first = None
            yield record
        seq = record.seq
        time_ns = record.time_unix_ns if implicit else time_ns
