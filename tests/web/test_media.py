"""Media of a run in a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import LocalServer
from tests.web.browser import WORKSPACE
from tests.web.library import PLANTED, Library, is_unharmed

MEDIA = f"{WORKSPACE}/digits/runs/run/media"
# A page that would do everything a page can do.
PAGE = """<h1>Report</h1><script>document.body.append("script ran")</script>
<img src="{url}/api/v1/workspaces" onerror="document.body.append('handler ran')">"""


@pytest.fixture
def library(site: LocalServer) -> Iterator[Library]:
    """Puts media into the project."""
    found = Library(site)
    yield found
    found.close()


def test_pictures_are_shown_by_step_and_the_step_is_in_the_address(page: Page, library: Library) -> None:
    """The slider moves every key to what it showed last up to the step; a colleague sees the same."""
    for step in (0, 10, 20):
        for number in range(3):
            library.image("run", "samples", step, shade=step + number, caption=f"digit {number} at {step}")
    library.image("run", "rare", 5, shade=99, caption="only once")
    page.goto(MEDIA)
    samples = page.get_by_role("region", name="image samples")
    expect(samples.get_by_role("img")).to_have_count(3)
    expect(samples).to_contain_text("digit 2 at 20")
    page.get_by_role("button", name="The step before").click()
    expect(samples).to_contain_text("digit 2 at 10")
    page.get_by_label("Step", exact=True).fill("7")
    expect(samples).to_contain_text("digit 2 at 0")
    page.wait_for_url("**/media?step=7")
    expect(page.get_by_role("region", name="image rare")).to_contain_text("only once")

    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("region", name="image samples")).to_contain_text("digit 2 at 0")
    width = other.get_by_role("img", name="digit 2 at 0").evaluate("each => each.naturalWidth")
    assert width == 64


def test_a_picture_is_enlarged_and_closed_by_escape(page: Page, library: Library) -> None:
    """The window names what is known of it, and the keyboard leads back."""
    library.image("run", "samples", 3, caption="a seven", metadata={"epoch": {"number": 2}})
    page.goto(MEDIA)
    page.get_by_role("button", name="Enlarge a seven").click()
    window = page.get_by_role("dialog", name="samples")
    expect(window).to_contain_text("a seven")
    expect(window).to_contain_text("epoch.number")
    page.keyboard.press("Escape")

    expect(window).to_have_count(0)
    expect(page.get_by_role("button", name="Enlarge a seven")).to_be_focused()


def test_a_picture_whose_bytes_are_on_their_way_is_said(page: Page, library: Library) -> None:
    """Telemetry may be faster than an upload: nothing looks broken meanwhile."""
    library.show_row("run", "samples", "image", 1, "0" * 64, path="image.png")
    page.goto(MEDIA)

    expect(page.get_by_role("region", name="image samples")).to_contain_text("have not arrived yet")


def test_a_run_without_media_says_how_they_come(page: Page, library: Library) -> None:
    """Nobody stands before an empty page."""
    library.site.post("/api/v1/runs/start", {"projectId": library.project_id, "runId": "run"})
    page.goto(MEDIA)

    expect(page.get_by_role("heading", name="Nothing was shown yet")).to_be_visible()


def test_a_table_of_ten_thousand_rows_is_sorted_searched_and_read_at_length(
    page: Page, library: Library
) -> None:
    """Only rows in sight are drawn; order and search are in the address."""
    rows = [[number, f"label {number % 7}", number / 3 if number % 2 else None] for number in range(10_000)]
    library.table("run", "predictions", 1, ["id", "label", "score"], rows)
    page.goto(MEDIA)
    table = page.get_by_role("table", name="predictions")
    expect(table).to_have_attribute("aria-rowcount", "10001")
    assert table.get_by_role("row").count() < 60
    table.get_by_role("columnheader", name="score").get_by_role("button").click()
    table.get_by_role("columnheader", name="score").get_by_role("button").click()
    expect(table.get_by_role("row").nth(1)).to_contain_text("9,999")
    page.get_by_label("Search the rows of predictions").fill("label 3")
    expect(page.get_by_text("1,429 of 10,000 rows")).to_be_visible()

    other = page.context.new_page()
    other.goto(page.url)
    first = other.get_by_role("table", name="predictions").get_by_role("row").nth(1)
    expect(first).to_contain_text("label 3")
    first.get_by_role("button").click()
    expect(other.get_by_role("dialog")).to_contain_text("label 3")


def test_histograms_are_a_map_over_steps_and_bars_at_one(page: Page, library: Library) -> None:
    """A click into the map goes to its step."""
    for step in range(0, 50, 10):
        counts = [1 + (number + step // 10) % 8 for number in range(16)]
        library.histogram("run", "weights", step, counts, [number / 4 - 2 for number in range(17)])
    page.goto(MEDIA)
    heat = page.get_by_role("img", name="Histograms of weights: 5 steps from 0 to 40")
    expect(heat).to_be_visible()
    expect(page.get_by_role("img", name="Histogram of weights, step 40")).to_be_visible()
    heat.click(position={"x": 5, "y": 50})

    expect(page.get_by_role("img", name="Histogram of weights, step 0")).to_be_visible()


def test_a_plotly_figure_is_drawn_and_what_is_not_drawn_is_said(page: Page, library: Library) -> None:
    """Curves, points, bars and cells are drawn; a surface is named, and its JSON can be taken along."""
    figure = {
        "data": [
            {"type": "scatter", "name": "loss", "x": [1, 2, 3], "y": [3.0, 2.0, None], "mode": "lines"},
            {"type": "bar", "name": "count", "x": ["a", "b", "c"], "y": [1, 2, 3]},
            {"type": "surface", "z": [[1]]},
        ],
        "layout": {"title": {"text": "By class"}, "xaxis": {"title": {"text": "class"}}},
    }
    library.show(
        "run",
        "plot",
        "figure",
        0,
        json.dumps(figure).encode(),
        path="figure.plotly.json",
        contentType="application/vnd.plotly.v1+json",
    )
    page.goto(MEDIA)
    shelf = page.get_by_role("region", name="figure plot")
    expect(shelf.get_by_role("img", name="Figure plot")).to_be_visible()
    expect(shelf).to_contain_text("By class")
    expect(shelf).to_contain_text("Not drawn here: traces of the type surface.")
    with page.expect_download() as taken:
        shelf.get_by_role("link", name="Download").click()

    assert json.loads(taken.value.path().read_text()) == figure


def test_a_logged_page_is_shown_in_a_frame_that_may_do_nothing(page: Page, library: Library) -> None:
    """Its words are there; no script, no handler and no request with the visitor's rights is."""
    body = PAGE.format(url=library.site.url) + PLANTED
    library.show("run", "report", "html", 0, body.encode(), path="report.html", contentType="text/html")
    # A tab whose console is not watched: the browser says there what it does not let the frame do.
    tab, asked = page.context.new_page(), []
    tab.on("response", lambda answer: asked.append((answer.status, answer.url)))
    tab.goto(MEDIA)
    expect(tab.locator("iframe")).to_have_attribute("sandbox", "")
    inside = tab.frame_locator("iframe[title=report]")
    expect(inside.get_by_role("heading", name="Report")).to_be_visible()

    expect(inside.locator("body")).not_to_contain_text("ran")
    assert is_unharmed(tab)
    assert (200, f"{library.site.url}/api/v1/workspaces") not in asked


def test_nothing_that_is_planted_in_media_runs(page: Page, library: Library) -> None:
    """Keys, captions, metadata, columns, cells, titles of figures: all are texts."""
    library.image("run", PLANTED, 0, caption=PLANTED, metadata={PLANTED: PLANTED})
    library.table("run", f"table {PLANTED}", 0, [PLANTED, "b"], [[PLANTED, 1], [None, 2]])
    figure = {
        "data": [{"name": PLANTED, "x": [PLANTED, "b"], "y": [1, 2]}, {"type": PLANTED}, {"y": [1]}],
        "layout": {"title": PLANTED, "xaxis": {"title": PLANTED}, "yaxis": {"title": PLANTED}},
    }
    body = json.dumps(figure).encode()
    library.show("run", f"figure {PLANTED}", "figure", 0, body, path="f.json", contentType="application/json")
    library.show("run", "other", PLANTED, 0, b"x", path=f"{PLANTED}.bin", contentType="text/plain")
    page.goto(MEDIA)
    expect(page.get_by_role("region")).to_have_count(4)
    expect(page.get_by_role("table", name=f"table {PLANTED}").get_by_role("row")).to_have_count(3)
    expect(page.locator(".drawing")).to_contain_text(PLANTED)
    page.get_by_role("button", name=f"Enlarge {PLANTED}").click()
    expect(page.get_by_role("dialog")).to_contain_text(PLANTED)

    assert is_unharmed(page)
