"""Points of a run's series, as they are printed."""

from __future__ import annotations

from typing import Any

from rundial.cli.output import Output, shown, table, when
from rundial.cli.series import Series, name_of


def identity(point: dict[str, Any]) -> tuple[object, ...]:
    """Return what tells a point of a series from another one."""
    return point.get("step"), point.get("timestampMs"), point.get("value")


class Printer:
    """Prints points of one run, some at a time, below each other.

    Args:
        output: How.
        run_id: The run's id.
    """

    def __init__(self, output: Output, run_id: str) -> None:
        self._output = output
        self._run_id = run_id
        self._is_begun = False
        # The widest cell of each column so far: what is printed later stands below it.
        self._widest = [""] * 4

    def show(self, series: Series) -> None:
        """Print some points, the first time also that there are none."""
        self._output.result({"series": series}, lambda: self._lines(series))

    def note(self, line: str) -> None:
        """Tell a person something beside the points."""
        self._output.note(f"rundial: {line}")

    def _lines(self, series: Series) -> list[str]:
        cells = [
            [
                name_of(row),
                shown(point.get("step")),
                when(point.get("timestampMs")),
                shown(point.get("value")),
            ]
            for row in series
            for point in row["points"]
        ]
        if not cells:
            run_id = shown(self._run_id)
            return [f"no points of {run_id} yet; see what there is: rundial run status {run_id}"]
        self._widest = [max(column, key=len) for column in zip(self._widest, *cells, strict=True)]
        # The widest cells stand in a row of their own, which is not printed.
        header, _, *lines = table(
            ["series", "step", "time", "value"], [self._widest, *cells], right=frozenset({1, 3})
        )
        is_first, self._is_begun = not self._is_begun, True
        return [header, *lines] if is_first else lines
