"""Exports: every row, every digit, and a command that goes on where it was interrupted."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.account import Account
from tests.support.faltering import Faltering
from tests.support.shell import Done

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# Digits that a detour over text, float32 or a rounded mean would lose; negative ones are no formulas.
VALUES = [0.1, -0.5, 1e-300, -1.7976931348623157e308, 2**53 + 1.0, 5e-324, 1 / 3]
FORMULAS = [
    "=cmd()",
    "+49 30 1",
    "-1 is a number",
    "@sum(a)",
    "\tx",
    "plain",
    "'quoted",
    'ümlaut, "and"\nlines',
]
SCRIPT = f"""
import rundial as rd
with rd.init(project="digits", run_id="exact", config={{}}) as run:
    for step, value in enumerate({VALUES!r}):
        run.log({{"=evil": value, "ok": -value}}, step=step)
    for text in {FORMULAS!r}:
        run.log_text(text)
    run.log({{"ctx": 1.0}}, step=0, context={{"split": "val"}})
"""


@pytest.fixture(scope="module")
def exact(account: Account) -> Account:
    """The account, with a run of values and texts that are easily damaged."""
    variables = os.environ | {"XDG_CONFIG_HOME": str(account.config)}
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, env=variables, timeout=60)
    return account


def _export(account: Account, what: str, out: Path, form: str, *more: str) -> dict[str, Any]:
    args = (what, "export", "exact", "--project", "digits", "--out", str(out), "--format", form, *more)
    done = account.rundial(*args, "--json")
    assert done.status == 0, done.stderr
    return done.found


def _points(rows: list[dict[str, Any]]) -> list[tuple[str, int, float]]:
    return [
        (row["metricKey"], int(row["step"]), float(row["value"])) for row in rows if row["metricKey"] != "ctx"
    ]


WANTED = [
    *[("=evil", step, value) for step, value in enumerate(VALUES)],
    *[("ok", step, -value) for step, value in enumerate(VALUES)],
]


def test_csv_has_the_published_columns_and_every_digit(exact: Account, tmp_path: Path) -> None:
    """A number in a cell is the number that was logged, and a negative one has no apostrophe."""
    found = _export(exact, "metrics", tmp_path / "m.csv", "csv")
    with (tmp_path / "m.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))

    assert header == ["metricKey", "step", "timestampMs", "value"]
    assert found == {"format": "csv", "ok": True, "out": str(tmp_path / "m.csv"), "rows": len(WANTED) + 1}
    named = [dict(zip(header, row, strict=True)) for row in rows]
    assert {row["metricKey"] for row in named} == {"'=evil", "ok", "ctx"}
    assert [row["value"] for row in named if row["metricKey"] == "ok"] == [repr(-value) for value in VALUES]


def test_csv_texts_are_no_formulas_and_nothing_else_is_changed(exact: Account, tmp_path: Path) -> None:
    """Taking one apostrophe away gives back what was logged."""
    _export(exact, "logs", tmp_path / "l.csv", "csv")
    with (tmp_path / "l.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))

    assert header == ["timestampMs", "sequence", "level", "message"]
    cells = [row[3] for row in rows]
    assert [cell for cell in cells if cell[0] in "=+-@\t"] == []
    assert [cell.removeprefix("'") for cell in cells] == FORMULAS[:-2] + FORMULAS[-2:]


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet"])
def test_other_formats_hold_the_same_points(exact: Account, tmp_path: Path, form: str) -> None:
    """Whatever reads the file reads the same numbers."""
    out = tmp_path / "points"
    _export(exact, "metrics", out, form)
    if form == "json":
        whole = json.loads(out.read_text())
        rows = whole["rows"]
        assert (whole["type"], whole["version"], whole["runId"]) == ("metrics", 1, "exact")
        assert whole["export"] == {"pageCount": 1, "truncatedByPageLimit": False}
        assert whole["startMs"] < min(row["timestampMs"] for row in rows) < whole["endMs"]
        assert whole["projectId"].startswith("prj_")
    elif form == "jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    else:
        import pyarrow.parquet as pq

        rows = pq.read_table(out).to_pylist()

    assert sorted(_points(rows)) == sorted(WANTED)
    assert [repr(value) for _, _, value in _points(rows)] == [repr(value) for _, _, value in WANTED]


def test_keys_times_and_further_columns_are_taken(exact: Account, tmp_path: Path) -> None:
    """Part of a run can be exported, and a context is there for who asks."""
    out = tmp_path / "part.csv"
    assert _export(exact, "metrics", out, "csv", "--keys", "ctx", "--since", "1h")["rows"] == 1
    assert _export(exact, "metrics", out, "csv", "--keys", "ctx", "--all-columns")["rows"] == 1
    (row,) = csv.DictReader(out.read_text().splitlines())
    assert json.loads(row["context"]) == {"split": "val"}
    assert _export(exact, "metrics", out, "csv", "--until", "2020-01-01")["rows"] == 0


def test_export_that_broke_off_goes_on_where_it_was(exact: Account, tmp_path: Path) -> None:
    """Pages that are there are not fetched again, and the file is whole or not there at all."""
    out = tmp_path / "m.jsonl"
    args = ("metrics", "export", exact.run_id, "--out", str(out), "--format", "jsonl", "--page-size", "7")
    whole = exact.rundial(*args)
    expected = out.read_bytes()
    out.unlink()
    with Faltering(exact.server.url, fails_after=3) as proxy:
        broken = exact.rundial(*args, RUNDIAL_ENDPOINT=proxy.url, RUNDIAL_API_KEY=exact.server.key)
        assert (whole.status, broken.status) == (0, 1)
        assert not out.exists()
        proxy.heal()
        done = exact.rundial(*args, RUNDIAL_ENDPOINT=proxy.url, RUNDIAL_API_KEY=exact.server.key)
        assert done.status == 0, done.stderr
        assert proxy.exports == 3 + -(-50 // 7) - 3

    assert out.read_bytes() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]


def test_interrupted_export_says_how_to_go_on(exact: Account, tmp_path: Path) -> None:
    """Ctrl-C costs the moment, not what was fetched."""
    out = tmp_path / "m.csv"
    args = ["metrics", "export", exact.run_id, "--out", str(out), "--format", "csv", "--page-size", "7"]
    with Faltering(exact.server.url, hangs_after=3) as proxy:
        variables = {"XDG_CONFIG_HOME": str(exact.config), "RUNDIAL_API_KEY": exact.server.key}
        child = subprocess.Popen(
            [sys.executable, "-m", "rundial", *args, "--endpoint", proxy.url],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert proxy.is_hanging.wait(40)
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=40)

    assert Done(child.returncode, stdout, stderr).status == 1
    assert "Give the same command again" in stderr
    assert "Traceback" not in stderr
    assert not out.exists()
    assert (tmp_path / ".m.csv.rows").stat().st_size > 0


def test_out_that_cannot_be_written_is_one_line(exact: Account, tmp_path: Path) -> None:
    """A mistyped directory is no traceback."""
    done = exact.rundial("logs", "export", exact.run_id, "--out", str(tmp_path / "no" / "where.csv"))

    assert done.status == 1
    assert "Traceback" not in done.stderr
    assert "where" in done.stderr
