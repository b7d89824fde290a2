"""CSV files are read long or wide."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.importers import csvfile
from rundial.importers.imported import NothingToImportError


def _written(place: Path, text: str) -> Path:
    path = place / "curve.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_export_of_ours_is_read_back(tmp_path: Path) -> None:
    """What `rundial metrics export` writes comes back with its steps and times."""
    path = _written(
        tmp_path, "metricKey,step,timestampMs,value\nloss,3,1700000000123,-0.5\nacc,4,1700000000124,x\n"
    )
    found = csvfile.imported(path)

    assert [tuple(point) for point in found.points] == [("loss", 3, -0.5, 1_700_000_000_123)]
    assert dict(found.left_out) == {"rows without a number": 1}
    assert found.name == "curve"


def test_column_becomes_a_metric(tmp_path: Path) -> None:
    """Empty cells are nothing, texts are texts, the step is its column."""
    path = _written(tmp_path, "step,time,loss,note\n0,1700000000.5,1.0,\n2,1700000001.0,,words\nx,1,2,3\n")
    found = csvfile.imported(path)

    assert [tuple(point) for point in found.points] == [("loss", 0, 1.0, 1_700_000_000_500)]
    assert [(line.key, line.text, line.step) for line in found.lines] == [("note", "words", 2)]
    assert dict(found.left_out) == {"rows without a step": 1}


def test_rows_are_counted_where_nothing_is_the_step(tmp_path: Path) -> None:
    """A bare table of numbers is a run too."""
    found = csvfile.imported(_written(tmp_path, "a,b\n1,2\n3,4\n"))

    assert [tuple(point)[:3] for point in found.points] == [
        ("a", 0, 1),
        ("b", 0, 2),
        ("a", 1, 3),
        ("b", 1, 4),
    ]


def test_id_is_that_of_the_content(tmp_path: Path) -> None:
    """The same file is the same run, another one is another."""
    one = csvfile.imported(_written(tmp_path, "a\n1\n")).run_id
    assert csvfile.imported(_written(tmp_path, "a\n1\n")).run_id == one
    assert csvfile.imported(_written(tmp_path, "a\n2\n")).run_id != one


def test_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the columns that there are."""
    path = _written(tmp_path, "a,b\n1,2\n")
    with pytest.raises(NothingToImportError, match="no column 'c'; it has a, b"):
        csvfile.imported(path, step_column="c")
