"""The pytest plugin: two fixtures. Importing it imports nothing else of Rundial."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rundial.api.run import Run
    from rundial.testing.recorded import Recorded


@pytest.fixture
def rundial_recorded(tmp_path: Path) -> Iterator[Recorded]:
    """What the runs of this test record; every run that begins in it is offline, strict and of its own.

    Whatever the code under test gives to `rundial.init`, nothing leaves the machine and nothing is
    written outside the test's `tmp_path`. Runs that are open at the end are finished.
    """
    from rundial.testing.ids import IncrementalIds
    from rundial.testing.isolation import recording

    with recording(tmp_path / "rundial", ids=IncrementalIds()) as recorded:
        yield recorded


@pytest.fixture
def rundial_run(rundial_recorded: Recorded, request: pytest.FixtureRequest) -> Run:
    """A run to hand to the code under test, named after the test; see `rundial_recorded`."""
    import rundial

    del rundial_recorded
    return rundial.init(name=request.node.name)
