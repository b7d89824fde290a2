"""How much one answer reads: rows until they are so many, or so many bytes. Pure.

A row may be as large as a request, and an answer has thousands of them: without a bound a single call would
take a server's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Select

_T = TypeVar("_T")

ANSWER_BYTES: Final = 32 * 2**20
# A row costs more than its texts, so that small ones are bounded too.
_ROW_BYTES: Final = 128
# How many rows the driver may hold at a time; the bound is looked at between them.
_ROWS_AT_ONCE: Final = 32
_MAX_ROWS: Final = 2**31 - 1


class Budget:
    """What may still be read.

    Args:
        max_bytes: In all; the first row is read whatever its size.
        max_rows: In all; None for as many as there are.

    Attributes:
        used_bytes: What was read.
        is_cut: Whether a row was left out.
    """

    def __init__(self, max_bytes: int, max_rows: int | None = None) -> None:
        self.used_bytes = 0
        self.is_cut = False
        self._max_bytes: Final = max_bytes
        self._max_rows: Final = max_rows
        self._rows_left = max_rows

    def anew(self) -> Budget:
        """The same bounds, for reading something of which nothing was read."""
        return Budget(self._max_bytes, self._max_rows)

    @property
    def most_rows(self) -> int:
        """How many rows need to be looked at, so that one that is left out is seen."""
        return _MAX_ROWS if self._rows_left is None else self._rows_left + 1

    def has_room(self, size: int) -> bool:
        """Count a row of so many bytes; False, now and ever after, where it does not fit any more."""
        counted = size + _ROW_BYTES
        is_first = not self.used_bytes
        if self._rows_left == 0 or (self.used_bytes + counted > self._max_bytes and not is_first):
            self.is_cut = True
        if self.is_cut:
            return False
        self.used_bytes += counted
        if self._rows_left is not None:
            self._rows_left -= 1
        return True

    def fitting(self, sizes: Iterable[int]) -> int:
        """How many of the next rows there is room for."""
        count = 0
        for size in sizes:
            if not self.has_room(size):
                break
            count += 1
        return count

    def read(
        self, connection: Connection, query: Select[Any], make: Callable[..., _T], size: Callable[[_T], int]
    ) -> list[_T]:
        """Run a query and make a row of the values of each, as far as there is room."""
        found: list[_T] = []
        if self.is_cut:
            return found
        with connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}) as rows:
            for values in rows:
                row = make(*values)
                if not self.has_room(size(row)):
                    break
                found.append(row)
        return found


def bytes_of(*texts: str) -> int:
    """How many bytes texts have in UTF-8."""
    return sum(len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) for text in texts)
