"""Real programs as a user starts them: `rundial server` as a child process in a test's hands."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import Request, urlopen

READY = re.compile(r"Rundial is listening on (https?://\S+)")
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0


class ServerProgram:
    """One `rundial server` over one data directory.

    Entering starts it and leaving ends it; in between it can be stopped, killed and started again
    on the same data and port.

    Args:
        data: The server's data directory.
        options: Further options of the command.

    Threads: one of its own reads the child's output, so that a full pipe never blocks the child.

    Attributes:
        data: The server's data directory.
        url: Where it listens, once started.
    """

    def __init__(self, data: Path, *, options: tuple[str, ...] = ()) -> None:
        self.data = data
        self._options = options
        self.url = ""
        self._port = 0
        self._child: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []
        self._has_line = threading.Condition()

    def __enter__(self) -> ServerProgram:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it says that it listens.

        Raises:
            RuntimeError: It ended, or said nothing for 30 s; with all that it printed.
        """
        command = [sys.executable, "-m", "rundial", "server", "--port", str(self._port)]
        self._lines = []
        self._child = subprocess.Popen(
            [*command, "--data", str(self.data), *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._child,), daemon=True)
        self._reader.start()
        with self._has_line:
            self._has_line.wait_for(lambda: self._address() or self._has_ended(), START_TIMEOUT_S)
        address = self._address()
        if address is None:
            self.kill()
            raise RuntimeError("rundial server did not start:\n" + self.output)
        self.url = address
        self._port = int(address.rsplit(":", 1)[1])

    @property
    def output(self) -> str:
        """All that it printed since its last start."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        """The process's id, while it runs."""
        assert self._child is not None
        return self._child.pid

    @property
    def key(self) -> str:
        """The owner's API key, as the server wrote it."""
        return (self.data / "owner.key").read_text().strip()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to leave with a signal; return its exit status."""
        return self._end(number)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal and wait for nothing."""
        assert self._child is not None
        self._child.send_signal(number)

    def kill(self) -> int:
        """End it as `kill -9` does; return its exit status."""
        return self._end(signal.SIGKILL)

    def get(self, path: str) -> dict[str, object]:
        """Return what a GET of the control API answers, as the owner."""
        request = Request(self.url + path, headers={"authorization": f"Bearer {self.key}"})
        with urlopen(request, timeout=10) as answer:
            found = json.load(answer)
        if not isinstance(found, dict):
            raise TypeError(f"GET {path} answered {found!r}")
        return found

    def rows(self, path: str, name: str) -> list[dict[str, Any]]:
        """Return one list of what a GET answers, such as its `runs`."""
        found = self.get(path)[name]
        if not isinstance(found, list):
            raise TypeError(f"GET {path} has no list {name!r}: {found!r}")
        return found

    def _end(self, number: signal.Signals) -> int:
        child, reader = self._child, self._reader
        if child is None or reader is None:
            return 0
        self._child = self._reader = None
        if child.poll() is None:
            child.send_signal(number)
        try:
            return child.wait(STOP_TIMEOUT_S)
        finally:
            child.kill()
            reader.join(STOP_TIMEOUT_S)
            if child.stdout is not None:
                child.stdout.close()

    def _read(self, child: subprocess.Popen[str]) -> None:
        for line in child.stdout or ():
            with self._has_line:
                self._lines.append(line)
                self._has_line.notify_all()
        child.wait()
        with self._has_line:
            self._has_line.notify_all()

    def _address(self) -> str | None:
        found = READY.search(self.output)
        return found.group(1) if found else None

    def _has_ended(self) -> bool:
        return self._child is not None and self._child.poll() is not None
