"""A machine with two NVIDIA GPUs: their management library, built from C and found by the ordinary loader.

The library is a fake because a GPU cannot be had here; how it is loaded and called is the real way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")


def install(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs that a test starts find the fake library before any other."""
    if not sys.platform.startswith("linux"):
        pytest.skip("NVIDIA's driver, and the loader that finds its library, are Linux's")
    library = directory / "libnvidia-ml.so.1"
    command = ["cc", "-shared", "-fPIC", "-nostdlib", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True, timeout=15)
    known = os.environ.get("LD_LIBRARY_PATH")
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join(filter(None, [str(directory), known])))
