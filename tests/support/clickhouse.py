"""A server whose points, text lines and spans are in ClickHouse.

The ClickHouse is chDB: the same engine, tables and SQL, and the same client, but embedded. It starts threads
that never end, so it runs in a process of the server's own and never in that of the tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.request import Request, urlopen

import pytest

from tests.support import otlp
from tests.support.program import ServerProgram
from tests.support.server import Caller


def events_url(directory: Path) -> str:
    """The URL of an embedded ClickHouse in a directory."""
    return f"chdb://{directory}"


class ClickHouseServer(Caller):
    """One `rundial server --events`, started by entering and ended by leaving.

    Args:
        directory: Where its data and its ClickHouse are made.
        options: Further options of the command.

    Attributes:
        program: The process.
    """

    def __init__(self, directory: Path, *, options: tuple[str, ...] = ()) -> None:
        directory.mkdir(exist_ok=True)
        url = events_url(directory / "events")
        self.program = ServerProgram(directory / "data", options=("--events", url, *options))

    def __enter__(self) -> ClickHouseServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        self.program.kill()

    def start(self) -> None:
        """Start it, again where it was ended."""
        self.program.start()
        super().__init__(self.program.url, self.program.key)


class HttpClickHouse:
    """`tests.support.clickhousehttp` as a process: a ClickHouse that is reached over HTTP, and can be away.

    Started by entering and ended by leaving.

    Args:
        directory: Where the engine keeps its data.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._child: subprocess.Popen[str] | None = None
        self._port = 0

    def __enter__(self) -> HttpClickHouse:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Its URL, as `--events` takes it."""
        return f"clickhouse://tester:s3cret@127.0.0.1:{self._port}/rundial"

    def start(self) -> None:
        """Start it, at the same port as before."""
        program = [sys.executable, "-m", "tests.support.clickhousehttp"]
        self._child = subprocess.Popen(
            [*program, str(self._directory), str(self._port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout is not None
        self._port = int(self._child.stdout.readline())

    def kill(self) -> None:
        """End it as `kill -9` does."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate(timeout=30)

    def fail(self, inserts: Literal["lost", "late", "refused", "denied", "async", "none"]) -> None:
        """Begin one of the failures that `tests.support.clickhousehttp` names, or end it."""
        with urlopen(
            Request(f"http://127.0.0.1:{self._port}/fail?insert={inserts}", method="POST"), timeout=30
        ):
            pass

    def arrive(self) -> None:
        """Let the inserts happen that are late."""
        with urlopen(Request(f"http://127.0.0.1:{self._port}/arrive", method="POST"), timeout=30):
            pass

    def greatest(self) -> tuple[int, int]:
        """Bytes of the longest answer and of the longest request since this was asked before."""
        with urlopen(Request(f"http://127.0.0.1:{self._port}/greatest", method="POST"), timeout=30) as answer:
            longest_answer, longest_request = map(int, answer.read().split())
        return longest_answer, longest_request


def asked(server: Caller, path: str, run: str, **more: object) -> Any:
    """What a query answers, but for the ids of pages, which are each server's own."""
    found = server.post(path, {"projectId": server.project_id(), "runId": run, **more})
    assert found.status == 200, found.json
    return {name: value for name, value in found.json.items() if name != "page"}


def seen(server: Caller, run: str = "run") -> tuple[list[Any], list[str], list[str]]:
    """A run's curve, lines and spans."""
    rows = asked(server, "/api/v1/query/logs", run)["rows"]
    spans = [each["name"] for each in server.spans(run)]
    return server.curve(run, "loss"), [row["message"] for row in rows], spans


def tellable(numbers: list[float], texts: list[str], names: list[str], run: str = "run") -> dict[str, bytes]:
    """A request of each signal."""
    owner = otlp.resource(run)
    lines = [otlp.line(seq, text) for seq, text in enumerate(texts)]
    spans = [otlp.span(number, name) for number, name in enumerate(names, 1)]
    return {
        "metrics": otlp.curve(run, "loss", numbers),
        "logs": otlp.logs(owner, lines),
        "traces": otlp.spans(owner, spans),
    }


def inside(directory: Path, sql: str) -> str:
    """Run a statement in an embedded ClickHouse that no server uses; in a process of its own."""
    program = (
        "import sys, chdb; c = chdb.connect(sys.argv[1]); c.query('USE rundial'); "
        "print(c.query(sys.argv[2], 'TabSeparated'), end=''); c.close()"
    )
    command = [sys.executable, "-c", program, str(directory), sql]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refused(data: Path, *options: str) -> str:
    """What a server says that does not start."""
    with pytest.raises(RuntimeError) as caught, ServerProgram(data, options=options):
        pass
    return str(caught.value)
