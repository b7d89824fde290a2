"""A program that fills and empties a bare ring as fast as it can, to be killed.

Run as `python -m tests.support.ringwriter DIRECTORY THREADS EXCEPTIONS`. Threads log numbered rows and
lines of random sizes, an encoder thread writes down what it takes and releases it, and after each call a
shared file says with single 8-byte stores what the ring answered. With EXCEPTIONS 1 the first thread is
the main one, and a signal handler throws exceptions into it, logging a line of its own now and then.

The parent's side is `Tally`, `read_takes` and `laps_of`.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from rundial.recorder import layout
from rundial.recorder.keysets import KeyReader, KeySet, KeySets
from rundial.recorder.layout import HEADER_BYTES, Kind
from rundial.recorder.mapping import RingFile
from rundial.recorder.place import Place
from rundial.recorder.ring import Ring, RunSlot
from rundial.recorder.scan import Record, scan

RING_BYTES = HEADER_BYTES + (192 << 10)
THREADS = 8
# What the handler logs is numbered from here, as a thread of its own.
HANDLER = THREADS
_TAKE = struct.Struct("<IIQQ")
_SAID = struct.Struct("<IQ")
_JUNK = struct.pack("<Q", 1) * 400
_WORDS = 8


class Tally:
    """What the program was told, word by word, in a file that outlives it.

    Args:
        path: The file; made when missing.
    """

    ACCEPTED, REFUSED_POINTS, REFUSED_LINES, NUMBER, CUT_SHORT = range(5)

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(descriptor, 4096)
        self._words = memoryview(mmap.mmap(descriptor, 4096)).cast("Q")
        os.close(descriptor)

    def add(self, thread: int, what: int, count: int = 1) -> None:
        """Count."""
        self._words[thread * _WORDS + what] += count

    def get(self, thread: int, what: int) -> int:
        """Return a count."""
        return self._words[thread * _WORDS + what]


def said_by(records: list[Record]) -> Iterator[tuple[int, int]]:
    """Yield (thread, number) of each record, which is whole and has the names that these records define.

    Raises:
        AssertionError: A record says something that nobody logged.
    """
    keys = KeyReader()
    for record in records:
        if record.kind == Kind.KEYS:
            keys.define(record)
        elif record.kind == Kind.ROW:
            found, body = keys.row(record)
            thread, width, _ = found.names[0][1:].split("/")
            assert found.size == int(width)
            assert found.unpack(body) == tuple(float(record.step * 100 + j) for j in range(found.size))
            yield int(thread), record.step
        else:
            thread, number = _SAID.unpack_from(record.body)
            assert number == record.step
            assert _JUNK.startswith(record.body[_SAID.size :])
            yield thread, number


def read_takes(path: Path) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Return (start, end, what was said) of each take that was written down whole."""
    data = path.read_bytes()
    takes, at = [], 0
    while at + _TAKE.size <= len(data):
        size, checksum, start, end = _TAKE.unpack_from(data, at)
        body = data[at + _TAKE.size : at + _TAKE.size + size]
        if len(body) < size or zlib.crc32(body) != checksum:
            break
        takes.append((start, end, list(_SAID.iter_unpack(body))))
        at += _TAKE.size + size
    return takes


def laps_of(path: Path) -> float:
    """How often a living process has gone round its ring."""
    with path.open("rb") as file:
        words = memoryview(file.read(layout.HEADER_BYTES)).cast("Q")
    # Positions begin at the capacity.
    return words[layout.WORD_TAIL] / words[layout.WORD_CAPACITY] - 1


class Cut(Exception):
    """Thrown into a call by the signal handler."""


class Writer:
    """The threads of the program."""

    def __init__(self, place: Path) -> None:
        file = RingFile.create(Place(place, "disk", RING_BYTES), created_unix_ns=1)
        self.ring = Ring(file, wake=lambda: None)
        self.slot: RunSlot = self.ring.open_slot()
        self.keysets = KeySets()
        self.tally = Tally(place / "tally")
        # Whether the handler may raise: only inside the first thread's calls.
        self.is_armed = False
        self.takes = os.open(place / "takes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def encode(self) -> None:
        """Write down what is there, then release it, for ever."""
        pause = threading.Event()
        rng = random.Random()
        while True:
            start, end = self.ring.take()
            if end > start:
                said = b"".join(_SAID.pack(*each) for each in said_by(list(scan(self.ring.file, start, end))))
                take = _TAKE.pack(len(said), zlib.crc32(said), start, end) + said
                assert os.write(self.takes, take) == len(take)
                self.ring.release(end)
            pause.wait(rng.choice([0, 0, 0.0005, 0.004]))

    def work(self, thread: int) -> None:
        """Log for ever; what was said goes into the tally."""
        rng = random.Random(thread)
        while True:
            if thread == 0:
                self.under_fire(rng)
            else:
                self.say_one(thread, rng)

    def under_fire(self, rng: random.Random) -> None:
        """Log one record of the first thread's, which the handler may cut short."""
        try:
            self.is_armed = True
            self.say_one(0, rng)
            self.is_armed = False
        except Cut:
            self.tally.add(0, Tally.CUT_SHORT)

    def say_one(self, thread: int, rng: random.Random) -> None:
        """Log one record of a random kind and size."""
        self.tally.add(thread, Tally.NUMBER)
        number = self.tally.get(thread, Tally.NUMBER)
        if rng.random() < 0.25:
            is_accepted = self.line(thread, number, rng.randrange(3000))
            what = Tally.ACCEPTED if is_accepted else Tally.REFUSED_LINES
            self.tally.add(thread, what)
            return
        keys = self.keys(thread, rng.randrange(1, 40))
        values = [float(number * 100 + j) for j in range(keys.size)]
        is_accepted = self.ring.row_writer(self.slot)(keys, keys.pack(*values), number)
        if is_accepted:
            self.tally.add(thread, Tally.ACCEPTED)
        else:
            self.tally.add(thread, Tally.REFUSED_POINTS, keys.size)

    def keys(self, thread: int, width: int) -> KeySet:
        """Return one of a thread's key sets."""
        return self.keysets.get([f"t{thread}/{width}/{j}" for j in range(width)])

    def line(self, thread: int, number: int, length: int) -> bool:
        """Log a line whose bytes are full of small numbers."""
        body = _SAID.pack(thread, number) + _JUNK[:length]
        return self.ring.record(Kind.TEXT, self.slot, body, signal="lines", step=number)

    def strike(self, number: int, frame: object) -> None:
        """Log a line every third time, and raise."""
        del number, frame
        if not self.is_armed:
            return
        # Not again before the first one's exception has arrived: a signal may strike in here as well.
        self.is_armed = False
        self.tally.add(HANDLER, Tally.NUMBER)
        mine = self.tally.get(HANDLER, Tally.NUMBER)
        # Few and short, so that none of them is refused after it was deferred.
        if mine % 3 == 0 and self.ring.filled < 0.5 and self.line(HANDLER, mine, 0):
            self.tally.add(HANDLER, Tally.ACCEPTED)
        raise Cut


def main() -> None:
    """Log until killed."""
    place, threads, with_exceptions = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1"
    sys.setswitchinterval(random.choice([1e-5, 1e-4, 5e-3]))
    writer = Writer(place)
    threading.Thread(target=writer.encode, daemon=True).start()
    sys.stdout.write("logging\n")
    sys.stdout.flush()
    for thread in range(1 if with_exceptions else 0, threads):
        threading.Thread(target=writer.work, args=(thread,), daemon=True).start()
    if not with_exceptions:
        threading.Event().wait(60)
    signal.signal(signal.SIGALRM, writer.strike)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
    writer.work(0)


if __name__ == "__main__":
    main()
