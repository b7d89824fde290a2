"""Processes that measure: a function of a section, called in a fresh interpreter.

    python -m tests.perf.workers tests.perf.idle:watch '{"seconds": 5}'

writes what the function returns as one line of JSON, the last on stdout. A function may talk to its
parent before, a line at a time.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

TIMEOUT_S = 600.0


def measure(job: Callable[..., object], **given: object) -> Any:
    """Call a function in a process of its own and return what it returned.

    Raises:
        RuntimeError: The process failed; with what it wrote to stderr.
    """
    return ended(begin(job, **given))


def begin(job: Callable[..., object], **given: object) -> subprocess.Popen[str]:
    """Start a function in a process of its own, with pipes to it."""
    name = f"{job.__module__}:{job.__qualname__}"
    return spawn([sys.executable, "-m", __name__, name, json.dumps(given)])


def spawn(command: list[str]) -> subprocess.Popen[str]:
    """Start a command with pipes to it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environ())


def environ() -> dict[str, str]:
    """Return a user's environment: one in which Python keeps its bytecode, as it does unless told."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def ended(process: subprocess.Popen[str]) -> Any:
    """Wait for a process that measures, and return what its last line says.

    Raises:
        RuntimeError: It failed.
    """
    with process:
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n{stderr[-2000:]}")
    return json.loads(stdout.splitlines()[-1])


def say(value: object) -> None:
    """Write a line of JSON to the parent."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the function that the command line names."""
    module, _, function = sys.argv[1].partition(":")
    job: Callable[..., object] = getattr(importlib.import_module(module), function)
    say(job(**json.loads(sys.argv[2])))


if __name__ == "__main__":
    main()
