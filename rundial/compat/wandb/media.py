"""`wandb.Image`, `Table`, `Histogram` and `Plotly`: Rundial's media under W&B's names and arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rundial.compat.wandb.failures import unsupported
from rundial.media import values
from rundial.media.snapshots import Snapshot

DEFAULT_COLUMNS = ("Input", "Output", "Expected")


class Image(values.Image):
    """A picture.

    Args:
        data_or_path: A path, an array, a PIL image, a figure of matplotlib, or another `Image`.
        mode: Not used: an array says what it is.
        caption: In words.
        grouping: Not used.
        classes: Names of the classes of its masks.
        boxes: By name, mappings with `box_data` and `class_labels`.
        masks: By name, mappings with `mask_data` and `class_labels`.
        file_type: Not used: arrays become PNG.
        normalize: Not used.
    """

    def __init__(  # noqa: PLR0913 - W&B's signature
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Any = None,
        boxes: Mapping[str, Any] | None = None,
        masks: Mapping[str, Any] | None = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        del mode, grouping, file_type, normalize
        metadata = None if classes is None else {"classes": [dict(each) for each in classes]}
        if isinstance(data_or_path, values.Image):
            data_or_path, caption = data_or_path._image, caption or data_or_path.caption
        super().__init__(
            _picture(data_or_path),
            caption=caption,
            metadata=metadata,
            masks=None if masks is None else {name: _plain(mask) for name, mask in masks.items()},
            boxes=None if boxes is None else {name: _plain(box) for name, box in boxes.items()},
        )


class Table(values.Media):
    """Rows and columns.

    Args:
        columns: Names.
        data: Rows, an array, or a data frame.
        rows: As `data`.
        dataframe: A data frame.
        dtype: Not used.
        optional: Not used.
        allow_mixed_types: Not used.
        log_mode: Not used.

    Attributes:
        columns: Names.
        data: Rows.
    """

    kind = "table"

    def __init__(  # noqa: PLR0913 - W&B's signature
        self,
        columns: Sequence[Any] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: Any = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = None,
    ) -> None:
        del dtype, optional, allow_mixed_types, log_mode
        super().__init__(None, None)
        found: Any = next((each for each in (dataframe, data, rows) if each is not None), [])
        if hasattr(found, "columns") and hasattr(found, "shape"):
            whole = values.Table(columns=columns, rows=found)
            columns, found = whole.columns, whole.rows
        elif callable(getattr(found, "tolist", None)):
            found = found.tolist()
        self.columns: list[Any] = list(DEFAULT_COLUMNS if columns is None else columns)
        self.data: list[list[Any]] = [list(row) for row in found]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise unsupported(f"Table.{name}")

    def add_data(self, *data: Any) -> None:
        """Add a row.

        Raises:
            ValueError: It has not one value for each column.
        """
        if len(data) != len(self.columns):
            raise ValueError(
                f"a row of {len(data)} values for {len(self.columns)} columns; nothing was added"
            )
        self.data.append(list(data))

    def add_row(self, *row: Any) -> None:
        """Add a row; another name of `add_data`."""
        self.add_data(*row)

    def add_column(self, name: str, data: Any, optional: bool = False) -> None:
        """Add a column.

        Raises:
            ValueError: It has not one value for each row.
        """
        del optional
        cells = list(data)
        if self.data and len(cells) != len(self.data):
            raise ValueError(f"a column of {len(cells)} values for {len(self.data)} rows; nothing was added")
        self.data = [[*row, cell] for row, cell in zip(self.data or [[] for _ in cells], cells, strict=True)]
        self.columns.append(name)

    def get_column(self, name: str, convert_to: str | None = None) -> Any:
        """Return a column, as a list or, for `numpy`, an array."""
        place = self.columns.index(name)
        found = [row[place] for row in self.data]
        if convert_to == "numpy":
            import numpy

            return numpy.array(found)
        return found

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield each row with its number."""
        yield from enumerate(self.data)

    def get_dataframe(self) -> Any:
        """Return the table as pandas has it."""
        import pandas  # type: ignore[import-untyped]  # comes without stubs

        return pandas.DataFrame.from_records(self.data, columns=self.columns)

    def snapshot(self) -> Snapshot:
        """Return its rows as they are now; a picture in a cell becomes its words."""
        return values.Table(columns=self.columns, rows=self.data).snapshot()


class Histogram(values.Histogram):
    """How many values lie in which range.

    Args:
        sequence: Numbers.
        np_histogram: Counts and edges, as `numpy.histogram` returns them.
        num_bins: How many ranges.

    Raises:
        ValueError: Neither or both are given.
    """

    def __init__(self, sequence: Any = None, np_histogram: Any = None, num_bins: int = 64) -> None:
        if np_histogram is not None:
            counts, edges = np_histogram
            super().__init__(counts=_listed(counts), edges=_listed(edges))
        else:
            super().__init__(sequence, bins=min(num_bins, values.MAX_BINS))


class Plotly(values.Figure):
    """A figure of plotly, or of matplotlib.

    Args:
        val: The figure.
    """

    def __init__(self, val: Any) -> None:
        super().__init__(val)


def _picture(data: Any) -> Any:
    if any(kind.__module__.startswith("matplotlib.") for kind in type(data).__mro__[:-1]):
        return _Drawn(getattr(data, "figure", data))
    return data


class _Drawn:
    """A figure of matplotlib as something that is saved as a picture is."""

    def __init__(self, figure: Any) -> None:
        self._figure = figure

    def save(self, target: Any, format: str = "png") -> None:
        self._figure.savefig(target, format=format.lower())


def _listed(numbers: Any) -> list[float]:
    return list(numbers.tolist() if callable(getattr(numbers, "tolist", None)) else numbers)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
