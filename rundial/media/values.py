"""`Image`, `Table`, `Histogram` and `Figure`: what `run.log` takes beside numbers.

A value says what it is; nothing is copied, drawn or written before it is logged. `Table` alone takes its
rows over when it is made, because that is when they are looked at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from rundial.media.snapshots import (
    PLOTLY,
    PNG,
    Part,
    Snapshot,
    encoded_json,
    finite,
    image_of,
    json_part,
    picture_of,
)

MAX_COLUMNS = 256
MAX_ROWS = 10_000
MAX_BINS = 512
MAX_CAPTION_CHARS = 1_024
_CELL_BYTES = 64


class Media:
    """What the four have in common.

    Attributes:
        kind: What the server calls it.
        caption: In words.
        metadata: What is known of it.
    """

    kind = ""

    def __init__(self, caption: str | None, metadata: Mapping[str, object] | None) -> None:
        self.caption = None if caption is None else str(caption)[:MAX_CAPTION_CHARS]
        self.metadata = dict(metadata) if metadata else None

    @property
    def path(self) -> str | None:
        """The file that it is, None where one is to be made."""
        return None

    def snapshot(self) -> Snapshot:
        """Return what it is now, which nobody can change any more.

        Raises:
            TypeError: It is not what it should be.
        """
        raise NotImplementedError


class Image(Media):
    """A picture.

    Args:
        path_or_image: A file's path; a PIL image or whatever has `save`; or an array: uint8 of shape (h, w),
            (h, w, 1), (h, w, 3) or (h, w, 4), floats from 0 to 1, booleans, 16-bit integers, and torch's
            (c, h, w).
        caption: In words.
        metadata: What is known of it.
        masks: By name, arrays of class numbers of shape (h, w), or mappings with `mask_data` and
            `class_labels`.
        boxes: By name, mappings with `box_data` and `class_labels`, or lists of boxes; JSON.
    """

    kind = "image"

    def __init__(
        self,
        path_or_image: str | os.PathLike[str] | object,
        *,
        caption: str | None = None,
        metadata: Mapping[str, object] | None = None,
        masks: Mapping[str, object] | None = None,
        boxes: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(caption, metadata)
        self._image = path_or_image
        self._masks = masks or {}
        self._boxes = boxes or {}

    @property
    def path(self) -> str | None:
        """The file that it is."""
        if isinstance(self._image, (str, os.PathLike)) and not self._masks and not self._boxes:
            return os.fsdecode(os.fspath(self._image))
        return None

    def snapshot(self) -> Snapshot:
        """Return its pixels, masks and boxes as they are now."""
        image = self._image
        if isinstance(image, (str, os.PathLike)):
            with open(image, "rb") as file:
                content = file.read()
            name = os.path.basename(os.fsdecode(os.fspath(image)))
            parts = [Part(name, _type_of(name), lambda: content, len(content), {})]
        elif all(hasattr(image, each) for each in ("shape", "dtype")):
            parts = [image_of(image, "image.png")]
        elif callable(getattr(image, "save", None)):
            parts = [picture_of(image, "image.png")]
        else:
            raise TypeError(f"a {type(image).__name__} is no image: a path, an array or a PIL image is")
        labels: dict[str, Any] = {}
        for number, (name, mask) in enumerate(self._masks.items()):
            data = mask.get("mask_data") if isinstance(mask, Mapping) else mask
            file_name = f"mask-{number}.png"
            parts.append(image_of(data, file_name))
            found = mask.get("class_labels") if isinstance(mask, Mapping) else None
            labels[str(name)] = {"file": file_name, "class_labels": _plain(found)}
        if self._boxes or labels:
            content_of = {"masks": labels, "boxes": _plain(self._boxes)}
            parts.append(json_part("overlays.json", content_of, len(encoded_json(content_of))))
        return Snapshot(parts)


class Table(Media):
    """Rows and columns.

    Args:
        columns: 1 to 256 names; None where `rows` is a data frame.
        rows: At most 10,000 sequences or mappings, or a pandas or polars data frame. Cells that are neither
            None, text, number nor truth value become text.
        caption: In words.
        metadata: What is known of it.

    Raises:
        ValueError: There are too many columns or rows, or a row is too long.
    """

    kind = "table"

    def __init__(
        self,
        *,
        columns: Sequence[str] | None = None,
        rows: Sequence[Sequence[object] | Mapping[str, object]] | Any,
        caption: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(caption, metadata)
        if hasattr(rows, "columns") and hasattr(rows, "shape"):
            names, rows = _of_frame(rows)
            columns = names if columns is None else columns
        if columns is None:
            raise ValueError("a table needs columns, or a data frame as its rows")
        self.columns = [str(name) for name in columns]
        if not 1 <= len(self.columns) <= MAX_COLUMNS:
            raise ValueError(f"a table has 1 to {MAX_COLUMNS} columns, not {len(self.columns):,}")
        if len(rows) > MAX_ROWS:
            raise ValueError(f"a table has at most {MAX_ROWS:,} rows, not {len(rows):,}")
        self.rows = [self._row(row) for row in rows]

    def _row(self, row: object) -> list[Any]:
        if isinstance(row, Mapping):
            return [_cell(row.get(name)) for name in self.columns]
        cells = [_cell(cell) for cell in row]  # type: ignore[attr-defined]  # what cannot be walked raises
        if len(cells) > len(self.columns):
            raise ValueError(f"a row of {len(cells):,} cells has no place in {len(self.columns):,} columns")
        return cells + [None] * (len(self.columns) - len(cells))

    def snapshot(self) -> Snapshot:
        """Return its rows as they are now."""
        columns, rows = list(self.columns), [list(row) for row in self.rows]
        facts = {"rows": len(rows), "columns": len(columns)}
        size = len(rows) * len(columns) * _CELL_BYTES
        return Snapshot([json_part("table.json", lambda: _table(columns, rows), size, facts)])


class Histogram(Media):
    """How many values lie in which range.

    Args:
        values: Numbers, as a sequence or an array; what is not finite is left out and counted.
        bins: How many ranges, 1 to 512.
        counts: How many lie in each range, instead of values, with `edges`.
        edges: Ascending bin edges, one more than counts.
        caption: In words.
        metadata: What is known of it.

    Raises:
        ValueError: Numbers do not go together.
    """

    kind = "histogram"

    def __init__(
        self,
        values: Any = None,
        *,
        bins: int = 64,
        counts: Sequence[float] | None = None,
        edges: Sequence[float] | None = None,
        caption: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(caption, metadata)
        if (values is None) == (counts is None) or (counts is None) != (edges is None):
            raise ValueError("a histogram is made of values, or of counts with edges")
        if counts is not None and edges is not None and len(edges) != len(counts) + 1:
            raise ValueError(f"{len(counts)} counts need {len(counts) + 1} edges, not {len(edges)}")
        if not 1 <= (bins if counts is None else len(counts)) <= MAX_BINS:
            raise ValueError(f"a histogram has 1 to {MAX_BINS} bins")
        self._values, self._bins, self._counts, self._edges = values, bins, counts, edges

    def snapshot(self) -> Snapshot:
        """Return its values as they are now; the worker counts them."""
        from rundial.media import bins

        if self._counts is not None and self._edges is not None:
            made = {
                "counts": [finite(float(each)) for each in self._counts],
                "edges": [finite(float(each)) for each in self._edges],
            }
            return Snapshot([json_part("histogram.json", made, len(encoded_json(made)))])
        numbers = bins.taken(self._values)
        count = self._bins
        size = int(getattr(numbers, "nbytes", 8 * len(numbers)))
        return Snapshot([json_part("histogram.json", lambda: bins.counted(numbers, count), size)])


class Figure(Media):
    """A figure of matplotlib, as a PNG, or of plotly, as its JSON.

    A matplotlib figure is drawn when it is logged, on the caller's thread, because it may be drawn on by no
    other and change at once; that takes as long as `savefig` does.

    Args:
        figure: The figure.
        caption: In words.
        metadata: What is known of it.
    """

    kind = "figure"

    def __init__(
        self, figure: object, *, caption: str | None = None, metadata: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(caption, metadata)
        self._figure = figure

    def snapshot(self) -> Snapshot:
        """Return it as it is now."""
        figure: Any = self._figure
        if callable(getattr(figure, "to_plotly_json", None)):
            text = figure.to_json().encode()
            return Snapshot([Part("figure.plotly.json", PLOTLY, lambda: text, len(text), {})])
        if not callable(getattr(figure, "savefig", None)):
            raise TypeError(f"a {type(figure).__name__} is no figure of matplotlib or plotly")
        import io

        from rundial.media.pixels import png_size

        target = io.BytesIO()
        figure.savefig(target, format="png")
        content = target.getvalue()
        width, height = png_size(content) or (None, None)
        return Snapshot(
            [Part("figure.png", PNG, lambda: content, len(content), {"width": width, "height": height})]
        )


def _of_frame(frame: Any) -> tuple[list[str], list[Any]]:
    if len(frame) > MAX_ROWS:
        raise ValueError(f"a table has at most {MAX_ROWS:,} rows, not {len(frame):,}")
    names = [str(name) for name in frame.columns]
    if hasattr(frame, "itertuples"):
        return names, list(frame.itertuples(index=False, name=None))
    return names, list(frame.rows())


def _cell(cell: object) -> Any:
    kind = type(cell)
    if cell is None or kind is str or kind is bool or kind is int or kind is float:
        return cell
    if isinstance(cell, str):
        return str.__str__(cell)
    item = getattr(cell, "item", None)
    if callable(item) and getattr(cell, "shape", None) in ((), None):
        # A number of numpy or torch is a number, and not its text.
        found = item()
        if found is None or type(found) in (str, bool, int, float):
            return found
    if isinstance(cell, (int, float)):
        return float(cell) if isinstance(cell, float) else int(cell)
    return str(cell)


def _table(columns: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    """Return a table as JSON; where a number is not finite, its cell is null and it is named beside."""
    strange = []
    for number, row in enumerate(rows):
        for place, cell in enumerate(row):
            if cell is not finite(cell):
                strange.append([number, place, {"nan": "NaN", "inf": "Infinity"}.get(str(cell), "-Infinity")])
                row[place] = None
    found: dict[str, Any] = {"columns": columns, "rows": rows}
    if strange:
        found["nonFinite"] = strange
    return found


def _plain(value: Any) -> Any:
    """Return a copy in plain JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return finite(_cell(value))


def _type_of(name: str) -> str:
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"
