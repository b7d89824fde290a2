"""A CSV file → one run. Long, as `rundial metrics export` writes it, or wide: a column a metric."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rundial.importers.imported import Imported, Line, NothingToImportError, Point

LONG = ("metricKey", "step", "timestampMs", "value")
# Columns that say where a row belongs, by what they are commonly called.
STEPS = ("step", "_step", "global_step", "Step", "iteration", "epoch")
TIMES_MS = ("timestampMs", "time_ms", "timestamp_ms")
TIMES_S = ("timestamp", "_timestamp", "wall_time", "Wall time", "time")
MAX_TIME_MS = 253_402_300_799_000


def imported(path: Path, *, step_column: str | None = None, time_column: str | None = None) -> Imported:
    """Read a CSV file.

    Args:
        path: The file, UTF-8, with a row of names at its top.
        step_column: Which column is the step; None looks for a common name, and else counts the rows.
        time_column: Which column is the time, in seconds or milliseconds since 1970; None looks for one.

    Raises:
        NothingToImportError: It has no names, or lacks a column that is named.
        OSError: It cannot be read.
    """
    header = _header(path)
    for name in (step_column, time_column):
        if name is not None and name not in header:
            raise NothingToImportError(f"{path} has no column {name!r}; it has {', '.join(header)[:200]}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    out = Imported("csv", f"csv-{digest[:24]}", name=path.stem)
    if set(LONG) <= set(header):
        out.points = _long(path, out)
        return out
    step = step_column or next((name for name in STEPS if name in header), None)
    time = time_column or next((name for name in (*TIMES_MS, *TIMES_S) if name in header), None)
    names = [name for name in header if name and name not in (step, time)]
    out.points = _wide(path, names, step, time, out)
    out.lines = _texts(path, names, step, time)
    return out


def _header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            header = next(csv.reader(file), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise NothingToImportError(f"{path} is no CSV file: {error}") from error
    if not any(header):
        raise NothingToImportError(f"{path} has no row of names at its top")
    return header


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        yield from csv.DictReader(file)


def _long(path: Path, out: Imported) -> Iterator[Point]:
    for row in _rows(path):
        value, step = _number(row.get("value")), _number(row.get("step"))
        if value is None or not row.get("metricKey"):
            out.left_out["rows without a number"] += 1
            continue
        yield Point(str(row["metricKey"]), int(step or 0), value, _time_ms(row.get("timestampMs")))


def _wide(
    path: Path, names: Sequence[str], step: str | None, time: str | None, out: Imported
) -> Iterator[Point]:
    for number, row in enumerate(_rows(path)):
        at = _step(row, step, number)
        if at is None:
            out.left_out["rows without a step"] += 1
            continue
        for name in names:
            value = _number(row.get(name))
            if value is not None:
                yield Point(name, at, value, _time_ms(row.get(time)) if time else None)


def _texts(path: Path, names: Sequence[str], step: str | None, time: str | None) -> Iterator[Line]:
    for number, row in enumerate(_rows(path)):
        at = _step(row, step, number)
        for name in names if at is not None else ():
            text = row.get(name)
            if text and _number(text) is None:
                yield Line(text, _time_ms(row.get(time)) if time else None, key=name, step=at)


def _step(row: Mapping[str, str], step: str | None, number: int) -> int | None:
    if step is None:
        return number
    found = _number(row.get(step))
    return int(found) if found is not None and found >= 0 and found == found // 1 else None


def _number(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _time_ms(text: str | None) -> int | None:
    """Return milliseconds since 1970 of a number that may be seconds."""
    number = _number(text)
    if number is None or not 0 < number < MAX_TIME_MS:
        return None
    return int(number if number > 1e11 else number * 1000)
