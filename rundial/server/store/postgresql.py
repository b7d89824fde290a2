"""What only PostgreSQL needs: points as arrays, and text without the one character that it refuses."""

from __future__ import annotations

import sys
from array import array
from typing import Any, Final

from psycopg import Connection as Driver
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format
from psycopg.types.string import StrDumper

_INT8: Final = 20
_INT8_ARRAY: Final = 1016
_FLOAT8: Final = 701
_FLOAT8_ARRAY: Final = 1022
_ITEM_BYTES: Final = 12  # four of its length, eight of its value


class _TextDumper(StrDumper):
    """Text as it is, but for NUL, which PostgreSQL stores in no text: U+FFFD stands in its place."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


class Wholes:
    """A column of int64 on its way to the database."""

    def __init__(self, values: list[int]) -> None:
        self.items = array("q", values)


class Reals:
    """A column of float64 on its way to the database."""

    def __init__(self, values: list[float]) -> None:
        self.items = array("d", values)


class _ArrayDumper(Dumper):
    """An array in the database's binary form, laid out a byte place at a time and not a value at a time."""

    format = Format.BINARY
    item_oid = _INT8

    def dump(self, obj: Any) -> Buffer | None:
        items = obj.items
        if sys.byteorder == "little":
            items = items[:]
            items.byteswap()
        plain = items.tobytes()
        laid = bytearray(b"\0\0\0\x08".ljust(_ITEM_BYTES, b"\0") * len(items))
        for place in range(8):
            laid[4 + place :: _ITEM_BYTES] = plain[place::8]
        # One dimension, no NULL in it, the items' type, how many there are, and the first one's index.
        head = (1, 0, self.item_oid, len(items), 1)
        return b"".join(part.to_bytes(4, "big") for part in head) + bytes(laid)


class _WholesDumper(_ArrayDumper):
    oid = _INT8_ARRAY


class _RealsDumper(_ArrayDumper):
    oid = _FLOAT8_ARRAY
    item_oid = _FLOAT8


def prepare(connection: Any) -> None:
    """Teach a new connection these forms."""
    assert isinstance(connection, Driver)
    connection.adapters.register_dumper(str, _TextDumper)
    connection.adapters.register_dumper(Wholes, _WholesDumper)
    connection.adapters.register_dumper(Reals, _RealsDumper)
