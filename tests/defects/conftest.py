"""Fixtures: a scripted endpoint that knows the control API, and online runs against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.run import Run
from rundial.api.session import Session
from tests.support.collector import Collector
from tests.support.control import control
from tests.support.processes import own_parts


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An endpoint that takes everything; tests put their rules behind its first."""
    with Collector(rules=[control()]) as endpoint:
        yield endpoint


@pytest.fixture
def session() -> Iterator[Session]:
    """What a fresh process has; its runs end with the test."""
    with own_parts() as parts:
        yield parts


@pytest.fixture
def start(collector: Collector, session: Session, spool_dir: Path) -> Callable[..., Run]:
    """Make a run, online at the collector unless told otherwise; it waits briefly at its end."""

    def make(**arguments: Any) -> Run:
        settings = {
            "endpoint": collector.url,
            "api_key": "rdk_test",
            "spool_directory": spool_dir,
            "ring_bytes": 4 << 20,
            "finish_timeout_seconds": 0.5,
        }
        return rd.init(**{"project": "digits", **settings, **arguments})

    return make
