"""A run as a file: exact in every format, safe in a spreadsheet, one state of the database."""

from __future__ import annotations

import csv
import io
import json
import struct
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.server.tabular import Column, safe_cell, written
from tests.support import otlp
from tests.support.server import LocalServer, fresh_id

VALUES = [-0.5, 0.1 + 0.2, 5e-324, -1.7976931348623157e308, 2.0**53 + 2, 1e-7]


def export(local: LocalServer, run: str, what: str, kind: str) -> bytes:
    """A whole file."""
    body = {"projectId": local.project_id(), "runId": run, "format": kind}
    found = local.post(f"/api/v1/export/{what}/file", body)
    assert found.status == 200, found.body[:500]
    assert f'filename="{run}-' in found.headers["content-disposition"]
    return found.body


def bits(value: float) -> bytes:
    """A float as it is in memory."""
    return struct.pack("<d", value)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_points_are_exported_exactly(local: LocalServer, kind: str) -> None:
    """Every bit of a value and every nanosecond of a time; a negative number is a number, also in CSV."""
    run = fresh_id()
    times = [otlp.T0 + 7 * step + 1 for step in range(len(VALUES))]
    numbers = [otlp.point(step, VALUES[step], time=times[step]) for step in range(len(VALUES))]
    body = otlp.metrics(
        (otlp.resource(run), [otlp.gauge("-loss", [*numbers, otlp.point(None, 1.5, time=9)])])
    )
    assert local.export("metrics", body).status == 200

    file = export(local, run, "metrics", kind)

    rows = read(kind, file)
    assert [row["metricKey"] for row in rows] == [safe_cell("-loss") if kind == "csv" else "-loss"] * 7
    assert [bits(float(row["value"])) for row in rows] == [bits(each) for each in [1.5, *VALUES]]
    assert [int(row["timestampNs"]) for row in rows] == [9, *times]
    assert [row["step"] in (None, "") for row in rows] == [True, *[False] * 6]
    if kind == "csv":
        assert b"\r\n" in file
        assert ",-0.5," in file.decode()


def read(kind: str, file: bytes) -> list[dict[str, Any]]:
    """Rows of a file, as a reader of the format has them."""
    if kind == "csv":
        return list(csv.DictReader(io.StringIO(file.decode(), newline="")))
    if kind == "jsonl":
        return [json.loads(line) for line in file.splitlines()]
    table = pq.read_table(io.BytesIO(file))
    columns = {
        name: table[name].cast("int64").to_pylist() if name == "timestampNs" else table[name].to_pylist()
        for name in table.column_names
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_lines_are_exported_and_no_cell_is_a_formula(local: LocalServer, kind: str) -> None:
    """What a spreadsheet would run is text there, and is given back by taking one apostrophe away."""
    run = fresh_id()
    texts = ["=1+1", "-2", "@cmd", "'quoted'", 'a "b", c\nd', "plain", "\tx"]
    lines = [otlp.line(place, text) for place, text in enumerate(texts, 1)]
    assert local.export("logs", otlp.logs(otlp.resource(run), lines)).status == 200

    rows = read(kind, export(local, run, "logs", kind))

    found = [row["message"] for row in rows]
    if kind == "csv":
        assert not any(each.startswith(("=", "-", "@", "\t")) for each in found)
        found = [each.removeprefix("'") for each in found]
    assert found == texts
    assert [int(row["timestampNs"]) for row in rows] == [otlp.T0 + place for place in range(1, 8)]


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.floats())
    )
)
def test_csv_gives_back_every_text_and_every_number(rows: list[tuple[str, float]]) -> None:
    """Also texts that begin with an apostrophe, and numbers of every size."""
    columns = [Column("text", "text"), Column("number", "float")]

    file = b"".join(written("csv", columns, [rows])).decode()

    found = list(csv.reader(io.StringIO(file, newline="")))[1:]
    assert [cell for cell, _ in found] == [safe_cell(text) for text, _ in rows]
    assert [repr(float(cell)) for _, cell in found] == [repr(number) for _, number in rows]


def test_a_long_run_is_exported_whole(local: LocalServer) -> None:
    """More rows than are read at once, in order, each once."""
    run = fresh_id()
    count = 20_000
    for start in range(0, count, 10_000):
        numbers = [otlp.point(step, float(step)) for step in range(start, start + 10_000)]
        body = otlp.metrics((otlp.resource(run), [otlp.gauge("loss", numbers)]))
        assert local.export("metrics", body).status == 200

    rows = read("csv", export(local, run, "metrics", "csv"))

    assert [int(row["step"]) for row in rows] == list(range(count))


def test_an_export_needs_a_format_that_there_is(local: LocalServer) -> None:
    """And says which there are."""
    body = {"projectId": local.project_id(), "runId": "x", "format": "xlsx"}

    found = local.post("/api/v1/export/metrics/file", body)

    assert found.status == 400
    assert "jsonl, csv, parquet" in found.error["message"]
