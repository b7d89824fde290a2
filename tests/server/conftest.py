"""A server of the test's own, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.server import LocalServer


@pytest.fixture
def local(tmp_path: Path, clock: ManualClock) -> Iterator[LocalServer]:
    """A real server in this process, with an empty data directory."""
    with LocalServer(tmp_path / "data", clock) as server:
        yield server
