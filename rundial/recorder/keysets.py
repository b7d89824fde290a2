"""Key sets: the names of a row, written once and referred to by a number.

A row of ten metrics is ten doubles and a number; the names stand in a record of their own, which
the ring overwrites when it wraps and writes again before the next row that needs it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from threading import Lock

from rundial import plainjson
from rundial.recorder.layout import BODY_AT, FLAG_NAMES, HEAD, Kind
from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from rundial.recorder.scan import Record

# Beyond this many, a row carries its own names: a program that makes up names would otherwise
# fill memory with them.
MAX_KEY_SETS = 4096

Attributes = tuple[tuple[str, str], ...]


class KeySet:
    """The names and shared attributes of a row's values.

    Attributes:
        names: Metric names in the row's order.
        attributes: Attributes of every point of the row, without the step.
        number: What rows refer to it by; 0 when rows carry the names themselves.
        encoded: The names and attributes as the ring holds them.
        position: Where the ring last held them; -1 before the first time.
        pack: Packs one float for each name into a row's body: little-endian doubles, after the names
            where the row carries them.
        unpack: The reverse.
        record_bytes: Size of a row's record in the ring.
        flags: `layout.FLAG_NAMES` when its rows carry the names.
        head: What all its rows' records begin with: size, kind and flags.
        pack_record: Writes a row's record, but for its commit word, into memory: one call for head and
            body, which a slice assignment would make two.
    """

    __slots__ = (
        "attributes",
        "encoded",
        "flags",
        "head",
        "names",
        "number",
        "pack",
        "pack_record",
        "position",
        "record_bytes",
        "size",
        "unpack",
    )

    def __init__(self, names: tuple[str, ...], attributes: Attributes, number: int) -> None:
        self.names = names
        self.attributes = attributes
        self.number = number
        self.size = len(names)
        self.encoded = plainjson.dumps([names, attributes]).encode()
        self.position = -1
        body_bytes = 8 * len(names)
        self.record_bytes = BODY_AT + body_bytes
        self.flags = 0 if number else FLAG_NAMES
        self.head = struct.pack("<IBB", self.record_bytes, Kind.ROW, self.flags)
        self.pack_record = struct.Struct(f"<{len(self.head)}s{HEAD.format[4:]}{body_bytes}s").pack_into
        row = struct.Struct(f"<{len(names)}d")
        # A row without a number brings its names along.
        self.pack = row.pack if number else lambda *values: self.encoded + row.pack(*values)
        self.unpack = row.unpack


def decode(encoded: bytes) -> tuple[tuple[str, ...], Attributes]:
    """Return the names and attributes of an encoded key set."""
    names, attributes = plainjson.loads(encoded)
    return tuple(names), tuple((key, value) for key, value in attributes)


class KeySets:
    """All key sets of a process, at most `MAX_KEY_SETS` of them numbered.

    Threads: any; making a new one takes a lock of its own, never the ring's.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, ...], Attributes], KeySet] = {}
        # Guards the numbering; a key set must not get two numbers.
        self._lock = Lock()

    def get(self, names: Sequence[str], attributes: Attributes = ()) -> KeySet:
        """Return the key set of these names; the same object for the same names."""
        wanted = (tuple(names), attributes)
        known = self._known.get(wanted)
        if known is not None:
            return known
        with self._lock:
            known = self._known.get(wanted)
            if known is None:
                number = len(self._known) + 1 if len(self._known) < MAX_KEY_SETS else 0
                known = KeySet(wanted[0], attributes, number)
                if number:
                    self._known[wanted] = known
        return known


class KeyReader:
    """Key sets by number, as the ring's own records define them."""

    def __init__(self) -> None:
        self._known: dict[int, KeySet] = {}

    def define(self, record: Record) -> None:
        """Read a key set record."""
        known = self._known.get(record.aux)
        if known is None or known.encoded != record.body:
            names, attributes = decode(record.body)
            known = KeySet(names, attributes, record.aux)
            known.encoded = record.body
            self._known[record.aux] = known

    def known(self, number: int) -> KeySet | None:
        """Return the key set of a number, None where the ring has not defined it."""
        return self._known.get(number)

    def row(self, record: Record) -> tuple[KeySet, bytes]:
        """Return a row's key set and its values.

        Raises:
            KeyError: The ring holds no such key set.
        """
        if record.flags & FLAG_NAMES:
            names, attributes = decode(record.body[: record.aux])
            return KeySet(names, attributes, 0), record.body[record.aux :]
        return self._known[record.aux], record.body
