"""What is written to a console, cut into the lines that it finally shows."""

from __future__ import annotations

import itertools

import pytest

from rundial.signals.consoleline import ConsoleLine, ConsoleLines, is_blank, plain
from rundial.signals.records import MAX_TEXT_BYTES
from tests.support.clock import ManualClock


class Terminal:
    """Lines of one thread, on a clock that the test moves."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._lines = ConsoleLines(itertools.count(1).__next__, clock.monotonic_s)
        self.seen: list[ConsoleLine] = []

    def write(self, *texts: str, pause_s: float = 0.0) -> None:
        """Write texts one by one, with a pause behind each."""
        for text in texts:
            self.seen += self._lines.feed(text)
            self._clock.advance(pause_s)

    def end(self) -> list[tuple[str, int | None]]:
        """Everything that was recorded, the rest included, as (text, number)."""
        self.seen += self._lines.rest()
        assert self._lines.is_idle
        assert self._lines.rest() == []
        return [(line.text, line.number) for line in self.seen]

    def shown(self) -> list[str]:
        """What a reader sees: of each number the last state, in the place of the first."""
        rows: dict[object, str] = {}
        for place, (text, number) in enumerate(self.end()):
            rows[("plain", place) if number is None else number] = plain(text).strip()
        return list(rows.values())


@pytest.fixture
def terminal(clock: ManualClock) -> Terminal:
    """A console that nothing was written to."""
    return Terminal(clock)


@pytest.mark.parametrize(
    "writes",
    [
        ("one\ntwo\nthree\n",), ("one", "\n", "two", "\n", "three", "\n"), tuple("one\ntwo\nthree\n"),
        ("one\r\ntwo\r\n", "three"), ("one\n\n\ntwo\n", "  \n", "three\n"), ("o", "ne\ntw", "o\nthree"),
    ],
)  # fmt: skip  # the writings read better side by side
def test_lines_are_the_same_however_they_are_written(terminal: Terminal, writes: tuple[str, ...]) -> None:
    """A line is a line whether it comes at once or by the character; empty ones are left out."""
    terminal.write(*writes)

    assert terminal.end() == [("one", None), ("two", None), ("three", None)]


def test_line_that_has_not_ended_waits_for_its_end(terminal: Terminal) -> None:
    """Half a line is not recorded before the other half is there."""
    terminal.write("loading ", "… ")
    assert terminal.seen == []

    terminal.write("done\n")
    assert [line.text for line in terminal.seen] == ["loading … done"]


@pytest.mark.parametrize("writes", [["é" * 10_000 + "\nnext\n"], ["é"] * 10_000 + ["\n", "next\n"]])
def test_long_line_is_cut_and_says_how_long_it_was(terminal: Terminal, writes: list[str]) -> None:
    """A line keeps 8,192 bytes, however it was written, and what was cut is counted."""
    terminal.write(*writes)
    first, second = terminal.seen
    body, original_bytes = first.fitted()

    assert original_bytes == 20_000
    assert body == ("é" * (MAX_TEXT_BYTES // 2)).encode()
    assert (second.fitted(), terminal.end()[1:]) == ((b"next", None), [("next", None)])


def test_long_line_between_others_is_cut_alike(terminal: Terminal) -> None:
    """A long line in the middle of one write is no exception."""
    terminal.write("a\n" + "x" * 1_000_000 + "\nb\n")

    assert [line.fitted()[1] for line in terminal.seen] == [None, 1_000_000, None]


def test_bar_that_ends_soon_is_one_line(terminal: Terminal) -> None:
    """A progress bar that is done within seconds leaves its last state and nothing else."""
    terminal.write("\r  0%", "\r 50%", "\r100%", "\n", "next\n", pause_s=1.0)

    assert [text for text, _ in terminal.end()] == ["100%", "next"]


def test_bar_that_lasts_shows_states_that_fold_into_one(terminal: Terminal) -> None:
    """An hour of a bar is a state now and then, all of them one line to who reads it."""
    terminal.write(*(f"\r{second:4d}/3600" for second in range(3_601)), pause_s=1.0)
    terminal.write("\n", "after\n")
    lines = terminal.end()

    assert 700 <= len(lines) <= 722, "one state in five seconds"
    assert len({number for _, number in lines[:-1]}) == 1
    assert terminal.shown() == ["3600/3600", "after"]


def test_bar_that_never_ends_leaves_its_last_state(terminal: Terminal) -> None:
    """The state in which a program left its bar is there at the end."""
    terminal.write("\r 10%", "\r 20%", pause_s=0.1)

    assert terminal.shown() == ["20%"]


def test_return_at_the_end_of_a_write_overwrites_with_the_next(terminal: Terminal) -> None:
    """Bars that return after each state fold as those that return before it."""
    terminal.write("10%\r", "20%\r", "30%\n")

    assert terminal.shown() == ["30%"]


def test_bars_that_take_turns_keep_a_line_each(terminal: Terminal) -> None:
    """Nested bars, which go up and down, are one line each and flood nothing."""
    for step in range(1_000):
        terminal.write(f"\router {step // 10}", "\n", f"\rinner {step % 10}", "\x1b[A", pause_s=0.1)
    terminal.write("\n\n", "after\n")

    assert terminal.shown() == ["outer 99", "inner 9", "after"]
    assert len(terminal.seen) < 170, "400 s of two bars"


def test_frames_that_are_drawn_over_do_not_flood(terminal: Terminal) -> None:
    """A live table that draws itself again and again is recorded now and then."""
    terminal.write("head\nrow 0\n")
    for frame in range(1, 1_000):
        terminal.write("\x1b[1A\x1b[2K\x1b[1A\x1b[2K" + f"head\nrow {frame}\n", pause_s=0.1)

    shown = terminal.shown()
    assert shown[-1] == "row 999"
    assert len(terminal.seen) < 60


def test_colours_are_kept_and_can_be_taken_away(terminal: Terminal) -> None:
    """A coloured line is recorded as it is; one of control sequences alone is not recorded."""
    terminal.write("\x1b[31mred\x1b[0m\n", "\x1b[2K\x1b[?25h\n")

    assert terminal.end() == [("\x1b[31mred\x1b[0m", None)]
    assert plain("\x1b[31mred\x1b[0m") == "red"
    assert is_blank(" \x1b[0m")
    assert not is_blank("x")
