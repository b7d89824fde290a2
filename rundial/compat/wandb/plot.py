"""`wandb.plot`: charts of a table, each recorded as a figure that browsers draw and, beside it, the table.

As in W&B's client the table goes by the chart's name and `_table`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rundial.compat.wandb.failures import unsupported
from rundial.compat.wandb.media import Table
from rundial.compat.wandb.rows import Chart
from rundial.media.values import Figure


class CustomChart(Chart):
    """A chart with its table.

    Args:
        table: What it shows.
        traces: As plotly has them.
        title: In words.
        axes: Titles of x and y.

    Attributes:
        table, traces: As given.
    """

    def __init__(
        self, table: Table, traces: Sequence[Mapping[str, Any]], title: str, axes: tuple[str, str]
    ) -> None:
        self.table = table
        self.traces = list(traces)
        layout = {
            "title": {"text": title},
            "xaxis": {"title": {"text": axes[0]}},
            "yaxis": {"title": {"text": axes[1]}},
        }
        figure = _Drawing({"data": self.traces, "layout": layout})
        self.parts = (("", Figure(figure)), ("_table", table))


class _Drawing:
    """What plotly would make of it, without plotly."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content

    def to_plotly_json(self) -> Mapping[str, Any]:
        return self._content

    def to_json(self) -> str:
        return json.dumps(self._content, default=str)


def bar(table: Table, label: str, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return a bar for each label."""
    del split_table
    trace = {"type": "bar", "x": table.get_column(label), "y": table.get_column(value)}
    return CustomChart(table, [trace], title, (label, value))


def line(
    table: Table, x: str, y: str, stroke: str | None = None, title: str = "", split_table: bool = False
) -> CustomChart:
    """Return a line, or one for each value of the column `stroke`."""
    del split_table
    xs, ys = table.get_column(x), table.get_column(y)
    strokes = [None] * len(xs) if stroke is None else table.get_column(stroke)
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": y if each is None else str(each),
            "x": [at for at, mine in zip(xs, strokes, strict=True) if mine == each],
            "y": [at for at, mine in zip(ys, strokes, strict=True) if mine == each],
        }
        for each in dict.fromkeys(strokes)
    ]
    return CustomChart(table, traces, title, (x, y))


def scatter(table: Table, x: str, y: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return a dot for each row."""
    del split_table
    trace = {"type": "scatter", "mode": "markers", "x": table.get_column(x), "y": table.get_column(y)}
    return CustomChart(table, [trace], title, (x, y))


def histogram(table: Table, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return how often the values of a column lie where."""
    del split_table
    return CustomChart(table, [{"type": "histogram", "x": table.get_column(value)}], title, (value, "count"))


def line_series(
    xs: Iterable[Any],
    ys: Iterable[Iterable[Any]],
    keys: Iterable[str] | None = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,
) -> CustomChart:
    """Return several lines over one x, or over an x of each.

    Raises:
        ValueError: There is not one x, and one name, for each line.
    """
    del split_table
    lines = [list(each) for each in ys]
    shared = list(xs)
    across = [list(each) for each in shared] if shared and _is_listed(shared[0]) else [shared] * len(lines)
    names = [f"line_{number}" for number in range(len(lines))] if keys is None else [str(key) for key in keys]
    rows = [
        [x, name, y]
        for x_of, name, line_of in zip(across, names, lines, strict=True)
        for x, y in zip(x_of, line_of, strict=False)
    ]
    table = Table(columns=["step", "lineKey", "lineVal"], data=rows)
    return CustomChart(table, line(table, "step", "lineVal", "lineKey").traces, title, (xname, "y"))


def confusion_matrix(
    probs: Sequence[Sequence[float]] | None = None,
    y_true: Sequence[Any] | None = None,
    preds: Sequence[Any] | None = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion Matrix Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return how often each class was predicted for each.

    Raises:
        ValueError: `y_true` is missing, or not exactly one of `probs` and `preds` is given.
    """
    del split_table
    if y_true is None or (probs is None) == (preds is None):
        raise ValueError("a confusion matrix needs y_true, and either preds or probs")
    found = list(preds) if preds is not None else [_highest(row) for row in probs or ()]
    truth = list(y_true)
    if class_names is None:
        kinds = sorted({*truth, *found})
        names, places = (
            [f"Class_{number + 1}" for number in range(len(kinds))],
            dict(zip(kinds, range(len(kinds)), strict=True)),
        )
    else:
        names, places = list(class_names), {number: number for number in range(len(class_names))}
    counts = [[0] * len(names) for _ in names]
    for actual, predicted in zip(truth, found, strict=True):
        counts[places[actual]][places[predicted]] += 1
    rows = [[a, p, counts[i][j]] for i, a in enumerate(names) for j, p in enumerate(names)]
    table = Table(columns=["Actual", "Predicted", "nPredictions"], data=rows)
    trace = {"type": "heatmap", "x": names, "y": names, "z": counts}
    return CustomChart(table, [trace], title, ("Predicted", "Actual"))


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: Mapping[str, Any],
    string_fields: Mapping[str, Any] | None = None,
    split_table: bool = False,
) -> CustomChart:
    """Return a table with the chart that W&B would draw of it in words: nothing here draws Vega."""
    del split_table
    title = str((string_fields or {}).get("title", ""))
    names = [str(name) for name in fields.values()][:2]
    x, y = (names * 2)[:2] if names else ("", "")
    known = [name for name in (x, y) if name in data_table.columns]
    traces = (
        [{"type": "scatter", "mode": "markers", "x": data_table.get_column(x), "y": data_table.get_column(y)}]
        if len(known) == 2
        else []
    )
    return CustomChart(data_table, traces, f"{title} ({vega_spec_name})".strip(), (x, y))


def _highest(row: Sequence[float]) -> int:
    return max(range(len(row)), key=lambda place: row[place])


def _is_listed(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise unsupported(f"plot.{name}")
