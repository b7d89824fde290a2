"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.numbered import Victims


@pytest.fixture
def victims() -> Iterator[Victims]:
    """Programs to kill."""
    with Victims() as programs:
        yield programs
