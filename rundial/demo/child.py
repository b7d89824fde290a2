"""A `rundial server` of the demonstration's own, as a child process.

The child gets a free port of the loopback interface, a data directory and a configuration directory
of its own, and none of the RUNDIAL_* and OTEL_* variables of the shell: nothing of the user's is
read or changed. Whatever ends the demonstration, leaving the `with` block ends the child too.

After a crash: a child whose parent was killed with SIGKILL goes on until it is stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO

from rundial.errors import RundialError

READY = "Rundial is listening on "
START_S = 30.0
STOP_S = 10.0
_PREFIXES = ("RUNDIAL_", "OTEL_")


def clean(environment: Mapping[str, str], config: Path) -> dict[str, str]:
    """Return an environment without the user's settings, with a configuration directory of its own."""
    kept = {name: value for name, value in environment.items() if not name.startswith(_PREFIXES)}
    return kept | {"XDG_CONFIG_HOME": str(config)}


@contextmanager
def isolated(config: Path) -> Iterator[None]:
    """Give this process the clean environment for a while."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(clean(before, config))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class ServerChild:
    """One server process, from entering the `with` block to leaving it.

    Args:
        folder: The server's data directory; `config/` and `server.log` are made beside its data.
        port: Port to listen on; 0 takes a free one.

    Attributes:
        url: Where it listens, once entered.
        key: The owner's API key, once entered.

    Threads: one that reads the child's output into the log until the child ends.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.url = ""
        self.key = ""
        self._folder = folder
        self._port = port
        self._log = folder / "server.log"
        self._ready: SimpleQueue[str] = SimpleQueue()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> ServerChild:
        self._start()
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def key_file(self) -> Path:
        """Where the server keeps the owner's key."""
        return self._folder / "owner.key"

    @property
    def pid(self) -> int | None:
        """The child's process id, None before it was started."""
        return self._process.pid if self._process else None

    def wait(self) -> int:
        """Wait until the child ends by itself and return its exit status."""
        return self._process.wait() if self._process else 0

    def stop(self) -> None:
        """End the child: ask, and after ten seconds force; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except BaseException as error:
            # Too slow, or a second Ctrl-C while waiting: either way no child stays behind.
            process.kill()
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise

    def _start(self) -> None:
        config = self._folder / "config"
        config.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "rundial", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self._port), "--data", str(self._folder)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=clean(os.environ, config) | {"PYTHONUNBUFFERED": "1"},
            # Ctrl-C in the terminal reaches the demonstration alone, which then ends the child in
            # order: the server must outlive the run that is being finished.
            start_new_session=True,
        )
        threading.Thread(
            target=self._copy_output, args=(self._process.stdout,), name="rundial-demo-server", daemon=True
        ).start()

    def _copy_output(self, output: IO[str]) -> None:
        handle = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as log, output:
            for line in output:
                log.write(line)
                log.flush()
                if line.startswith(READY):
                    self._ready.put(line[len(READY) :].strip())
        self._ready.put("")  # the child has closed its output: nobody need wait for it any longer

    def _await_ready(self) -> None:
        try:
            self.url = self._ready.get(timeout=START_S)
        except Empty:
            raise RundialError(f"the server did not start within {START_S:g} s; see {self._log}") from None
        if not self.url:
            raise RundialError(f"the server ended before it was ready: {self._last_words()}; see {self._log}")
        self.key = self.key_file.read_text(encoding="utf-8").strip()

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
