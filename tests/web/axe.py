"""axe-core in a page: what keeps somebody from using it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.web.tools.npm import MODULES

_RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter((each) => each.impact === "serious" || each.impact === "critical")
    .map((each) => ({id: each.id, nodes: each.nodes.slice(0, 4).map((node) =>
        node.html.slice(0, 160) + " " + node.any.map((one) => one.message).join(" "))}))"""


def serious(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds serious or critical in the page as it is."""
    page.evaluate((MODULES / "axe-core" / "axe.min.js").read_text())
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    return found
