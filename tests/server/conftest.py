"""A server of the test's own, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.artifacts import Artifacts
from tests.support.clock import ManualClock
from tests.support.postgres import Postgres
from tests.support.server import LocalServer

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest) -> str | None:
    """The URL of an empty database, None for the SQLite file in the data directory; a test runs with each."""
    if request.param == "sqlite":
        return None
    cluster: Postgres = request.getfixturevalue("postgres")
    return cluster.database()


@pytest.fixture
def artifacts(local: LocalServer) -> Iterator[Artifacts]:
    """The artifacts of the server's project `digits`, by the owner's key."""
    found = Artifacts(local.url, local.key)
    yield found
    found.close()


@pytest.fixture
def local(tmp_path: Path, clock: ManualClock, database: str | None) -> Iterator[LocalServer]:
    """A real server in this process, with an empty data directory and an empty database."""
    with LocalServer(tmp_path / "data", clock, database=database) as server:
        yield server
