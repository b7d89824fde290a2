"""What Rundial does where it is not supported."""

from __future__ import annotations

import subprocess
import sys

WINDOWS = """
import sys
sys.platform = "win32"
sys.modules["fcntl"] = None
import rundial
"""
INIT = """
try:
    rundial.init(project="x", mode="offline")
except rundial.ConfigError as error:
    print(error)
"""


def _run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=15
    )


def test_import_on_an_unsupported_platform_works() -> None:
    """A shared code base that imports Rundial still runs on Windows."""
    done = _run(WINDOWS)

    assert (done.returncode, done.stderr) == (0, "")


def test_init_on_an_unsupported_platform_says_so() -> None:
    """init() on Windows raises a ConfigError that names the platforms which work."""
    done = _run(WINDOWS + INIT)

    assert done.returncode == 0, done.stderr
    assert "Linux" in done.stdout
    assert "macOS" in done.stdout
