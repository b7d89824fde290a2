"""The benchmarks still run and say what they found; how fast is not asked here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.perf.report import HEADER


# Its programs run one after the other, on whatever is left of the machine.
@pytest.mark.timeout(120)
def test_benchmark_prints_its_table(tmp_path: Path) -> None:
    """Whoever wants figures of their own machine gets them with one command."""
    out = tmp_path / "report.md"
    command = [sys.executable, "-m", "tests.perf", "--quick", "--out", str(out), "start"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)

    assert done.returncode == 0, done.stdout + done.stderr
    assert HEADER in done.stdout
    assert "| rd.init offline" in done.stdout
    assert "cores" in done.stdout, "the machine is stated"
    assert out.read_text() == done.stdout
