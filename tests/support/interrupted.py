"""A command that is sent SIGINT in the middle of what it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from threading import Event

from tests.support.shell import Done

TIMEOUT_S = 60.0


def interrupted(*args: str, middle: Event, environment: Mapping[str, str]) -> Done:
    """Run `rundial ARGS`, send it SIGINT once the event is set, and return how it ended.

    Args:
        args: Of the command.
        middle: Set by whoever it talks to.
        environment: Variables beside the test's own.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "rundial", *args],
        env=os.environ | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in a shell's background, programs are started with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert middle.wait(TIMEOUT_S), "it came to no middle"
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=TIMEOUT_S)
    finally:
        child.kill()
        child.communicate()
    return Done(child.returncode, stdout, stderr)
