"""Programs of a few lines, run as a user runs them: in a process of their own.

A script finds what the test gives it in `given`, and Rundial as `rd`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

from tests.support.rounds import scale
from tests.support.shell import Done

PRELUDE = "import json, sys\nimport rundial as rd\ngiven = json.loads(sys.argv[1])\n"
TIMEOUT_S = 40.0


def start_script(text: str, **given: object) -> subprocess.Popen[str]:
    """Start a script; its stdin, stdout and stderr are pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + dedent(text), json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_of(script: subprocess.Popen[str], timeout_s: float = TIMEOUT_S) -> Done:
    """Close a script's stdin and wait for its end; the limit grows with `FAULT_SCALE`."""
    with script:
        try:
            stdout, stderr = script.communicate(timeout=timeout_s * scale())
        finally:
            script.kill()
    return Done(script.returncode, stdout, stderr)


def run_script(text: str, *, timeout_s: float = TIMEOUT_S, **given: object) -> Done:
    """Run a script to its end."""
    return end_of(start_script(text, **given), timeout_s)
