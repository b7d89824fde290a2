"""What people run beside Rundial: instrumentations and other tracers, in an environment of their own.

They are many and heavy, and pin what they need; the environment of the tests has to stay ours. Programs in it
import Rundial from this checkout.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import venv
from importlib.metadata import requires, version
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.conftest import ROOT

TIMEOUT_S = 90.0
# opentelemetry-instrumentation-openai-v2 and what it is made with; the others as their users get them.
PACKAGES = (
    "opentelemetry-instrumentation-openai-v2==2.4b0",
    "opentelemetry-util-genai==0.4b0",
    "openai",
    "logfire",
    "langfuse",
    "mlflow-skinny",
    "mlflow-tracing",
)
PRELUDE = "import json, os, sys\nimport rundial as rd\ngiven = json.loads(sys.argv[1])\n"


class Companions:
    """Runs programs in that environment.

    Args:
        python: Its interpreter.
        place: An empty directory; the program's home.
    """

    def __init__(self, python: Path, place: Path) -> None:
        self._python = python
        self._place = place
        self.spool = place / "spool"

    def run(self, program: str, *, env: dict[str, str] | None = None, **given: object) -> Any:
        """Run a program to its end and return the JSON of the last line that it printed.

        Args:
            program: Finds `given`, with `spool` in it, and Rundial as `rd`.
            env: Further variables.
            given: For the program.
        """
        done = subprocess.run(
            [
                str(self._python),
                "-c",
                PRELUDE + dedent(program),
                json.dumps({"spool": str(self.spool), **given}),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            cwd=self._place,
            env={
                "HOME": str(self._place),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                **(env or {}),
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])


def interpreter(cache: Path) -> Path:
    """Return the interpreter of that environment, made once and kept in the cache of the tests."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may ask for it at once
        python, stamp = cache / "env" / "bin" / "python", cache / "packages.txt"
        wanted = [*PACKAGES, *_of_rundial()]
        if not stamp.exists() or stamp.read_text() != "\n".join(wanted):
            stamp.unlink(missing_ok=True)
            _install(cache / "env", wanted)
            stamp.write_text("\n".join(wanted))
        return python


def _of_rundial() -> list[str]:
    """What Rundial itself needs, of the OpenTelemetry that its tests have."""
    needs = [need for need in requires("rundial") or [] if "extra ==" not in need]
    return [f"opentelemetry-sdk=={version('opentelemetry-sdk')}", *needs]


def _install(place: Path, wanted: list[str]) -> None:
    sys.stderr.write(f"installing {', '.join(PACKAGES)} into {place}\n")
    venv.EnvBuilder(with_pip=True, clear=True).create(place)
    command = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", *wanted],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        pytest.skip(f"pip cannot install {PACKAGES[0]} and the like: {last}")
