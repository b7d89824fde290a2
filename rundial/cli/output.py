"""What the commands print: one JSON object on one line, or plain aligned text.

Results go to stdout; notes, progress and errors go to stderr, so that a pipe carries results
alone. Text that came from a server is stripped of terminal control characters before it is
printed: a log line must not be able to move the cursor of who reads it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

from rundial.cli.tables import table as table

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
COLORS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}
STATUS_COLORS = {
    "completed": "green",
    "running": "cyan",
    "failed": "red",
    "crashed": "red",
    "aborted": "yellow",
}


@dataclass(frozen=True, slots=True)
class Output:
    """How one invocation prints.

    Attributes:
        is_json: One object a result instead of text.
        is_quiet: No tables and no notes; JSON and errors are printed all the same.
        has_color: Colour is allowed; it is used on a terminal only.
    """

    is_json: bool = False
    is_quiet: bool = False
    has_color: bool = True

    def result(self, found: Mapping[str, object], human: Callable[[], Iterable[str]]) -> None:
        """Print one result.

        Args:
            found: The JSON object, without `ok`, which is added.
            human: Makes the lines for a person; not called when JSON is wanted.
        """
        if self.is_json:
            write(sys.stdout, [as_json({"ok": True, **found})])
        elif not self.is_quiet:
            write(sys.stdout, human())

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines that a person asked for; nothing when JSON is wanted or when quiet."""
        if not self.is_json and not self.is_quiet:
            write(sys.stdout, lines)

    def note(self, line: str) -> None:
        """Tell a person something beside the result, on stderr."""
        if not self.is_json and not self.is_quiet:
            write(sys.stderr, [line])

    def paint(self, text: str, color: str, stream: TextIO | None = None) -> str:
        """Colour text where colour is allowed and the stream is a terminal."""
        if not text or color not in COLORS or not self.paints(stream):
            return text
        return f"\x1b[{COLORS[color]}m{text}\x1b[0m"

    def paints(self, stream: TextIO | None = None) -> bool:
        """Whether colour may be used: wanted, no NO_COLOR, and a terminal."""
        return self.has_color and not os.environ.get("NO_COLOR") and (stream or sys.stdout).isatty()

    def draws(self) -> bool:
        """Whether a person sees it at once: text on a terminal, where pictures are worth a request."""
        return not self.is_json and not self.is_quiet and sys.stdout.isatty()

    def status(self, status: object, width: int = 0) -> str:
        """Return a run's status, padded, in its colour."""
        word = shown(status)
        return self.paint(word.ljust(width), STATUS_COLORS.get(word, ""))


def write(stream: TextIO, lines: Iterable[str]) -> None:
    """Print lines, replacing what the stream's encoding cannot carry, and flush."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for line in lines:
        stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def as_json(found: Mapping[str, object]) -> str:
    """Return one line of JSON with sorted keys."""
    import json  # the help of a command needs none

    return json.dumps(found, sort_keys=True, ensure_ascii=False, default=str)


def shown(value: object) -> str:
    """Return a value as printable text on one line; control characters become escapes."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def when(time_ms: object) -> str:
    """Return a time in milliseconds since 1970 as local time, `-` when there is none."""
    from datetime import datetime, timezone

    try:
        seconds = float(str(time_ms)) / 1000
        local = datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone()
    except (ValueError, OverflowError, OSError):
        return "-"
    return local.strftime("%Y-%m-%d %H:%M:%S")


def when_short(time_ms: object) -> str:
    """Return a time as `when` does, without year and seconds: for a table that must fit a terminal."""
    return when(time_ms)[5:-3] or "-"


def facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return `name   value` lines with the values aligned."""
    known = list(pairs)
    width = max((len(name) for name, _ in known), default=0)
    return [f"{name.ljust(width)}  {value}".rstrip() for name, value in known]


def size(number: object) -> str:
    """Return a number of bytes in the unit that suits it."""
    if not isinstance(number, int):
        return "-"
    value = float(number)
    for unit in UNITS[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {UNITS[-1]}"


def some(number: object, noun: str) -> str:
    """Return how many there are of what: `1 file`, `2 files`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def count(number: object) -> str:
    """Return a whole number with separators, `-` when there is none."""
    return f"{number:,}" if isinstance(number, int) else "-"
