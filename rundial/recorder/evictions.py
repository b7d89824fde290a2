"""What a full ring may give up while its spool cannot be written: its oldest records, counted.

The ring's lock guards it. A kill at any point counts each unit once: a new total is written beside the
old one, tagged with a mark, and comes true with the one store that moves the tail there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from rundial.recorder import counters, layout

# Units by (run slot, signal).
Units = dict[tuple[int, int], int]


class Evictions:
    """The parts of a ring that may go, oldest first."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, Units]] = deque()

    def __bool__(self) -> bool:
        return bool(self._parts)

    def allow(self, parts: Sequence[tuple[int, Units]]) -> None:
        """Add parts: marks, growing, each with the units before it that are in no frame yet."""
        self._parts.extend(parts)

    def forget(self) -> None:
        """Allow nothing any more."""
        self._parts.clear()

    def forbid(self, words: memoryview) -> None:
        """Allow nothing any more, and undo what an exception left half given up.

        What has not come true by now must not come true with the tail that the encoder moves next.
        """
        if self._parts:
            for run, signal in self._parts[0][1]:
                _, older = counters.evicted_pair(words, run, signal)
                words[older] = layout.NEVER
            self._parts.clear()

    def give_up(self, words: memoryview) -> int:
        """Give up the oldest part and return the new tail."""
        mark, units = self._parts[0]
        if words[layout.WORD_TAIL] < mark:
            for (run, signal), lost in units.items():
                total, older = counters.evicted_pair(words, run, signal)
                words[older] = layout.NEVER
                words[older + 1] = total + lost
                words[older] = mark
            words[layout.WORD_TAIL] = mark
        # Forgotten only when done: an exception may strike in between.
        self._parts.popleft()
        return mark
