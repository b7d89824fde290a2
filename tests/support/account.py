"""An account on a machine with a server that holds one completed run, as the commands find it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.program import ServerProgram
from tests.support.shell import Done, rundial

STEPS = 25
SCRIPT = f"""
import rundial as rd

with rd.init(project="digits", name="first", config={{"lr": 0.1}}) as run:
    for step in range({STEPS}):
        run.log({{"loss": 1 / (step + 1), "accuracy": step / {STEPS}}}, step=step)
    run.log_text("all is well")
    run.log_text("not so well\\x1b[31m", level="warn")
    with run.trace("work"):
        pass
print(run.run_id)
"""


@dataclass(frozen=True, slots=True)
class Account:
    """An account whose server holds one completed run; made once, read by many tests."""

    config: Path
    run_id: str
    server: ServerProgram

    def rundial(self, *args: str, **environment: str) -> Done:
        """Run a command as this account."""
        return rundial(*args, timeout_s=40, XDG_CONFIG_HOME=str(self.config), **environment)


@contextmanager
def opened(place: Path) -> Iterator[Account]:
    """Give a server, and a run recorded by a script that sets nothing but the project's name."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("RUNDIAL_", "OTEL_"))]:
            patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(place / "config"))
        patch.setenv("PYTHONPATH", str(ROOT))
        with ServerProgram(place / "data") as server:
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT], cwd=place, capture_output=True, text=True, timeout=30
            )
            yield Account(place / "config", done.stdout.strip(), server)
