"""Loss counters in a ring's header, alive or dead."""

from __future__ import annotations

from typing import Any

from rundial.diagnostics import ACCOUNTS, REASONS
from rundial.recorder import counters, layout
from tests.unit.recorder.builders import between_bytecodes, killed, small_ring


def test_drops_are_read_back_by_signal_and_reason() -> None:
    """A process killed right after a drop leaves the count of it."""
    ring = small_ring()
    slot = ring.open_slot()
    for number, signal in enumerate(ACCOUNTS):
        for index, reason in enumerate(REASONS):
            ring.drop(slot, signal, reason, 100 * number + index + 1)

    words = killed(ring.file).words

    for number, signal in enumerate(ACCOUNTS):
        counts = [100 * number + index + 1 for index in range(len(REASONS))]
        assert counters.dropped(words, slot.index)[signal] == dict(zip(REASONS, counts, strict=True))
        assert counters.dropped_totals(words, slot.index, number) == tuple(counts)


def test_a_kill_at_any_moment_never_shows_a_smaller_counter() -> None:
    """Rule 1: a counter word is its old value or its new one, at every instruction."""
    ring = small_ring()
    slot = ring.open_slot()
    seen = [0]

    def look() -> None:
        seen.append(counters.dropped(killed(ring.file).words, slot.index)["points"].get("invalid", 0))

    with between_bytecodes(look):
        for units in (1, 255, 2**33):
            ring.drop(slot, "points", "invalid", units)
    look()

    assert seen == sorted(seen)
    assert set(seen) == {0, 1, 256, 256 + 2**33}


def test_a_runs_counters_start_at_zero_in_a_slot_that_was_anothers() -> None:
    """A run never inherits the losses of one before it in the same process."""
    ring = small_ring()
    for _ in range(layout.RUN_SLOTS + 1):
        slot = ring.open_slot()
        assert counters.dropped(ring.file.words, slot.index) == {signal: {} for signal in ACCOUNTS}
        ring.drop(slot, "lines", "too_large", 3)
        ring.close_slot(slot)


def test_an_evicted_total_comes_true_with_the_tail_alone() -> None:
    """A kill between the new total and the tail neither counts units that are still there nor forgets any."""
    ring = small_ring()
    slot = ring.open_slot()
    words = ring.file.words
    first = layout.slot_word(slot.index, 1) + layout.EVICTED_AT
    tail = words[layout.WORD_TAIL]

    words[first + 1], words[first] = 5, tail + 800
    assert counters.evicted(words, slot.index)["lines"] == 0
    words[layout.WORD_TAIL] = tail + 800
    assert counters.evicted(words, slot.index)["lines"] == 5

    words[first + 3], words[first + 2] = 9, tail + 1600
    assert counters.evicted(words, slot.index)["lines"] == 5
    words[layout.WORD_TAIL] = tail + 1600
    assert counters.evicted(words, slot.index)["lines"] == 9
    assert counters.evicted_pair(words, slot.index, 1) == (9, first)


class WordByWord:
    """A ring's words, of which no views can be made."""

    def __init__(self, words: memoryview) -> None:
        self._words = words

    def __getitem__(self, index: object) -> int:
        assert isinstance(index, int), "a slice of the words is a view"
        return int(self._words[index])


def test_reading_counters_makes_no_views() -> None:
    """Rule 10: a child forked while another thread reads counters can still let go of the mapping."""
    ring = small_ring()
    slot = ring.open_slot()
    ring.drop(slot, "points", "invalid", 1)
    words: Any = WordByWord(ring.file.words)

    assert counters.dropped(words, slot.index)["points"] == {"invalid": 1}
    assert sum(counters.dropped_totals(words, slot.index, 0)) == 1
    assert counters.evicted(words, slot.index) == dict.fromkeys(ACCOUNTS, 0)
