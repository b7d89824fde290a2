"""The page of faults lists what the fault tests do, with the promises that they hold runs to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.support.faultpage import PAGE, PROPERTY, ROW, FaultPage, promises, read, render, rows


def test_every_fault_test_has_its_row() -> None:
    """No fault is tried that the page is silent about."""
    assert sorted(set(promises()) - set(rows())) == []


def test_every_row_has_its_test() -> None:
    """No fault is listed that nobody tries."""
    assert sorted(set(rows()) - set(promises())) == []


def test_the_page_says_what_the_tests_say() -> None:
    """Whoever reads a promise reads the one that is tested; `python -m tests.support.faultpage` renews it."""
    said = promises()
    page = [
        (found["test"], found["what"], found["signals"], found["modes"], found["promise"])
        for found in ROW.finditer(PAGE.read_text())
    ]

    assert page == [(test, *row, said[test]) for test, row in rows().items()]


def test_no_promise_was_broken_in_the_last_full_run() -> None:
    """What is on the page was seen as often as it was tried."""
    broken = [found["test"] for found in ROW.finditer(PAGE.read_text()) if found["rounds"] != found["seen"]]

    assert broken == []


class Lines:
    """The part of pytest's terminal that the page's plugin writes to."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write_line(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)


def report(test: str, outcome: Literal["passed", "failed"], made: int) -> pytest.TestReport:
    """What a worker says of a test."""
    properties = [(PROPERTY, made)]
    nodeid = f"tests/fault/{test}[parameters]"
    return pytest.TestReport(nodeid, ("", 0, ""), {}, outcome, None, "call", user_properties=properties)


def test_a_full_run_is_counted_and_one_that_is_cut_short_is_not(tmp_path: Path) -> None:
    """The page's figures are those of one whole run, and say how often a promise was not kept."""
    page, terminal = tmp_path / "faults.md", Lines()
    plugin, tests = FaultPage(page), list(rows())
    for test in tests[:-1]:
        plugin.pytest_runtest_logreport(report(test, "passed", 1_000))
    plugin.pytest_terminal_summary(terminal, pytest.ExitCode.OK)
    was_written = page.exists()
    plugin.pytest_runtest_logreport(report(tests[0], "failed", 1))
    plugin.pytest_runtest_logreport(report(tests[-1], "passed", 1))
    plugin.pytest_terminal_summary(terminal, pytest.ExitCode.INTERRUPTED)
    was_written_when_interrupted = page.exists()
    plugin.pytest_terminal_summary(terminal, pytest.ExitCode.TESTS_FAILED)

    assert not was_written
    assert not was_written_when_interrupted
    assert "1 of its tests were not run" in terminal.lines[0]
    figures, last = read(page.read_text())
    assert figures[tests[0]] == ("1,001", "1,000")
    assert figures[tests[1]] == ("1,000", "1,000")
    assert figures[tests[-1]] == ("1", "1")
    assert list(figures) == tests
    assert f"{1_000 * len(tests[:-1]) + 2:,} rounds" in last
    assert render(figures, last) == page.read_text()
