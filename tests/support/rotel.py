"""The real Rotel collector, from PyPI, as `collector/rotel.sh` starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from tests.support.waiting import wait_until

SCRIPT = Path(__file__).parents[2] / "collector" / "rotel.sh"
START_S = 30.0
STOP_S = 30.0


def program() -> Path | None:
    """Its program; None where PyPI has none for this machine."""
    found = find_spec("rotel")
    places = (found.submodule_search_locations or []) if found else []
    return next((Path(place) / "rotel-agent" for place in places), None)


class Rotel:
    """One agent on ports of its own; entering starts it, leaving ends it.

    Args:
        upstream: The URL that it sends to.
        key: What it shows there.
        log: A file for what it prints.
    """

    def __init__(self, upstream: str, key: str, log: Path) -> None:
        self._upstream = upstream
        self._key = key
        self._log = log
        # Rotel says no free port that it took itself.
        self._http, self._grpc = _free_ports(2)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it takes OTLP over HTTP; the same after a restart."""
        return f"http://127.0.0.1:{self._http}"

    def __enter__(self) -> Rotel:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> Rotel:
        """Start it and wait until it listens."""
        environ = {
            **os.environ,
            "ROTEL": str(program()),
            "RUNDIAL_ENDPOINT": self._upstream,
            "RUNDIAL_API_KEY": self._key,
            "ROTEL_OTLP_HTTP_ENDPOINT": f"127.0.0.1:{self._http}",
            "ROTEL_OTLP_GRPC_ENDPOINT": f"127.0.0.1:{self._grpc}",
            "ROTEL_OTLP_EXPORTER_RETRY_INITIAL_BACKOFF": "50ms",
            "ROTEL_OTLP_EXPORTER_RETRY_MAX_BACKOFF": "200ms",
        }
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                ["sh", str(SCRIPT)], env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._is_listening, START_S)
        return self

    def stop(self) -> int:
        """Ask it to leave with SIGTERM; return its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End it as `kill -9` does."""
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        child, self._child = self._child, None
        if child is None:
            return 0
        child.send_signal(number)
        try:
            return child.wait(STOP_S)
        finally:
            child.kill()
            child.wait()

    def _is_listening(self) -> bool:
        assert self._child is not None
        assert self._child.poll() is None, self._log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self._http), 1).close()
        except OSError:
            return False
        return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
