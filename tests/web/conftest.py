"""A browser, a server on the machine's own clock, and pages of somebody who is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from rundial.clock import SystemClock
from tests.support.server import LocalServer
from tests.web.browser import TIMEOUT_MS, Looks, chromium, signed_in


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for the tests of a module; each test has a context of its own.

    Not longer: while it lives, an event loop runs in the worker's main thread, where other tests want one.
    """
    expect.set_options(timeout=TIMEOUT_MS)
    with chromium() as found:
        yield found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[LocalServer]:
    """A real server with an empty data directory."""
    with LocalServer(tmp_path / "data", SystemClock()) as server:
        yield server


@pytest.fixture
def looks() -> Looks:
    """How the browser of a test is: its size, its theme."""
    return Looks()


@pytest.fixture
def page(browser: Browser, site: LocalServer, looks: Looks) -> Iterator[Page]:
    """A tab of the owner, signed in; a script that fails, or an error in the console, fails the test."""
    with signed_in(browser, site, looks) as tab:
        yield tab
