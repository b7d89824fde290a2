"""The run table in a browser."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect
from sqlalchemy import Connection, insert, select

from rundial.server.store.tables import runs
from tests.support import otlp
from tests.support.server import LocalServer
from tests.web.browser import WORKSPACE

TABLE = f"{WORKSPACE}/digits"
# Scrolls on as the table grows, as a hand does.
SCROLL_DOWN = """each => new ResizeObserver(() => { each.scrollTop = each.scrollHeight; })
    .observe(each.querySelector(".grid-body"))"""


def begin(site: LocalServer, run: str, **more: Any) -> None:
    """Start a run."""
    body = {"projectId": site.project_id(), "runId": run, "runName": run, **more}
    assert site.post("/api/v1/runs/start", body).status == 200


def names(page: Page) -> list[str]:
    """The names of the runs that are shown, from the top."""
    return page.locator(".grid-row a").all_inner_texts()


def test_ten_thousand_runs_scroll_and_only_those_in_sight_are_drawn(page: Page, site: LocalServer) -> None:
    """The last of ten thousand runs is reached by scrolling; the page holds a screenful at a time."""
    begin(site, "newest")
    many_runs(site, 10_000)
    page.goto(TABLE)
    expect(page.locator(".grid-row a").first).to_be_visible()
    grid = page.get_by_role("table", name="Runs")
    grid.evaluate(SCROLL_DOWN)

    expect(page.get_by_role("link", name="many-00000")).to_be_visible()
    assert page.locator(".grid-row").count() < 100


def many_runs(site: LocalServer, count: int) -> None:
    """Put so many runs into the catalogue, like the one that is there, a second apart."""

    def write(connection: Connection) -> None:
        like = dict(connection.execute(select(runs)).one()._mapping)
        del like["id"]
        rows = []
        for number in range(count):
            name, ns = f"many-{number:05}", otlp.T0 + number * 10**9
            rows.append({**like, "run_id": name, "name": name, "started_unix_ns": ns, "updated_unix_ns": ns})
        connection.execute(insert(runs), rows)

    site.services.writer.submit(write).result(30)


def test_a_run_that_begins_appears_and_its_end_is_seen(page: Page, site: LocalServer) -> None:
    """The table is live: nobody reloads it."""
    begin(site, "first")
    page.goto(TABLE)
    expect(page.get_by_role("link", name="first")).to_be_visible()
    begin(site, "second")
    expect(page.get_by_role("link", name="second")).to_be_visible()
    row = page.locator('[data-run="second"]')
    expect(row).to_contain_text("running")
    site.post("/api/v1/runs/second/status", {"status": "completed", "projectId": site.project_id()})

    expect(row).to_contain_text("completed")


def test_filter_order_and_columns_are_in_the_address(page: Page, site: LocalServer) -> None:
    """What somebody sees is what a colleague sees who gets the link."""
    for number in range(5):
        begin(
            site,
            f"run-{number}",
            config={"lr": number / 10, "my key": "x"},
            tags=["odd"] if number % 2 else [],
        )
    page.goto(TABLE)
    page.get_by_role("button", name="+ Filter").click()
    page.get_by_label("Field", exact=True).fill("config.lr")
    page.get_by_label("Comparison").select_option(">=")
    page.get_by_label("Value", exact=True).fill("0.2")
    page.get_by_role("button", name="Add filter").click()
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="lr", exact=True).check()
    page.get_by_role("checkbox", name="my key", exact=True).check()
    page.keyboard.press("Escape")
    page.get_by_role("columnheader", name="lr").get_by_role("button").click()
    expect(page.get_by_role("columnheader", name="lr")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator(".grid-row a")).to_have_count(3)

    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".grid-row a")).to_have_count(3)
    assert names(other) == ["run-2", "run-3", "run-4"]
    expect(other.locator('[data-run="run-3"]')).to_contain_text("0.3")
    expect(other.locator('[data-run="run-3"]')).to_contain_text("x")
    other.get_by_role("button", name="Remove the filter config.lr >= 0.2").click()
    expect(other.locator(".grid-row a")).to_have_count(5)


def test_a_filter_that_cannot_be_read_says_where(page: Page, site: LocalServer) -> None:
    """The server's words stand beside the filter, and the text stays to be mended."""
    begin(site, "one")
    page.goto(f"{TABLE}?q=status%20%3D")

    expect(page.get_by_role("alert")).to_contain_text("the text ends where a value should be")
    page.get_by_role("button", name="Edit as text").click()
    page.get_by_label("Filter", exact=True).fill('status = "running"')
    expect(page.get_by_role("link", name="one")).to_be_visible()


def test_runs_are_tagged_archived_and_deleted_together(page: Page, site: LocalServer) -> None:
    """What is done to the selection is done to each of it, and nothing else; deleting asks first."""
    for name in ("a", "b", "c"):
        begin(site, name, tags=["old"])
    page.goto(TABLE)
    page.get_by_role("checkbox", name="Select a", exact=True).check()
    page.get_by_role("checkbox", name="Select b", exact=True).check()
    bulk = page.get_by_role("region", name="Selected runs")
    bulk.get_by_role("button", name="Tag").click()
    bulk.get_by_label("Tag", exact=True).fill("new")
    bulk.get_by_role("button", name="Add").click()
    expect(page.locator('[data-run="a"]')).to_contain_text("new")
    expect(page.locator('[data-run="b"]')).to_contain_text("old")
    expect(page.locator('[data-run="c"]')).not_to_contain_text("new")

    page.get_by_role("checkbox", name="Select a", exact=True).check()
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator('[data-run="a"]')).to_have_count(0)
    page.get_by_role("checkbox", name="Select b", exact=True).check()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator('[data-run="b"]')).to_have_count(1)
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator('[data-run="b"]')).to_have_count(0)

    page.get_by_role("button", name="Archived").click()
    expect(page.locator('[data-run="a"]')).to_be_visible()
    assert site.details("c")["runId"] == "c"


def test_runs_are_grouped_by_a_config_value(page: Page, site: LocalServer) -> None:
    """Each group has a line of its own that says how many are in it."""
    for number in range(4):
        begin(site, f"run-{number}", config={"depth": number % 2})
    page.goto(TABLE)
    page.get_by_label("Group by").select_option("config.depth")

    expect(page.locator(".grid-row.group")).to_have_count(2)
    expect(page.locator(".grid-row.group").first).to_contain_text("depth 0 2")


def test_small_curves_are_drawn_for_the_rows_in_sight(page: Page, site: LocalServer) -> None:
    """A column may be a curve."""
    begin(site, "curved")
    assert site.export("metrics", otlp.curve("curved", "loss", [3.0, 2.0, 1.0])).status == 200
    page.goto(f"{TABLE}?cols=status,spark.loss,summary.loss")

    expect(page.get_by_role("img", name="Curve of loss")).to_be_visible()
    expect(page.locator('[data-run="curved"]')).to_contain_text("1")
