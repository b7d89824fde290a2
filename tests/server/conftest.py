"""A server of the test's own, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.artifacts import Artifacts
from tests.support.clock import ManualClock
from tests.support.server import LocalServer


@pytest.fixture
def artifacts(local: LocalServer) -> Iterator[Artifacts]:
    """The artifacts of the server's project `digits`, by the owner's key."""
    found = Artifacts(local.url, local.key)
    yield found
    found.close()


@pytest.fixture
def local(tmp_path: Path, clock: ManualClock) -> Iterator[LocalServer]:
    """A real server in this process, with an empty data directory."""
    with LocalServer(tmp_path / "data", clock) as server:
        yield server
