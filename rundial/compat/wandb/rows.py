"""From what `wandb.log` is given to numbers, media, and what is neither; as W&B's client sorts it.

Nested mappings become `a.b`. An array or tensor of one element is its number, of up to 32 a list, of more a
histogram. Pure, but for the user's own code in the values.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rundial.interrupts import let_through
from rundial.media.values import Figure, Histogram, Image, Media
from rundial.signals.values import plain_number

NUMBERS = frozenset({int, float, bool})
MAX_LISTED = 32
MAX_DEPTH = 16
_FIGURES = ("matplotlib.figure", "plotly.graph_objs", "plotly.basedatatypes")
_PICTURES = "PIL."


class Row:
    """What one call of `log` holds, by full name.

    Attributes:
        numbers: What becomes points.
        media: What is shown at a step; a name may have several.
        others: Texts and lists, which are no points.
    """

    __slots__ = ("media", "numbers", "others")

    def __init__(self) -> None:
        self.numbers: dict[str, Any] = {}
        self.media: list[tuple[str, Media]] = []
        self.others: dict[str, Any] = {}


class Chart:
    """Values that one name stands for several media with: a chart and its table.

    Attributes:
        parts: The suffix to the name, and what is shown under it.
    """

    parts: tuple[tuple[str, Media], ...] = ()


def row_of(data: Mapping[Any, Any]) -> Row:
    """Sort out what one call of `log` holds."""
    row = Row()
    if type(data) is dict and NUMBERS.issuperset(map(type, data.values())):
        row.numbers = {str(key): value for key, value in data.items()}
        return row
    _walk(data, "", row, 0)
    return row


def _walk(data: Mapping[Any, Any], prefix: str, row: Row, depth: int) -> None:
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            _walk(value, f"{name}.", row, depth + 1)
        elif type(value) in NUMBERS:
            row.numbers[name] = value
        elif value is not None:
            _sort(name, value, row)


def _sort(name: str, value: Any, row: Row) -> None:
    shown = _media(value)
    if shown:
        row.media += [(f"{name}{suffix}", each) for suffix, each in shown]
    elif isinstance(value, str):
        row.others[name] = value
    else:
        _sort_array(name, value, row)


def _sort_array(name: str, value: Any, row: Row) -> None:
    count = _size(value)
    if count == 1:
        value = value.detach().cpu().reshape(-1)[0] if hasattr(value, "detach") else value.reshape(-1)[0]
    if count is None or count == 1:
        number = plain_number(value)
        if isinstance(number, str):
            row.others[name] = value
        else:
            row.numbers[name] = number
    elif count <= MAX_LISTED:
        row.others[name] = value.tolist()
    else:
        row.media.append((name, Histogram(value.detach().cpu() if hasattr(value, "detach") else value)))


def _size(value: Any) -> int | None:
    """How many elements an array or tensor with dimensions has; None for anything else."""
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or not shape or not callable(getattr(value, "tolist", None)):
        return None
    count = 1
    for length in shape:
        count *= int(length)
    return count


def _media(value: Any) -> list[tuple[str, Media]]:
    if isinstance(value, Media):
        return [("", value)]
    if isinstance(value, Chart):
        return list(value.parts)
    if isinstance(value, (list, tuple)) and value:
        found = [_media(each) for each in value[:1]]
        return [part for each in value for part in _media(each)] if found[0] else []
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and value is pyplot:
        return [("", Figure(pyplot.gcf()))]
    try:
        return _foreign(value)
    except Exception as error:  # noqa: BLE001 - the value's own code runs here; it is then no medium
        let_through(error)
        return []


def _foreign(value: Any) -> list[tuple[str, Media]]:
    """Recognise figures of matplotlib and plotly, axes, and pictures of PIL without importing them."""
    for kind in type(value).__mro__[:-1]:
        if kind.__module__.startswith(_FIGURES):
            return [("", Figure(value))]
        if kind.__module__.startswith("matplotlib.axes"):
            return [("", Figure(value.figure))]
        if kind.__module__.startswith(_PICTURES) and hasattr(value, "save"):
            return [("", Image(value))]
    return []
