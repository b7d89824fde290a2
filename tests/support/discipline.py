"""Hooks that hold the suite to its rules; loaded by `tests/conftest.py`.

- Under CI (the variable `CI` is set) a skipped test is a failed test: what cannot run there is not
  tested anywhere. Elsewhere pytest's summary names what was skipped and why.
- A test marked `fault` starts, starves and kills real processes and has 120 s, and more for more rounds.
- A test marked `stress` runs under a switch interval so small that threads change places between
  almost any two bytecodes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator

import pytest

from tests.support.rounds import scale

FAULT_TIMEOUT_S = 120
STRESS_SWITCH_INTERVAL_S = 1e-6


def is_ci() -> bool:
    """Whether this is a CI run, where nothing may be skipped."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give fault tests their longer time."""
    for item in items:
        if item.get_closest_marker("fault") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(FAULT_TIMEOUT_S * scale()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one under CI."""
    report = yield
    # An expected failure is reported as skipped too, and is none.
    if report.skipped and not hasattr(report, "wasxfail") and _CI:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} cannot run here, and CI runs everything: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped test file into a failed one under CI."""
    report = yield
    if report.skipped and _CI:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} cannot run here, and CI runs everything: {_reason(report)}"
    return report


@pytest.fixture(autouse=True)
def _small_switch_interval(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("stress") is None:
        yield
        return
    before = sys.getswitchinterval()
    sys.setswitchinterval(STRESS_SWITCH_INTERVAL_S)
    yield
    sys.setswitchinterval(before)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    found = report.longrepr
    return str(found[2]) if isinstance(found, tuple) else str(found)


# Read once: the environment of a test is not the environment of the run.
_CI = is_ci()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what this machine could not run: nobody is to take a missing Python for a tested one."""
    from tests.support.interpreters import MISSING

    if MISSING:
        terminalreporter.write_line(f"not run, no such Python here: {', '.join(MISSING)}")
