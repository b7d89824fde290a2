"""What a tab that stays open costs the server."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support import otlp
from tests.support.server import LocalServer
from tests.web.browser import WORKSPACE

HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", {configurable: true, get: () => isHidden});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.parametrize("view", ["", "/runs/r", "/runs/r/logs"])
def test_a_hidden_tab_asks_for_nothing_and_a_shown_one_goes_on(
    page: Page, site: LocalServer, view: str
) -> None:
    """Hours in the background cost the server not one request, nor an open stream."""
    body = {"projectId": site.project_id(), "runId": "r", "runName": "r"}
    assert site.post("/api/v1/runs/start", body).status == 200
    assert site.export("metrics", otlp.curve("r", "loss", [1.0])).status == 200
    page.clock.install()
    page.goto(f"{WORKSPACE}/digits{view}")
    page.locator(".grid-row a, .chart canvas, .logs-view").first.wait_for()
    asked: list[str] = []
    page.on("request", lambda each: asked.append(each.url))
    page.evaluate(HIDE, True)
    page.clock.run_for(5_000)
    del asked[:]  # what was on its way when it was hidden
    page.clock.fast_forward("03:00:00")
    page.clock.run_for(60_000)

    assert asked == []
    with page.expect_request("**/api/v1/**"):
        page.evaluate(HIDE, False)
    expect(page.locator("main")).to_be_visible()
