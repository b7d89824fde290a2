"""What `rundial metrics export` and `rundial logs export` share: rows from a server, into a file.

Rows are fetched a page at a time into a file beside the wanted one, `.NAME.rows`, with a note of how far it
has come, `.NAME.rows.state`. A command that was interrupted goes on there, when it is given again with the
same wishes. Once all rows are there, the wanted format is written from them, and put in its place whole.

Exact: a number is written as the server sent it. In CSV a text is one that no spreadsheet takes for a
formula; numbers stay numbers.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from rundial.cli.failure import CommandError
from rundial.spreadsheet import safe_cell

FORMATS: Final = ("json", "jsonl", "csv", "parquet")
# What the published client puts around a run's time.
MARGIN_MS: Final = 300_000
_ROWS_A_GROUP: Final = 65_536

Page = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is exported.

    Attributes:
        name: `metrics` or `logs`.
        columns: Of a CSV file, those of the published client.
        further: Columns that are there on demand, and always in Parquet.
        texts: Which of all of them are texts.
        whole: Which of them are whole numbers.
    """

    name: str
    columns: tuple[str, ...]
    further: tuple[str, ...]
    texts: frozenset[str]
    whole: frozenset[str]


METRICS: Final = Kind(
    "metrics",
    ("metricKey", "step", "timestampMs", "value"),
    ("timestampNs", "context", "instanceId", "attempt"),
    frozenset({"metricKey", "context", "instanceId"}),
    frozenset({"step", "timestampMs", "timestampNs", "attempt"}),
)
LOGS: Final = Kind(
    "logs",
    ("timestampMs", "sequence", "level", "message"),
    ("timestampNs", "step", "traceId", "spanId", "attributes", "truncated"),
    frozenset({"level", "message", "traceId", "spanId", "attributes"}),
    frozenset({"timestampMs", "timestampNs", "sequence", "step"}),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """Which rows, and how they are written.

    Attributes:
        kind: What is exported.
        endpoint: Of the server.
        project_id: The project's id.
        run_id: The run.
        keys: Only these series; empty for all.
        start_ms: From this time on, None from the beginning.
        end_ms: Up to and with this time, None to the end.
        form: One of `FORMATS`.
        all_columns: CSV has the further columns too.
    """

    kind: Kind
    endpoint: str
    project_id: str
    run_id: str
    keys: tuple[str, ...]
    start_ms: int | None
    end_ms: int | None
    form: str
    all_columns: bool

    @property
    def rows_of(self) -> str:
        """What tells whether the rows of an interrupted export are those that are wanted now."""
        wanted = (self.endpoint, self.project_id, self.run_id, self.keys, self.start_ms, self.end_ms)
        return json.dumps([self.kind.name, *wanted])


@dataclass(slots=True)
class Progress:
    """How far an export has come; kept beside its rows.

    Attributes:
        rows_of: The wish it belongs to.
        cursor: Where the next page begins, None at the first.
        size: Bytes of whole rows in the file.
        rows: As many.
        pages: Fetched.
        first_ms: Least time of a row, None before the first.
        last_ms: Greatest.
        has_more_columns: Some row has a context that the first columns do not show.
    """

    rows_of: str
    cursor: str | None = None
    size: int = 0
    rows: int = 0
    pages: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    has_more_columns: bool = False


def export(
    wish: Wish,
    out: Path,
    *,
    fetch: Callable[[str | None], Page],
    window: tuple[int, int],
    on_rows: Callable[[int], None],
) -> Progress:
    """Write the rows of a wish to a file, going on where an earlier command was interrupted.

    Args:
        wish: Which rows, and how.
        out: The file; replaced whole once everything is there.
        fetch: Asks for the page at a cursor.
        window: The time that the envelope of a JSON file names, where no row lies outside.
        on_rows: Told how many rows are there.

    Raises:
        RundialRequestError: Of `fetch`; the rows so far are kept.
        OSError: The files cannot be written.
    """
    beside = out.with_name(f".{out.name}.rows")
    noted = out.with_name(f".{out.name}.rows.state")
    progress = _known(noted, beside, wish.rows_of)
    on_rows(progress.rows)
    _gather(progress, beside, noted, fetch, on_rows)
    temporary = out.with_name(f".{out.name}.tmp.{os.getpid()}")
    try:
        with beside.open("rb") as rows:
            write(wish, progress, rows, temporary, window)
        os.replace(temporary, out)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    for path in (noted, beside):
        path.unlink(missing_ok=True)
    return progress


def _known(noted: Path, beside: Path, rows_of: str) -> Progress:
    """Return how far an interrupted export of the same rows has come; nowhere when there is none."""
    try:
        found = Progress(**json.loads(noted.read_text()))
        if found.rows_of == rows_of and beside.stat().st_size >= found.size:
            return found
    except (OSError, ValueError, TypeError):
        pass  # there is none, or it is not ours: begin anew
    return Progress(rows_of)


def _gather(
    progress: Progress,
    beside: Path,
    noted: Path,
    fetch: Callable[[str | None], Page],
    on_rows: Callable[[int], None],
) -> None:
    from rundial.api.calls import paging

    with beside.open("r+b" if progress.size else "wb") as file:
        file.truncate(progress.size)
        file.seek(progress.size)
        while progress.pages == 0 or progress.cursor is not None:
            page = fetch(progress.cursor)
            following = paging.cursor_of(page)
            if following is not None and following == progress.cursor:
                raise CommandError("the server's listing comes to no end", "Upgrade the server")
            _take(progress, page["rows"], file)
            progress.cursor = following
            noted.write_text(json.dumps(asdict(progress)))
            on_rows(progress.rows)


def _take(progress: Progress, rows: Sequence[Mapping[str, Any]], file: IO[bytes]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    progress.size += file.write(text.encode("utf-8", "surrogatepass"))
    # Before the note: it never tells of rows that are not there.
    file.flush()
    progress.rows += len(rows)
    progress.pages += 1
    times = [row["timestampMs"] for row in rows if isinstance(row.get("timestampMs"), int)]
    if times:
        progress.first_ms = min([*times, *([] if progress.first_ms is None else [progress.first_ms])])
        progress.last_ms = max([*times, *([] if progress.last_ms is None else [progress.last_ms])])
    progress.has_more_columns |= any(row.get("context") for row in rows)


def write(wish: Wish, progress: Progress, rows: IO[bytes], path: Path, window: tuple[int, int]) -> None:
    """Write rows, a JSON object a line, in the wanted format."""
    if wish.form == "parquet":
        _parquet(wish.kind, rows, path)
        return
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        if wish.form == "csv":
            _csv(wish, rows, file)
        elif wish.form == "jsonl":
            file.writelines(line.decode("utf-8", "replace") for line in rows)
        else:
            _envelope(wish, progress, rows, file, window)


def need_format(form: str) -> None:
    """Check that a format can be written here.

    Raises:
        CommandError: What it needs is not installed.
    """
    if form == "parquet":
        from importlib.util import find_spec

        if find_spec("pyarrow") is None:
            raise CommandError(
                "Parquet needs the package pyarrow", "Install it: pip install 'rundial[parquet]', or use csv"
            )


def _envelope(
    wish: Wish, progress: Progress, rows: IO[bytes], file: IO[str], window: tuple[int, int]
) -> None:
    """Write what the published client writes, keys sorted, without holding the rows."""
    start = min(window[0], progress.first_ms if progress.first_ms is not None else window[0])
    end = max(window[1], progress.last_ms if progress.last_ms is not None else window[1])
    told = {"pageCount": progress.pages, "truncatedByPageLimit": False}
    before = {"endMs": end if wish.end_ms is None else wish.end_ms, "export": told}
    before |= {"projectId": wish.project_id}
    after = {"runId": wish.run_id, "startMs": start if wish.start_ms is None else wish.start_ms}
    after |= {"type": wish.kind.name, "version": 1}
    # Sorted keys put the rows before the run's id.
    file.write(json.dumps(before, sort_keys=True, ensure_ascii=False)[:-1] + ', "rows": [')
    for number, line in enumerate(rows):
        file.write(("," if number else "") + "\n" + line.decode("utf-8", "replace").rstrip("\n"))
    tail = json.dumps({**after}, sort_keys=True, ensure_ascii=False)[1:]
    file.write(("\n" if progress.rows else "") + "], " + tail + "\n")


def _csv(wish: Wish, rows: IO[bytes], file: IO[str]) -> None:
    columns = wish.kind.columns + (wish.kind.further if wish.all_columns else ())
    writer = csv.writer(file)
    writer.writerow(columns)
    for row in _read(rows):
        writer.writerow([_cell(wish.kind, name, row.get(name)) for name in columns])


def _cell(kind: Kind, name: str, value: object) -> object:
    """Return a cell: numbers as they are, texts as no spreadsheet runs them, objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        value = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe_cell(str(value)) if name in kind.texts else value


def _parquet(kind: Kind, rows: IO[bytes], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = kind.columns + kind.further
    schema = pa.schema([(name, _type(pa, kind, name)) for name in names])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(_read(rows)):
            arrays = [
                pa.array([_value(kind, name, row.get(name)) for row in group], schema.field(name).type)
                for name in names
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _type(pa: Any, kind: Kind, name: str) -> Any:
    if name in kind.texts:
        return pa.string()
    if name == "truncated":
        return pa.bool_()
    return pa.int64() if name in kind.whole else pa.float64()


def _value(kind: Kind, name: str, value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    if name in kind.texts:
        return str(value)
    # Nanoseconds come as text, and a value that is no number by the name that JSON lacks.
    return int(str(value)) if name in kind.whole else float(str(value))


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    from itertools import islice

    while group := list(islice(rows, _ROWS_A_GROUP)):
        yield group


def _read(rows: IO[bytes]) -> Iterator[dict[str, Any]]:
    for line in rows:
        yield json.loads(line)
