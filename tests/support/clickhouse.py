"""A server whose points, text lines and spans are in ClickHouse.

The ClickHouse is chDB: the same engine, tables and SQL, and the same client, but embedded. It starts threads
that never end, so it runs in a process of the server's own and never in that of the tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.request import Request, urlopen

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

    def fail(self, inserts: Literal["lost", "refused", "denied", "none"]) -> None:
        """Let inserts happen unanswered, or fail before they happen, or nobody make tables; or end that."""
        with urlopen(
            Request(f"http://127.0.0.1:{self._port}/fail?insert={inserts}", method="POST"), timeout=30
        ):
            pass

    def greatest(self) -> tuple[int, int]:
        """Bytes of the longest answer and of the longest request since this was asked before."""
        with urlopen(Request(f"http://127.0.0.1:{self._port}/greatest", method="POST"), timeout=30) as answer:
            longest_answer, longest_request = map(int, answer.read().split())
        return longest_answer, longest_request
