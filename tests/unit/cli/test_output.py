"""What the commands print."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.cli.output import Output, as_json, facts, shown, table, when, write


@given(st.text())
def test_servers_text_cannot_steer_a_terminal(text: str) -> None:
    """No log line or run name moves the cursor, changes colours or fakes another line."""
    assert shown(text).isprintable()


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_json_is_one_line_with_sorted_keys(found: dict[str, object]) -> None:
    """A reader that splits at newlines gets whole objects."""
    line = as_json(found)

    assert "\n" not in line
    assert list(json.loads(line)) == sorted(found)


def test_table_columns_are_aligned() -> None:
    """Columns start below their titles, numbers end there."""
    lines = table(["run", "points"], [["a", "1"], ["longer", "20"]], right=frozenset({1}))

    assert lines == ["RUN     POINTS", "a            1", "longer      20"]


def test_facts_are_aligned() -> None:
    """Names and values of a listing stand in two columns."""
    assert facts([("run", "a"), ("status", "b")]) == ["run     a", "status  b"]


@pytest.mark.parametrize("time_ms", [None, "x", float("nan"), 1e300, -1e300])
def test_time_that_is_none_is_a_dash(time_ms: object) -> None:
    """An odd time from a server never ends a command."""
    assert when(time_ms) == "-"


def test_text_that_a_stream_cannot_carry_is_replaced() -> None:
    """A terminal without UTF-8 gets question marks, not a traceback."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write(stream, ["λ ok"])

    assert raw.getvalue() == b"? ok\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes, NO_COLOR and --no-color get plain text."""
    assert Output().paint("x", "red", _Terminal()) == "\x1b[31mx\x1b[0m"
    assert Output().paint("x", "red", io.StringIO()) == "x"
    assert Output(has_color=False).paint("x", "red", _Terminal()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Output().paint("x", "red", _Terminal()) == "x"


def test_quiet_prints_no_tables_but_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`--quiet` silences what is for people; `--json` was asked for and is printed."""
    Output(is_quiet=True).result({"a": 1}, lambda: ["text"])
    Output(is_quiet=True).note("by the way")
    assert capsys.readouterr() == ("", "")

    Output(is_quiet=True, is_json=True).result({"a": 1}, lambda: ["text"])
    assert capsys.readouterr().out == '{"a": 1, "ok": true}\n'
