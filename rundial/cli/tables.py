"""Rows as aligned lines: whole in a pipe, as wide as the terminal on one. Pure but for asking how wide it is.

A column that does not fit is cut and ends in `…`; what a person copies, such as an id, is never cut.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from typing import Final

_GAP: Final = 2
_LEAST: Final = 6
_PAINT: Final = re.compile(r"(\x1b\[[0-9;]*m)")


def table(  # noqa: PLR0913 - each says how columns are shown
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    whole: frozenset[int] = frozenset({0}),
    width: int | None = None,
    is_raw: bool = False,
    optional: Sequence[int] = (),
) -> list[str]:
    """Return aligned lines.

    Args:
        header: Column titles.
        rows: Cells as text, as many as titles.
        right: Columns that are aligned to the right.
        whole: Columns that are never cut.
        width: Columns of the terminal; None asks it, and cuts nothing in a pipe.
        is_raw: Titles are names, which stay as they are.
        optional: Columns that are left out, in this order, where a terminal is too narrow.
    """
    lines = [list(header) if is_raw else [title.upper() for title in header], *[list(row) for row in rows]]
    widths = [max(cells_of(row[place]) for row in lines) for place in range(len(header))]
    limit = width if width is not None else terminal_width()
    places = list(range(len(header)))
    if limit is not None:
        places = _kept(widths, limit, whole | right, optional)
        widths = _fitted(widths, places, limit, whole | right)
    return [_line(row, widths, places, right) for row in lines]


def terminal_width() -> int | None:
    """Return how many columns the terminal has, None in a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def cells_of(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(char) for char in text)


def cut(text: str, width: int) -> str:
    """Return a text of at most so many cells; one that was cut ends in an ellipsis."""
    if cells_of(text) <= width:
        return text
    taken, kept = 0, []
    for char in text:
        taken += _cells(char)
        if taken > width - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def cut_painted(text: str, width: int) -> str:
    """Return a text that may hold colours, of at most so many cells; colours take none and stay."""
    parts = _PAINT.split(text)
    if sum(cells_of(part) for part in parts[::2]) <= width:
        return text
    left, kept = width, []
    for number, part in enumerate(parts):
        if number % 2:
            kept.append(part)
        elif left > 0:
            piece = cut(part, left) if cells_of(part) > left else part
            kept.append(piece)
            left -= cells_of(piece)
    return "".join(kept)


def _cells(char: str) -> int:
    import unicodedata  # only text that is not ASCII pays for it

    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _kept(widths: list[int], limit: int, whole: frozenset[int], optional: Sequence[int]) -> list[int]:
    """Leave columns out until the others can be made to fit, or none is left that may be missing."""
    places = list(range(len(widths)))
    for place in optional:
        least = [widths[each] if each in whole else min(_LEAST, widths[each]) for each in places]
        if sum(least) + _GAP * (len(places) - 1) <= limit:
            break
        places.remove(place)
    return places


def _fitted(widths: list[int], places: list[int], limit: int, whole: frozenset[int]) -> list[int]:
    """Take from the widest column that may be cut until all fit, or nothing more can be taken."""
    fitted = list(widths)
    excess = sum(fitted[place] for place in places) + _GAP * (len(places) - 1) - limit
    while excess > 0:
        able = [place for place in places if place not in whole and fitted[place] > _LEAST]
        if not able:
            break
        fitted[max(able, key=lambda place: fitted[place])] -= 1
        excess -= 1
    return fitted


def _line(row: Sequence[str], widths: Sequence[int], places: Sequence[int], right: frozenset[int]) -> str:
    padded = []
    for place in places:
        cell = cut(row[place], widths[place])
        blank = " " * (widths[place] - cells_of(cell))
        padded.append(blank + cell if place in right else cell + blank)
    return (" " * _GAP).join(padded).rstrip()
