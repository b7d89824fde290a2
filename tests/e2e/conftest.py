"""Fixtures of whole programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import companions
from tests.support.account import Account, opened
from tests.support.program import ServerProgram
from tests.support.published import PublishedClient, interpreter


@pytest.fixture(scope="session")
def python(request: pytest.FixtureRequest) -> Path:
    """Its interpreter; installed at the first use and kept beside pytest's cache."""
    assert request.config.cache is not None
    return interpreter(request.config.cache.mkdir("published-client"))


@pytest.fixture
def published(python: Path, server: ServerProgram, tmp_path: Path) -> PublishedClient:
    """It, with the owner's key of the test's server."""
    place = tmp_path / "published"
    place.mkdir()
    return PublishedClient(python, place, server.url, server.key)


@pytest.fixture(scope="session")
def companion_python(request: pytest.FixtureRequest) -> Path:
    """The interpreter beside which other tracers live; installed at the first use."""
    assert request.config.cache is not None
    return companions.interpreter(request.config.cache.mkdir("companions"))


@pytest.fixture
def beside(companion_python: Path, tmp_path: Path) -> companions.Companions:
    """Programs that run instrumentations and other tracers beside Rundial."""
    place = tmp_path / "beside"
    place.mkdir()
    return companions.Companions(companion_python, place)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account whose server holds one completed run."""
    with opened(tmp_path_factory.mktemp("account")) as found:
        yield found
