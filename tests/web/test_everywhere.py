"""What holds in every view: nothing planted runs, nobody is kept out, nothing is wider than a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from rundial.clock import SystemClock
from tests.support.server import LocalServer
from tests.web.axe import serious
from tests.web.browser import WORKSPACE, Looks, opened, signed_in
from tests.web.everything import record
from tests.web.views import VIEWS

# Would run as markup, as an attribute, as a script, or as an address.
PLANTED = (
    """"'><img src=x onerror="window.planted=1"><script>window.planted=1</script>"""
    "javascript:window.planted=1"
)

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def full(site: LocalServer, tmp_path: Path) -> LocalServer:
    """The site with one of everything, plainly named."""
    record(site, tmp_path)
    return site


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[tuple[LocalServer, list[str]]]:
    """A server in which every name and text is a script, and the ids of two evaluations."""
    with LocalServer(tmp_path / "data", SystemClock()) as server:
        yield server, record(server, tmp_path, say=PLANTED)


def test_nothing_that_was_recorded_runs(
    browser: Browser, planted: tuple[LocalServer, list[str]], looks: Looks
) -> None:
    """Scripts in names, keys, lines, cells, attributes, messages and files are texts, wherever shown."""
    site, evaluations = planted
    with signed_in(browser, site, looks) as tab:
        refused: list[str] = []
        tab.on(
            "console",
            lambda each: refused.append(each.text) if "Content Security Policy" in each.text else None,
        )
        for address, there in VIEWS.values():
            tab.goto(address)
            tab.locator(there).first.wait_for()
            if "traces" in address:
                for number in range(tab.locator(".waterfall-row button.plain").count()):
                    tab.locator(".waterfall-row button.plain").nth(number).click()
            if address.endswith("/digits/artifacts"):
                tab.locator(".grid-body a").first.click()
                tab.locator("main svg").first.wait_for()
            if "settings" not in address and address != WORKSPACE:
                assert "window.planted" in tab.locator("main").inner_text(), f"{address} shows none of it"
            assert tab.evaluate("window.planted === undefined"), address
            assert tab.locator("img[src='x']").count() == 0, address
        before, after = evaluations
        tab.goto(f"{WORKSPACE}/digits/evals/{after}/against/{before}")
        tab.get_by_role("row").nth(1).wait_for()

        assert tab.evaluate("window.planted === undefined")
        assert refused == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, full: LocalServer, scheme: str) -> None:
    """Names, contrast, roles and order are such that anybody can use every view, in both themes."""
    looks = Looks(scheme="dark" if scheme == "dark" else "light")
    found = {}
    with opened(browser, full, looks) as tab:
        tab.goto("/sign-in")
        tab.get_by_role("button", name="Sign in").wait_for()
        found["sign-in"] = serious(tab)
    with signed_in(browser, full, looks) as tab:
        for name, (address, there) in VIEWS.items():
            tab.goto(address)
            tab.locator(there).first.wait_for()
            found[name] = serious(tab)

    assert {name: each for name, each in found.items() if each} == {}


def test_axe_finds_what_is_wrong(page: Page) -> None:
    """The test above looks with open eyes."""
    page.goto(WORKSPACE)
    page.get_by_role("heading", name="No run has come yet").wait_for()
    page.evaluate("document.querySelector('main').append(document.createElement('img'))")

    assert [each["id"] for each in serious(page)] == ["image-alt"]


def test_views_are_readable_on_a_phone(browser: Browser, full: LocalServer) -> None:
    """At 360 pixels nothing has to be scrolled sideways but tables in their own boxes."""
    wide = {}
    with signed_in(browser, full, Looks(width=360, height=740)) as tab:
        for name, (address, there) in VIEWS.items():
            tab.goto(address)
            tab.locator(there).first.wait_for()
            wide[name] = tab.evaluate("document.documentElement.scrollWidth")

    assert {name: each for name, each in wide.items() if each > 360} == {}


def test_keys_lead_through_the_page(page: Page, full: LocalServer) -> None:
    """Search, rows, opening, selecting and the list of keys without a pointer."""
    page.goto(f"{WORKSPACE}/digits")
    page.locator(".grid-row a").first.wait_for()
    page.keyboard.press("/")
    expect(page.get_by_label("Search runs by name")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".grid-row a").nth(1)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.get_by_role("region", name="Selected runs")).to_contain_text("1 selected")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("show these keys")
    page.keyboard.press("Escape")
    page.locator(".grid-row a").first.focus()
    page.keyboard.press("Enter")

    page.wait_for_url("**/runs/*")
