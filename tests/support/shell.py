"""The command `rundial` as a shell runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def found(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        (line,) = self.stdout.splitlines()
        found = json.loads(line)
        if not isinstance(found, dict):
            raise TypeError(f"not an object: {line}")
        return found


def rundial(*args: str, timeout_s: float = 20, **environment: str) -> Done:
    """Run `rundial ARGS` to its end, with these variables beside the test's own."""
    done = subprocess.run(
        [sys.executable, "-m", "rundial", *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=os.environ | environment,
    )
    return Done(done.returncode, done.stdout, done.stderr)
