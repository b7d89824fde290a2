"""The architecture is a test: the import contracts of pyproject.toml hold."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


def test_imports_follow_the_layers() -> None:
    """Every stage can be read knowing only the stages below it, and the client stays light."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(
        [*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=19
    )

    assert done.returncode == 0, done.stdout + done.stderr
