"""A server of the test's own, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.artifacts import Artifacts
from tests.support.clickhouse import ClickHouseServer
from tests.support.clock import ManualClock
from tests.support.postgres import Postgres
from tests.support.server import Caller, LocalServer

ENGINES = ("sqlite", "postgresql")
# What is asked of points, text lines and spans is asked of ClickHouse as well, but by tests that look inside
# the server or move its clock (`inside`): ClickHouse runs in a process of its own.
EVENTS = (
    "test_curves",
    "test_evidence",
    "test_exports",
    "test_facets",
    "test_ingest",
    "test_livepoints",
    "test_logs",
    "test_spans",
    "test_traces",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with each engine that it is about."""
    given = {name for mark in metafunc.definition.iter_markers("parametrize") for name in mark.args[:1]}
    if "database" not in metafunc.fixturenames or any("database" in each for each in given):
        return
    is_of_events = metafunc.module.__name__.rpartition(".")[2] in EVENTS
    is_inside = metafunc.definition.get_closest_marker("inside") is not None
    engines = (*ENGINES, "clickhouse") if is_of_events and not is_inside else ENGINES
    metafunc.parametrize("database", engines, indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str | None:
    """The URL of an empty database, None for the SQLite file in the data directory; a test runs with each."""
    if request.param != "postgresql":
        return None
    cluster: Postgres = request.getfixturevalue("postgres")
    return cluster.database()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A server with a ClickHouse, one for all tests of a worker: each has runs of its own."""
    with ClickHouseServer(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture
def artifacts(local: LocalServer) -> Iterator[Artifacts]:
    """The artifacts of the server's project `digits`, by the owner's key."""
    found = Artifacts(local.url, local.key)
    yield found
    found.close()


@pytest.fixture
def local(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, database: str | None
) -> Iterator[Caller]:
    """A real server in this process, with an empty data directory and an empty database."""
    if request.node.callspec.params.get("database") == "clickhouse":
        yield request.getfixturevalue("clickhouse")
        return
    with LocalServer(tmp_path / "data", clock, database=database) as server:
        yield server
