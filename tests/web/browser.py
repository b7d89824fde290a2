"""Debian's Chromium in a test's hands, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.server import LocalServer

WORKSPACE: Final = "/w/default-workspace"
TIMEOUT_MS: Final = 8_000
# What the browser says by itself when an answer is a refusal that the page expects.
_EXPECTED: Final = "Failed to load resource"


@dataclass
class Looks:
    """How a test's browser is.

    Attributes:
        width: Of the page, pixels.
        height: The same.
        scheme: What the system prefers.
    """

    width: int = 1440
    height: int = 900
    scheme: Literal["light", "dark"] = "light"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; skip, with the reason, where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed; on Debian: apt-get install chromium")
    # Chromium's sandbox cannot be made by root, as in most containers of a CI.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=options)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def opened(browser: Browser, site: LocalServer, looks: Looks) -> Iterator[Page]:
    """A tab of nobody; what its scripts fail with, or write to the console as errors, fails the test."""
    context = browser.new_context(
        base_url=site.url,
        viewport={"width": looks.width, "height": looks.height},
        color_scheme=looks.scheme,
        locale="en-GB",
    )
    context.set_default_timeout(TIMEOUT_MS)
    failures: list[str] = []
    tab = context.new_page()
    tab.on("pageerror", lambda error: failures.append(f"a script failed: {error}"))
    tab.on(
        "console",
        lambda message: (
            failures.append(message.text)
            if message.type == "error" and _EXPECTED not in message.text
            else None
        ),
    )
    try:
        yield tab
    finally:
        context.close()
    assert not failures, failures


@contextmanager
def signed_in(browser: Browser, site: LocalServer, looks: Looks) -> Iterator[Page]:
    """A tab of the owner, by the owner's key."""
    with opened(browser, site, looks) as tab:
        sign_in(tab.context, site.key)
        yield tab


def sign_in(context: BrowserContext, key: str) -> None:
    """Exchange a key for a session of the browser."""
    headers = {"authorization": f"Bearer {key}"}
    answer = context.request.post("/api/v1/auth/login/key", headers=headers, data={})
    assert answer.ok, answer.text()
