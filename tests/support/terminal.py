"""The command `rundial`, or another, on a pseudo-terminal, as a person sits before it."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from fcntl import ioctl
from types import TracebackType

TIMEOUT_S = 40.0


class Terminal:
    """One command on a terminal of its own.

    Args:
        args: Of the program.
        program: What is run; `rundial` by default.
        columns: How wide it is.
        lines: How high it is.
        environment: Variables beside the test's own.

    Attributes:
        text: All that it showed so far.
    """

    def __init__(
        self,
        *args: str,
        program: Sequence[str] = (sys.executable, "-m", "rundial"),
        columns: int = 100,
        lines: int = 40,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.text = ""
        self._ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        # It is the terminal that says how wide it is.
        for name in ("COLUMNS", "LINES"):
            variables.pop(name, None)
        self._child = subprocess.Popen(
            [*program, *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=variables,
            start_new_session=True,
            preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0) and None,
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.wait(TIMEOUT_S)
        os.close(self._ours)

    def send(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        """Send SIGINT, as `kill -INT` does."""
        self._child.send_signal(signal.SIGINT)

    def wait_for(self, words: str, *, begin: int = 0) -> str:
        """Wait until the command has shown these words, from a place on; return all that it showed."""
        end_s = time.monotonic() + TIMEOUT_S
        while words not in self.text[begin:]:
            if not self._read(end_s):
                raise AssertionError(f"{words!r} was not shown: {self.text!r}")
        return self.text

    def wait(self) -> int:
        """Wait until it ends; return its exit status."""
        end_s = time.monotonic() + TIMEOUT_S
        while self._read(end_s):
            pass
        return self._child.wait(max(0.1, end_s - time.monotonic()))

    def _read(self, end_s: float) -> bool:
        """Take what there is; False when it has ended or the time is over."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, end_s - time.monotonic()))
        if not ready:
            return False
        try:
            piece = os.read(self._ours, 65_536)
        except OSError:
            return False  # Linux answers EIO once the other side is closed
        self.text += piece.decode("utf-8", "replace")
        return bool(piece)
