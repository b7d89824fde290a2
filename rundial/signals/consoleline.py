r"""What is written to a console → the lines that it finally shows. Pure; reads no clock.

A line ends at `\n`. A progress bar goes back with `\r`, or up with `ESC [ A`, and writes the same
line again and again: its states are recorded at most every `STATE_INTERVAL_S`, all with one line
number, and its last state always. Whoever reads them keeps the last of each number. What a program
itself has overwritten between two states is not kept.

A line keeps its first 8,192 bytes and says how many it had. Empty ones are left out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rundial.signals.preview import cut_utf8
from rundial.signals.records import MAX_TEXT_BYTES

STATE_INTERVAL_S = 5.0
# How far back a cursor may move; tqdm nests bars, and nobody nests more.
MAX_LINES_ABOVE = 16

_MOVES = re.compile(r"(\n|\r|\x1b\[\d*A)")
_CONTROLS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line, or one state of a line that is still being rewritten.

    Attributes:
        text: The line without its end, at most `MAX_TEXT_BYTES` characters.
        beyond_bytes: Bytes of UTF-8 that came after `text` and are not kept.
        number: What all states of one line have in common; None for a line with a single state.
    """

    text: str
    beyond_bytes: int = 0
    number: int | None = None

    def fitted(self) -> tuple[bytes, int | None]:
        """Return the line as UTF-8 of at most `MAX_TEXT_BYTES`, and its whole length when it was cut."""
        data = self.text.encode("utf-8", "replace")
        if len(data) <= MAX_TEXT_BYTES and not self.beyond_bytes:
            return data, None
        return cut_utf8(data, MAX_TEXT_BYTES), len(data) + self.beyond_bytes


@dataclass(slots=True)
class _Row:
    """A line of the console as it stands."""

    text: str = ""
    beyond_bytes: int = 0
    number: int | None = None
    # Whether the next character overwrites the line, and whether one ever did.
    is_at_start: bool = False
    is_rewritten: bool = False
    has_ended: bool = False
    # Whether it shows what has not been recorded, and when its last state was.
    has_news: bool = False
    recorded_s: float | None = None

    def put(self, text: str) -> None:
        """Write at the end, or over the line after a carriage return."""
        if self.is_at_start:
            self.is_at_start, self.is_rewritten = False, True
            self.text, self.beyond_bytes = "", 0
        self.has_news = True
        room = MAX_TEXT_BYTES - len(self.text)
        self.text += text[:room]
        if len(text) > room:
            self.beyond_bytes += len(text[room:].encode("utf-8", "replace"))


class ConsoleLines:
    """Cuts one thread's output on one stream into lines.

    Args:
        numbers: Gives line numbers, a new one at each call.
        clock: Seconds that never go back.
    """

    def __init__(self, numbers: Callable[[], int], clock: Callable[[], float]) -> None:
        self._numbers = numbers
        self._clock = clock
        self._row = _Row()
        self._above: deque[_Row] = deque()
        self._below: list[_Row] = []

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held back."""
        return not self._above and not self._below and not self._row.has_news

    def feed(self, text: str) -> list[ConsoleLine]:
        """Take what was written and return what is to be recorded of it."""
        if "\r" in text or "\x1b[" in text or self._is_rewriting:
            return self._moved(text)
        out = self._left_behind() if self._above else []
        first, *pieces = text.split("\n")
        if first:
            self._row.put(first)
        if not pieces:
            return out
        out += self._record(self._row)
        self._row = _Row()
        last = pieces.pop()
        for piece in pieces:
            if len(piece) > MAX_TEXT_BYTES:
                row = _Row()
                row.put(piece)
                out += self._record(row)
            elif piece and not piece.isspace():
                out.append(ConsoleLine(piece))
        if last:
            self._row.put(last)
        return out

    def rest(self) -> list[ConsoleLine]:
        """Return what is held back, at the end."""
        out = self._left_behind()
        for row in (self._row, *reversed(self._below)):
            out += self._record(row)
        self._row, self._below = _Row(), []
        return out

    @property
    def _is_rewriting(self) -> bool:
        return bool(self._below) or self._row.is_at_start or self._row.is_rewritten

    def _moved(self, text: str) -> list[ConsoleLine]:
        out: list[ConsoleLine] = []
        now_s = self._clock()
        for piece in _MOVES.split(text):
            if piece == "\n":
                out += self._down(now_s)
            elif piece == "\r":
                self._row.is_at_start = True
            elif piece.startswith("\x1b[") and piece.endswith("A"):
                self._up(int(piece[2:-1] or 1))
            elif piece:
                self._row.put(piece)
        return out + self._state(self._row, now_s)

    def _down(self, now_s: float) -> list[ConsoleLine]:
        row = self._row
        row.is_at_start = False
        # Of bars that take turns, each line ends again and again; its last state comes with `rest`.
        out = self._state(row, now_s) if row.has_ended else self._record(row, now_s)
        row.has_ended = True
        self._above.append(row)
        self._row = self._below.pop() if self._below else _Row()
        self._row.is_at_start = self._row.has_ended
        if len(self._above) > MAX_LINES_ABOVE:
            out += self._record(self._above.popleft(), now_s)
        return out

    def _up(self, rows: int) -> None:
        for _ in range(min(rows, len(self._above))):
            self._below.append(self._row)
            self._row = self._above.pop()
        # Who goes up means to write over what is there.
        self._row.is_at_start = True

    def _left_behind(self) -> list[ConsoleLine]:
        """Return the last states of lines that nobody comes back to."""
        out = [line for row in self._above for line in self._record(row)]
        self._above.clear()
        return out

    def _state(self, row: _Row, now_s: float) -> list[ConsoleLine]:
        """Return a state of a line that is being rewritten, when one is due."""
        if not (row.is_rewritten and row.has_news):
            return []
        if row.recorded_s is None:
            # A bar that is done before its first interval ends is recorded once.
            row.recorded_s = now_s
        return self._record(row, now_s) if now_s - row.recorded_s >= STATE_INTERVAL_S else []

    def _record(self, row: _Row, now_s: float | None = None) -> list[ConsoleLine]:
        if not row.has_news:
            return []
        row.has_news, row.recorded_s = False, now_s
        if row.text.isspace() or (row.text[:1] == "\x1b" and is_blank(row.text)):
            return []
        if row.is_rewritten and row.number is None:
            row.number = self._numbers()
        return [ConsoleLine(row.text, row.beyond_bytes, row.number)]


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: spaces and control sequences alone."""
    return not plain(text).strip()


def plain(text: str) -> str:
    """Return a text without the control sequences of terminals, such as colours."""
    return _CONTROLS.sub("", text) if "\x1b" in text else text
