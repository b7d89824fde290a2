"""What the demonstration draws in a terminal: a progress bar and a chart.

Plain text, no dependency. Block characters where the stream can carry them, ASCII elsewhere; a
stream that is no terminal gets one line instead of a moving bar.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from rundial.clock import Clock, SystemClock

Point = tuple[float, float]

_REDRAW_S = 0.1
_AXIS = 10
_LOG_FROM = 30
_LARGEST = 1e150
_MARKS = {"unicode": "●·▪", "ascii": "*.o"}


def can_carry(stream: TextIO, text: str) -> bool:
    """Whether a stream's encoding has these characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def columns(limit: int = 100) -> int:
    """Return the terminal's width, at most `limit` and at least 20."""
    return max(20, min(limit, shutil.get_terminal_size((80, 24)).columns))


class ProgressBar:
    """A bar on one line of a terminal, drawn at most ten times a second.

    Args:
        stream: Where to draw; nothing moves when it is no terminal.
        total: Steps at the end, from 1; None where nobody knows: the steps are counted, without a bar.
        label: Stands before the bar.
        clock: Tests pass one that they advance.
        shown: Writes a number of steps.
    """

    def __init__(
        self,
        stream: TextIO,
        total: int | None,
        *,
        label: str,
        clock: Clock | None = None,
        shown: Callable[[int], str] = "{:,}".format,
    ) -> None:
        self._stream = stream
        self._total = None if total is None else max(1, total)
        self._label = label
        self._clock = clock or SystemClock()
        self._shown = shown
        self._is_moving = stream.isatty()
        self._full, self._empty = ("█", "░") if can_carry(stream, "█░") else ("#", "-")
        self._due_s = -math.inf
        self._started_s = self._clock.monotonic_s()

    def update(self, done: int, text: str = "") -> None:
        """Draw so many steps done, if it is time to, with a few words behind the bar."""
        now_s = self._clock.monotonic_s()
        if not self._is_moving or (now_s < self._due_s and done != self._total):
            return
        self._due_s = now_s + _REDRAW_S
        self._stream.write("\r" + self.line(done, text) + "\x1b[K")
        self._stream.flush()

    def line(self, done: int, text: str) -> str:
        """Return the bar as text that fits the terminal's width."""
        room = columns() - 1
        if self._total is None:
            return f"{self._label} {self._shown(done)} {text}".rstrip()[:room]
        share = min(1.0, done / self._total)
        head, tail = f"{self._label} ", f" {self._shown(done)}/{self._shown(self._total)} {text}".rstrip()
        width = max(8, min(40, room - len(head) - len(tail)))
        full = round(share * width)
        return (head + self._full * full + self._empty * (width - full) + tail)[:room]

    def finish(self, text: str) -> None:
        """Replace the bar by one closing line."""
        elapsed_s = self._clock.monotonic_s() - self._started_s
        start = "\r\x1b[K" if self._is_moving else ""
        steps = f"{self._label} {self._total or 0:,} steps in {elapsed_s:.1f} s {text}".rstrip()
        self._stream.write(f"{start}{steps}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the bar away, as if it had not been."""
        if self._is_moving:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def abandon(self) -> None:
        """Leave the line, so that what follows starts on its own."""
        if self._is_moving:
            self._stream.write("\n")
            self._stream.flush()


def chart(
    series: Mapping[str, Sequence[Point]], *, width: int, height: int = 10, is_ascii: bool = False
) -> list[str]:
    """Return a chart of up to three series as lines, none wider than `width`.

    Each column shows the mean of the points that fall into it. The scale is logarithmic when all
    means are positive and span more than a factor of 30. Where series meet, the first is on top.

    Args:
        series: By name, points as (x, y); points that are not finite, or beyond 1e150, are left out.
        width: Characters, from 20.
        height: Rows of the plot, from 2.
        is_ascii: Use ASCII characters only.
    """
    finite = {name: [p for p in points if _is_drawable(p)] for name, points in series.items()}
    points = [p for some in finite.values() for p in some]
    if not points:
        return ["(no points)"]
    room = max(1, width - _AXIS - 2)
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    rows = {name: _columns(some, left, right, room) for name, some in finite.items()}
    heights = [y for means in rows.values() for y in means.values()]
    low, high = min(heights), max(heights)
    is_log = low > 0 and high / low > _LOG_FROM
    marks = _MARKS["ascii" if is_ascii else "unicode"]
    cells = [[" "] * room for _ in range(height)]
    # Drawn from the last series to the first, so that the first ends up on top.
    for mark, means in reversed(list(zip(marks, rows.values(), strict=False))):
        for column, y in means.items():
            cells[_row(y, low, high, height, is_log=is_log)][column] = mark
    middle = math.sqrt(low * high) if is_log else (low + high) / 2
    frame = _framed(cells, (low, middle, high), (left, right), is_ascii)
    return [*frame, _legend(list(rows), marks, is_log=is_log)[:width]]


def _is_drawable(point: Point) -> bool:
    # NaN fails both comparisons; beyond the limit, sums and differences would overflow.
    return all(abs(number) <= _LARGEST for number in point)


def _columns(points: Sequence[Point], left: float, right: float, room: int) -> dict[int, float]:
    sums: dict[int, tuple[float, int]] = {}
    for x, y in points:
        column = round((x - left) / (right - left) * (room - 1)) if right > left else 0
        total, count = sums.get(column, (0.0, 0))
        sums[column] = (total + y, count + 1)
    return {column: total / count for column, (total, count) in sums.items()}


def _row(y: float, low: float, high: float, height: int, *, is_log: bool) -> int:
    if is_log:
        y, low, high = math.log(y), math.log(low), math.log(high)
    share = (y - low) / (high - low) if high > low else 0.0
    return height - 1 - round(share * (height - 1))


def _framed(
    cells: list[list[str]], y: tuple[float, float, float], x: tuple[float, float], is_ascii: bool
) -> list[str]:
    wall, corner, floor = ("|", "+", "-") if is_ascii else ("┤", "└", "─")
    # The middle first: in a plot of two or three rows it makes way for an end of the scale.
    labels = {len(cells) // 2: f"{y[1]:.3g}", 0: f"{y[2]:.3g}", len(cells) - 1: f"{y[0]:.3g}"}
    lines = [f"{labels.get(i, ''):>{_AXIS}} {wall}{''.join(row)}".rstrip() for i, row in enumerate(cells)]
    room = len(cells[0])
    first, last = f"{x[0]:g}", f"{x[1]:g}"
    gap = max(1, room - len(first) - len(last))
    lines.append(f"{'':>{_AXIS}} {corner}{floor * room}")
    lines.append(f"{'':>{_AXIS}}  {first}{' ' * gap}{last}"[: _AXIS + 2 + room])
    return lines


def _legend(names: Sequence[str], marks: str, *, is_log: bool) -> str:
    text = "   ".join(f"{mark} {name}" for mark, name in zip(marks, names, strict=False))
    return f"{'':>{_AXIS}}  {text}" + ("   (log scale)" if is_log else "")
