"""`docs/faults.md`: what is done to runs, what is promised then, and how often that was seen to hold.

`make faults` writes it once all of `tests/fault` has run; `make test` never does. The rows are those of
`tests.support.faults`, the promises are the tests' docstrings, and the figures are the run's own. After
a test was added or renamed `python -m tests.support.faultpage` brings the rows up to date and keeps the
figures of the others, which the next `make faults` counts anew.
"""

from __future__ import annotations

import ast
import datetime
import os
import platform
import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.support import rounds
from tests.support.faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"
TESTS = ROOT / "tests" / "fault"
OPTION = "--write-fault-page"
PROPERTY = "rounds"
NEVER = "never"
LAST = re.compile(r"^Last full run: .*$", re.MULTILINE)
ROW = re.compile(
    r"^\| (?P<what>.+?) \| (?P<signals>[^|]+) \| (?P<modes>[^|]+) \| (?P<promise>.+?) "
    r"\| (?P<rounds>never|[\d,]+) \| (?P<seen>never|[\d,]+) \| `(?P<test>[\w/.:]+)` \|$",
    re.MULTILINE,
)
HEAD = """# Faults

Each row is a test that does something bad to real processes, sockets and disks, and asks afterwards: is
everything that `log`, `log_text` or `trace` accepted stored once, does the ledger close, is the program's own
exception intact, and does `run.diagnostics()` tell what happened? A round is one run of the test with one set
of its parameters, or one repetition inside it (a kill, a fork, a call); *seen* is in how many of them the
promise held.

{last}

| fault | signals | mode | promise | rounds | seen | test |
|---|---|---|---|---|---|---|
"""
FOOT = """
This page is written by `make faults`. `FAULT_SCALE=20 make faults` makes twenty times the rounds.
"""


@dataclass(slots=True)
class Tally:
    """How often a fault was tried and its promise held.

    Attributes:
        rounds: Tried.
        seen: Held.
    """

    rounds: int = 0
    seen: int = 0


def rows() -> dict[str, Fault]:
    """Return the declared rows by test, such as `test_kill.py::test_…`."""
    return {f"{file}.py::{test}": row for file, tests in FAULTS.items() for test, row in tests.items()}


def promises() -> dict[str, str]:
    """Return the docstring of every test in `tests/fault`, by test."""
    found = {}
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[f"{path.name}::{node.name}"] = " ".join((ast.get_docstring(node) or "").split())
    return found


def render(figures: Mapping[str, tuple[str, str]], last: str) -> str:
    """Return the page.

    Args:
        figures: Rounds and seen, by test; tests without any were never run.
        last: The line about the run that the figures are of.
    """
    said = promises()
    lines = [
        f"| {row.what} | {row.signals} | {row.modes} | {said.get(test, '')} "
        f"| {' | '.join(figures.get(test, (NEVER, NEVER)))} | `{test}` |"
        for test, row in rows().items()
    ]
    return HEAD.format(last=last) + "\n".join(lines) + "\n" + FOOT


def read(page: str) -> tuple[dict[str, tuple[str, str]], str]:
    """Return the figures of a page by test, and its line about the last run."""
    last = LAST.search(page)
    figures = {found["test"]: (found["rounds"], found["seen"]) for found in ROW.finditer(page)}
    return figures, last[0] if last else "Last full run: never."


class Terminal(Protocol):
    """Where the page's plugin says what it did."""

    def write_line(self, line: str) -> None:
        """Print a line."""
        ...


class FaultPage:
    """The plugin: counts the rounds of fault tests where they run, and writes the page where they end.

    With workers, the counting is done in each, and travels in the tests' reports.
    """

    def __init__(self, page: Path) -> None:
        self._page = page
        self._tallies: dict[str, Tally] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Enter a test's rounds once it has been called, or could not be."""
        if not report.nodeid.startswith("tests/fault/") or (report.when != "call" and report.passed):
            return
        tally = self._tallies.setdefault(_test_of(report.nodeid), Tally())
        count = sum(int(str(value)) for name, value in report.user_properties if name == PROPERTY)
        if report.when == "call" and not report.skipped:
            tally.rounds += count
        tally.seen += count if report.when == "call" and report.passed else 0

    def pytest_terminal_summary(self, terminalreporter: Terminal, exitstatus: int) -> None:
        """Write the page when every fault was tried."""
        missing = sorted(set(rows()) - set(self._tallies))
        if missing or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            terminalreporter.write_line(
                f"{self._page.name} is left as it is: {len(missing)} of its tests were not run"
            )
            return
        figures = {test: (f"{tally.rounds:,}", f"{tally.seen:,}") for test, tally in self._tallies.items()}
        self._page.write_text(render(figures, _this_run(self._tallies.values())))
        terminalreporter.write_line(f"wrote {self._page}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that `make faults` gives."""
    parser.addoption(OPTION, action="store_true", help="write docs/faults.md after a full run of tests/fault")


def pytest_configure(config: pytest.Config) -> None:
    """Count for the page, and write it, when asked to; a worker writes nothing."""
    if config.getoption(OPTION) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FaultPage(PAGE), "fault-page")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Let a test's report say how many rounds it made; one when it repeats nothing."""
    rounds.asked.clear()
    try:
        yield
    finally:
        item.user_properties.append((PROPERTY, sum(rounds.asked) or 1))


def _test_of(nodeid: str) -> str:
    return nodeid.removeprefix("tests/fault/").partition("[")[0]


def _this_run(tallies: Iterable[Tally]) -> str:
    total = sum(tally.rounds for tally in tallies)
    return (
        f"Last full run: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, {total:,} rounds, "
        f"{platform.system()} {platform.release().partition('-')[0]}, "
        f"CPython {platform.python_version()}, {os.cpu_count()} cores, FAULT_SCALE {rounds.scale()}."
    )


if __name__ == "__main__":
    PAGE.write_text(render(*read(PAGE.read_text() if PAGE.exists() else "")))
