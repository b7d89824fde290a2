"""Reading the loss counters of a run out of a ring's header, alive or dead.

Writing them is the ring's, under its lock. A reader may come at any time, also after a kill: each
word is old or new, and the total of units that the ring evicted comes true with its tail. Words are
read one by one and never as a slice: in a child forked at that moment, a view that nobody will ever
release would keep the mapping, and with it the parent's lock.
"""

from __future__ import annotations

from rundial.reasons import ACCOUNTS, REASONS
from rundial.recorder import layout
from rundial.recorder.layout import SIGNAL_INDEX


def dropped(words: memoryview, run: int) -> dict[str, dict[str, int]]:
    """Return units that never entered the ring, by signal and reason, without zeros."""
    found: dict[str, dict[str, int]] = {}
    for number, signal in enumerate(ACCOUNTS):
        first = layout.slot_word(run, number)
        counts = ((reason, words[first + index]) for index, reason in enumerate(REASONS))
        found[signal] = {reason: int(count) for reason, count in counts if count}
    return found


def dropped_totals(words: memoryview, run: int, signal: int) -> tuple[int, ...]:
    """Return one signal's drops in the order of `REASONS`."""
    first = layout.slot_word(run, signal)
    return tuple(int(words[first + index]) for index in range(len(REASONS)))


def evicted(words: memoryview, run: int) -> dict[str, int]:
    """Return units that the ring itself gave up, by signal."""
    return {signal: evicted_pair(words, run, at)[0] for signal, at in SIGNAL_INDEX.items()}


def evicted_pair(words: memoryview, run: int, signal: int) -> tuple[int, int]:
    """Return the total in force, and the word of the pair that may be overwritten next."""
    first = layout.slot_word(run, signal) + layout.EVICTED_AT
    tail = words[layout.WORD_TAIL]
    valid = [(words[word], word) for word in (first, first + 2) if words[word] <= tail]
    if not valid:
        return 0, first
    newest = max(valid)[1]
    return int(words[newest + 1]), first + 2 if newest == first else first
