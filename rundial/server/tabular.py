"""Rows as files: JSON lines, CSV, Parquet, in pieces of a bounded size. Pure but for pyarrow's own buffers.

Exact: a float is written so that it reads back the same, times are whole nanoseconds. In CSV a number is a
number, and a text is one that no spreadsheet takes for a formula (`rundial.spreadsheet`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rundial.server.problems import invalid
from rundial.spreadsheet import safe_cell

Rows = Sequence[Sequence[Any]]
FORMATS: Final = {
    "jsonl": ("application/x-ndjson", "jsonl"),
    "csv": ("text/csv; charset=utf-8", "csv"),
    "parquet": ("application/vnd.apache.parquet", "parquet"),
}
ROWS_A_GROUP: Final = 65_536


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export.

    Attributes:
        name: As it stands in the file.
        kind: `text`, `int`, `float`, `bool`, or `time` for nanoseconds since 1970.
    """

    name: str
    kind: str


def need_format(name: str) -> None:
    """Check that a format can be written here.

    Raises:
        Problem: 400, what it needs is not installed.
    """
    if name == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401 -- only whether it is there
        except ImportError as error:
            raise invalid(
                "this server cannot write Parquet: pyarrow is not installed",
                "install rundial[parquet] on the server, or ask for csv or jsonl",
            ) from error


def written(name: str, columns: Sequence[Column], batches: Iterable[Rows]) -> Iterator[bytes]:
    """Yield a file of rows.

    Args:
        name: A format.
        columns: As many as each row has values.
        batches: Some thousand rows each.
    """
    if name == "csv":
        return _csv(columns, batches)
    return _parquet(columns, batches) if name == "parquet" else _json_lines(columns, batches)


def _csv(columns: Sequence[Column], batches: Iterable[Rows]) -> Iterator[bytes]:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([column.name for column in columns])
    texts = [place for place, column in enumerate(columns) if column.kind == "text"]
    for rows in batches:
        for row in rows:
            cells = list(row)
            for place in texts:
                if cells[place] is not None:
                    cells[place] = safe_cell(cells[place])
            # A float is written as `repr` has it, the shortest text that reads back the same.
            writer.writerow(cells)
        yield file.getvalue().encode("utf-8", "replace")
        file.seek(0)
        file.truncate()
    if file.tell():
        yield file.getvalue().encode()


def _json_lines(columns: Sequence[Column], batches: Iterable[Rows]) -> Iterator[bytes]:
    names = [column.name for column in columns]
    for rows in batches:
        lines = [
            json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, separators=(",", ":"))
            for row in rows
        ]
        yield ("\n".join(lines) + "\n").encode("utf-8", "replace") if lines else b""


def _parquet(columns: Sequence[Column], batches: Iterable[Rows]) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "text": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("ns", tz="UTC"),
    }
    schema = pa.schema([(column.name, kinds[column.kind]) for column in columns])
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        waiting: list[Sequence[Any]] = []
        for rows in batches:
            waiting.extend(rows)
            if len(waiting) >= ROWS_A_GROUP:
                writer.write_table(_table(pa, schema, waiting))
                waiting.clear()
                yield sink.taken()
        if waiting:
            writer.write_table(_table(pa, schema, waiting))
    yield sink.taken()


def _table(pa: Any, schema: Any, rows: Rows) -> Any:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


class _Sink(io.RawIOBase):
    """A file that is read while it is written; nobody seeks in it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """How much was written."""
        return self._size

    def write(self, data: Any) -> int:
        """Keep a piece."""
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def taken(self) -> bytes:
        """What was written since the last call."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found
