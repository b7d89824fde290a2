"""A server whose points, text lines and spans are in ClickHouse.

The ClickHouse is chDB: the same engine, tables and SQL, and the same client, but embedded. It starts threads
that never end, so it runs in a process of the server's own and never in that of the tests.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

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
