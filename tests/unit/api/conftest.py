"""Fixtures of the run's tests: an offline run, and what it has put on disk."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.run import Run
from tests.support import recorded
from tests.support.processes import own_parts
from tests.support.recorded import Recorded


@pytest.fixture
def start(spool_dir: Path) -> Iterator[Callable[..., Run]]:
    """Make a run, offline unless told otherwise; each test's runs share parts of their own."""

    def make(**arguments: Any) -> Run:
        settings = {"mode": "offline", "spool_directory": spool_dir, "ring_bytes": 1 << 20}
        return rd.init(**{"project": "digits", **settings, **arguments})

    with own_parts():
        yield make


@pytest.fixture
def run(start: Callable[..., Run]) -> Run:
    """An offline run."""
    return start()


@pytest.fixture
def read(spool_dir: Path) -> Callable[[Run], Recorded]:
    """Bring a run's records to disk and read everything that lies there."""

    def seal_and_read(run: Run) -> Recorded:
        assert run.flush(10)
        return recorded.read(spool_dir)

    return seal_and_read


@pytest.fixture
def told() -> Iterator[list[warnings.WarningMessage]]:
    """The warnings that the test's program has been shown, as they come."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        yield shown
