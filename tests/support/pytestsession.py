"""pytest as a user runs it, in a process of its own, over a file of tests of every kind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from tests.conftest import ROOT
from tests.support.shell import Done

TESTS = """
    import os
    import pytest

    def test_passes(rundial_eval):
        assert rundial_eval.log(scores={"f1": 0.5}, meta={"k": 1})

    def test_fails():
        assert {"a": 1} == {"a": 2}, "my own words"

    @pytest.mark.skip(reason="not today")
    def test_skipped():
        pass

    def test_skips():
        pytest.skip("inside")

    @pytest.fixture
    def broken():
        raise RuntimeError("no fixture")

    def test_setup(broken):
        pass

    @pytest.fixture
    def leaks():
        yield
        raise RuntimeError("not cleaned up")

    def test_teardown(leaks):
        pass

    @pytest.mark.xfail(reason="known")
    def test_xfail():
        assert False

    @pytest.mark.xfail
    def test_xpass():
        pass

    @pytest.mark.parametrize("value", [1, 2, "a b[c]"])
    def test_each(value):
        assert value != 2
"""
# What becomes of each test: (whether it passed, pytest's word, the part that says so).
VERDICTS = {
    "test_passes": (True, "passed", "call"),
    "test_fails": (False, "failed", "call"),
    "test_skipped": (None, "skipped", "setup"),
    "test_skips": (None, "skipped", "call"),
    "test_setup": (False, "error", "setup"),
    "test_teardown": (False, "error", "teardown"),
    "test_xfail": (None, "xfailed", "call"),
    "test_xpass": (True, "xpassed", "call"),
    "test_each[1]": (True, "passed", "call"),
    "test_each[2]": (False, "failed", "call"),
    "test_each[a b[c]]": (True, "passed", "call"),
}
# Of this environment's own tests; they have no part in it, and take their time to import.
_OTHERS = ("schemathesis", "hypothesispytest", "anyio", "randomly", "cacheprovider", "timeout")
_TIMES = re.compile(r"\d+\.\d\ds")


def run_pytest(place: Path, *options: str, tests: str = TESTS, **environment: str) -> Done:
    """Run pytest over a file of tests in a directory; other plugins of this environment stay out.

    Args:
        place: An empty directory, or one that was used before.
        options: Of pytest.
        tests: What the file `test_it.py` holds.
        environment: Variables beside the test's own.
    """
    place.mkdir(exist_ok=True)
    (place / "test_it.py").write_text(dedent(tests))
    (place / "pytest.ini").write_text("[pytest]\n")
    known = {
        name: value for name, value in os.environ.items() if not name.startswith(("RUNDIAL_", "PYTEST_"))
    }
    blocked = [word for name in _OTHERS for word in ("-p", f"no:{name}")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *blocked, *options],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        env={**known, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(place), **environment},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def without_times(text: str) -> list[str]:
    """The lines of a session, less how long it took and what Rundial says at its end."""
    lines = [_TIMES.sub("", line) for line in text.splitlines()]
    return [line for line in lines if not line.startswith("rundial: ")]
