"""The Pythons of this machine that Rundial supports, and the ones it does not have.

A program of another Python finds what it needs where this one finds it: Rundial in this checkout, and its
libraries in this environment, which are pure Python or made for every Python from 3.10 on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

SUPPORTED = ("3.10", "3.11", "3.12", "3.13")
ROOT = Path(__file__).resolve().parents[2]


def find(version: str) -> str | None:
    """Return an interpreter of a version such as `3.12`: on PATH, or installed beside this one."""
    # Version managers keep one folder a version; their names on PATH start nothing on their own.
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python{version}"))
    known = [str(path) for path in beside] + [shutil.which(f"python{version}") or ""]
    return next((each for each in known if each and _starts(each, version)), None)


def environment() -> dict[str, str]:
    """Return the variables for a program of any of them."""
    places = [str(ROOT), sysconfig.get_path("purelib")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"}


def _starts(path: str, version: str) -> bool:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20)
    return told.returncode == 0 and told.stdout.startswith(f"Python {version}.")


FOUND = {version: path for version in SUPPORTED if (path := find(version))}
MISSING = [version for version in SUPPORTED if version not in FOUND]
