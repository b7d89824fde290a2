"""Reading records back from a ring, alive or dead; pure but for the bytes it is given.

A committed record is recognised by its commit word alone, which is all that a live ring needs. What
a dead process left is read strictly as well (checksum, sequence and time must make sense), because a
page that never reached the disk holds old bytes, after a power cut as after a disk that failed and was
mounted anew; false values are worse than lost ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from rundial.recorder import layout
from rundial.recorder.layout import BODY_AT, HEAD, HEAD_AT, HEADER_BYTES, MIN_GAP, Kind
from rundial.recorder.mapping import RingFile


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
