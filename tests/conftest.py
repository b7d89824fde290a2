"""Fixtures, and nothing else. Every test gets a home of its own and none of the account's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.clock import ManualClock
from tests.support.postgres import Postgres
from tests.support.program import ServerProgram

pytest_plugins = ["pytester", "tests.support.discipline", "tests.support.faultpage"]

ROOT = Path(__file__).resolve().parents[1]
# Variables that steer a run from outside: ours, OpenTelemetry's, and the launchers' ranks.
STEERING = ("RUNDIAL_", "OTEL_", "SLURM_", "OMPI_", "PMI_")
RANKS = frozenset({"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK"})

# Examples are judged by what they show, not by how long a busy machine took over one.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory; the current directory is an empty one too.

    So nothing that a test writes by default (`.rundial_spool`, profiles, keys) lands in the
    checkout or in the account, and nothing of the account's steers a test. Programs that a test
    starts import the package from this checkout.
    """
    place = tmp_path_factory.mktemp("home")
    work = place / "work"
    work.mkdir()
    for name in list(os.environ):
        if name.startswith(STEERING) or name in RANKS:
            monkeypatch.delenv(name)
    # The sampler is there in every test, as it is in every program; a test that takes long is not
    # sampled without asking, so that the points it counts are its own.
    monkeypatch.setenv("RUNDIAL_SYSTEM_METRICS_INTERVAL_SECONDS", "3600")
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / ".config"))
    known = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), known])))
    monkeypatch.chdir(work)
    return place


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    """Where a spool may be made; does not exist yet."""
    return tmp_path / "spool"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, one for all tests of a worker; each test takes databases of its own."""
    with Postgres() as cluster:
        yield cluster


@pytest.fixture
def server(tmp_path: Path, home: Path) -> Iterator[ServerProgram]:
    """A real `rundial server` on a free port, with the test's own home and an empty data directory."""
    with ServerProgram(tmp_path / "server") as program:
        yield program
