"""What only PostgreSQL needs: columns as arrays, and text without the one character that it refuses."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Any, Final

from psycopg import Connection as Driver
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format
from psycopg.types.string import StrDumper

_INT8: Final = 20
_INT8_ARRAY: Final = 1016
_FLOAT8: Final = 701
_FLOAT8_ARRAY: Final = 1022
_TEXT: Final = 25
_TEXT_ARRAY: Final = 1009
_BYTEA: Final = 17
_BYTEA_ARRAY: Final = 1001
_ITEM_BYTES: Final = 12  # four of its length, eight of its value
_NULL: Final = b"\xff\xff\xff\xff"


class _TextDumper(StrDumper):
    """Text as it is, but for NUL, which PostgreSQL stores in no text: U+FFFD stands in its place."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(_kept(obj))


def _kept(text: str) -> str:
    return text.replace("\0", "\ufffd") if "\0" in text else text


class Wholes:
    """A column of int64 on its way to the database."""

    def __init__(self, values: list[int]) -> None:
        self.items = array("q", values)


class Reals:
    """A column of float64 on its way to the database."""

    def __init__(self, values: list[float]) -> None:
        self.items = array("d", values)


class Texts:
    """A column of texts on its way to the database; None for NULL."""

    def __init__(self, values: Sequence[str | None]) -> None:
        self.items = [None if value is None else _kept(value).encode() for value in values]


class Blobs:
    """A column of bytes on its way to the database; None for NULL."""

    def __init__(self, values: Sequence[bytes | None]) -> None:
        self.items = values


class MaybeWholes:
    """A column of int64 of which some are None, for NULL."""

    def __init__(self, values: Sequence[int | None]) -> None:
        self.items = [None if value is None else value.to_bytes(8, "big", signed=True) for value in values]


def _head(count: int, item_oid: int, *, has_null: bool = False) -> bytes:
    # One dimension, whether a NULL is in it, the items' type, how many there are, and the first one's index.
    return b"".join(part.to_bytes(4, "big") for part in (1, int(has_null), item_oid, count, 1))


class _PartsDumper(Dumper):
    """An array of items that are bytes already, in the database's binary form."""

    format = Format.BINARY
    item_oid = _TEXT

    def dump(self, obj: Any) -> Buffer | None:
        items = obj.items
        parts = [_head(len(items), self.item_oid, has_null=None in items)]
        for item in items:
            parts += (_NULL,) if item is None else (len(item).to_bytes(4, "big"), item)
        return b"".join(parts)


class _TextsDumper(_PartsDumper):
    oid = _TEXT_ARRAY


class _BlobsDumper(_PartsDumper):
    oid = _BYTEA_ARRAY
    item_oid = _BYTEA


class _MaybeWholesDumper(_PartsDumper):
    oid = _INT8_ARRAY
    item_oid = _INT8


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
        return _head(len(items), self.item_oid) + bytes(laid)


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
    connection.adapters.register_dumper(Texts, _TextsDumper)
    connection.adapters.register_dumper(Blobs, _BlobsDumper)
    connection.adapters.register_dumper(MaybeWholes, _MaybeWholesDumper)
