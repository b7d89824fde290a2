"""The last value of each metric that this process logged: kept by the encoder, completed from the ring.

Logging pays nothing for it: the encoder notes one row for each block of rows that it packs, and who
reads looks through the rows that still wait in the ring.

Threads: the encoder's writes, under its pass lock; readers hold the same lock.
"""

from __future__ import annotations

from rundial.recorder.keysets import KeySet
from rundial.signals import semconv

# Names that a program makes up without end must not fill memory.
MAX_KEY_SETS = 4096


class Latest:
    """The last row of each key set; a point with a context of its own is no metric of the summary."""

    def __init__(self) -> None:
        self._rows: dict[KeySet, bytes] = {}

    def note(self, keys: KeySet, body: bytes) -> None:
        """Take a row; rows come in the order in which they were logged."""
        if any(name != semconv.RANK for name, _ in keys.attributes):
            return
        # The order of a dictionary is that of its first writes; this row is the last one now.
        self._rows.pop(keys, None)
        # A copy: the body lies in the ring, which will write something else there.
        self._rows[keys] = bytes(body)
        if len(self._rows) > MAX_KEY_SETS:
            self._rows.pop(next(iter(self._rows)))

    def copy(self) -> Latest:
        """Return another one with the same rows."""
        other = Latest()
        other._rows = dict(self._rows)
        return other

    def values(self) -> dict[str, float]:
        """Return the last value by name."""
        found: dict[str, float] = {}
        for keys, body in self._rows.items():
            found.update(zip(keys.names, keys.unpack(body), strict=True))
        return found
