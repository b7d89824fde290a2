"""What a full ring gives up: oldest first, counted once, and only where it was allowed to."""

from __future__ import annotations

import pytest

from rundial.recorder import counters, layout
from rundial.recorder.evictions import Evictions
from tests.unit.recorder.builders import ring_file

LINES, SPANS = 1, 2


@pytest.fixture
def words() -> memoryview:
    """The words of an empty ring."""
    return ring_file().words


def tail(words: memoryview) -> int:
    """Return where the ring's records begin."""
    return int(words[layout.WORD_TAIL])


def test_parts_go_oldest_first_and_are_counted(words: memoryview) -> None:
    """Each unit that a full ring gave up is counted for its run and its signal, once."""
    start = tail(words)
    parts = Evictions()
    parts.allow([(start + 80, {(0, LINES): 3, (4, SPANS): 1}), (start + 160, {(0, LINES): 2})])
    tails = [parts.give_up(words), parts.give_up(words)]

    assert tails == [start + 80, start + 160]
    assert tail(words) == start + 160
    assert counters.evicted(words, 0) == {"points": 0, "lines": 5, "spans": 0, "artifacts": 0}
    assert counters.evicted(words, 4) == {"points": 0, "lines": 0, "spans": 1, "artifacts": 0}
    assert not parts


def test_total_grows_over_any_number_of_parts(words: memoryview) -> None:
    """Two places in turn hold the total, and the newest one counts."""
    start = tail(words)
    parts = Evictions()
    totals = []
    for number in range(1, 6):
        parts.allow([(start + 80 * number, {(0, LINES): 10**number})])
        parts.give_up(words)
        totals.append(counters.evicted(words, 0)["lines"])

    assert totals == [10, 110, 1_110, 11_110, 111_110]


def test_there_is_something_to_give_up_only_while_it_is_allowed(words: memoryview) -> None:
    """A ring whose spool can be written again gives nothing up."""
    start = tail(words)
    parts = Evictions()
    assert not parts
    parts.allow([(start + 80, {})])
    assert parts
    parts.forget()

    assert not parts
    assert tail(words) == start


def test_part_that_the_tail_has_passed_is_not_counted(words: memoryview) -> None:
    """What was written in the meantime is no loss."""
    start = tail(words)
    parts = Evictions()
    parts.allow([(start + 80, {(0, LINES): 3}), (start + 160, {(0, LINES): 2})])
    words[layout.WORD_TAIL] = start + 80

    assert parts.give_up(words) == start + 80
    assert (tail(words), counters.evicted(words, 0)["lines"]) == (start + 80, 0)
    assert parts.give_up(words) == start + 160
    assert counters.evicted(words, 0)["lines"] == 2


def test_half_given_up_part_that_is_forbidden_never_comes_true(words: memoryview) -> None:
    """An exception in the middle, and then a spool that can be written, count nothing as lost."""
    start = tail(words)
    parts = Evictions()
    parts.allow([(start + 80, {(0, LINES): 3}), (start + 160, {(0, LINES): 4})])
    parts.give_up(words)
    first = layout.slot_word(0, LINES) + layout.EVICTED_AT
    _, older = counters.evicted_pair(words, 0, LINES)
    words[older + 1], words[older] = 7, start + 160
    parts.forbid(words)
    words[layout.WORD_TAIL] = start + 400

    assert not parts
    assert counters.evicted(words, 0)["lines"] == 3
    assert older in (first, first + 2)
    assert words[older] == layout.NEVER


def test_forbidding_nothing_changes_nothing(words: memoryview) -> None:
    """The ordinary ring is not touched."""
    before = words.tobytes()
    Evictions().forbid(words)

    assert words.tobytes() == before
