"""Curves as text: a sparkline in one line, a plot in many. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

BARS: Final = "▁▂▃▄▅▆▇█"
# A braille character has two columns of four dots; these are the bits of each column from below.
_DOTS: Final = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
_BRAILLE: Final = 0x2800


def sparkline(values: Sequence[float], width: int = 12) -> str:
    """Return values as bars, at most `width` of them; nothing when there is no finite one.

    Where there are more values, a bar stands for the last of its share, so that the end is the end.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    count = min(width, len(finite))
    taken = [finite[(number + 1) * len(finite) // count - 1] for number in range(count)]
    low, high = min(taken), max(taken)
    # Halves: the span of two large numbers of opposite sign may be more than a float holds.
    span = high / 2 - low / 2
    if span == 0:
        return BARS[len(BARS) // 2] * count
    top = len(BARS) - 1
    return "".join(BARS[round((value / 2 - low / 2) / span * top)] for value in taken)


def plot(points: Sequence[tuple[float, float]], *, width: int, height: int, title: str = "") -> list[str]:
    """Return a curve as lines: the axes with their ends, and dots between them.

    Args:
        points: Pairs of x and y; those that are not finite are left out.
        width: Columns in all, at least 24.
        height: Lines of the curve, at least 2.
        title: Above it.
    """
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not finite:
        return [title, "no finite points"] if title else ["no finite points"]
    xs, ys = [x for x, _ in finite], [y for _, y in finite]
    ends = (_number(max(ys)), _number(min(ys)))
    margin = max(map(len, ends))
    columns = max(8, width - margin - 2)
    rows = _dots(finite, columns, max(2, height))
    labels = [ends[0], *[""] * (len(rows) - 2), ends[1]]
    lines = [title] if title else []
    lines += [f"{label.rjust(margin)} │{row}".rstrip() for label, row in zip(labels, rows, strict=True)]
    lines.append(f"{' ' * margin} └{'─' * columns}")
    lines.append(_ends(min(xs), max(xs), margin + 2, columns))
    return lines


def _ends(low: float, high: float, margin: int, columns: int) -> str:
    """Return the line below a curve; ends that are too long for it begin further left, or are rounded."""
    left, right = _number(low), _number(high)
    if len(left) + 1 + len(right) > margin + columns:
        left, right = f"{low:.3g}", f"{high:.3g}"
    between = max(1, columns - len(left) - len(right))
    return f"{left}{' ' * between}{right}".rjust(margin + columns)


def _dots(points: Sequence[tuple[float, float]], columns: int, height: int) -> list[str]:
    grid = [[0] * columns for _ in range(height)]
    across = _scale([x for x, _ in points], columns * 2)
    up = _scale([y for _, y in points], height * 4)
    last: tuple[int, int] | None = None
    for x, y in zip(across, up, strict=True):
        for column, row in _between(last, (x, y)):
            cell, dot = height - 1 - row // 4, _DOTS[column % 2][row % 4]
            grid[cell][column // 2] |= dot
        last = (x, y)
    return ["".join(chr(_BRAILLE + bits) if bits else " " for bits in row) for row in grid]


def _between(start: tuple[int, int] | None, end: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the dots of a line, without its first one."""
    if start is None:
        return [end]
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (
            start[0] + round((end[0] - start[0]) * step / steps),
            start[1] + round((end[1] - start[1]) * step / steps),
        )
        for step in range(1, steps + 1)
    ]


def _scale(values: Sequence[float], size: int) -> list[int]:
    low, high = min(values), max(values)
    span = high / 2 - low / 2
    if span == 0:
        return [size // 2] * len(values)
    return [min(size - 1, int((value / 2 - low / 2) / span * (size - 1) + 0.5)) for value in values]


def _number(value: float) -> str:
    return f"{value:.6g}"
