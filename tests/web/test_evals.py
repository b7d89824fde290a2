"""Evaluations in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import LocalServer
from tests.web.browser import WORKSPACE
from tests.web.library import PLANTED, Library, is_unharmed

EVALS = f"{WORKSPACE}/digits/evals"
TRACE, SPAN = "ab" * 16, "cd" * 8


@pytest.fixture
def library(site: LocalServer) -> Iterator[Library]:
    """Puts evaluations into the project."""
    found = Library(site)
    yield found
    found.close()


def result(number: int, score: float, **more: Any) -> dict[str, Any]:
    """A result as programs send it."""
    return {
        "exampleId": f"case-{number:05}",
        "scorer": "exact",
        "score": score,
        "passed": score > 0.5,
        **more,
    }


def test_results_are_filtered_and_lead_to_their_spans(page: Page, library: Library) -> None:
    """The filter is in the address, and a result is one click from what was traced while it was made."""
    rows = [result(number, number % 2) for number in range(300)]
    rows[1] |= {"traceId": TRACE, "spanId": SPAN, "meta": {"answer": "forty-two"}}
    run = library.evaluate("qa", "eval_one", rows)
    page.goto(EVALS)
    page.get_by_role("table", name="Evaluation runs").get_by_role("link", name="qa").click()
    table = page.get_by_role("table", name="Results")
    expect(table).to_contain_text("case-00001")
    assert table.get_by_role("row").count() < 60
    page.get_by_label("Outcome").select_option("passed")
    expect(table.get_by_role("row").nth(1)).to_contain_text("case-00001")
    page.wait_for_url("**?outcome=passed")
    link = table.get_by_role("link", name="Trace of case-00001")
    expect(link).to_have_attribute("href", f"{WORKSPACE}/digits/runs/{run}/traces?trace={TRACE}&span={SPAN}")
    page.get_by_role("button", name="case-00001", exact=True).click()
    expect(page.get_by_role("dialog", name="case-00001")).to_contain_text("forty-two")
    page.keyboard.press("Escape")

    expect(page.get_by_role("region", name="Scorers")).to_contain_text("50 %")


def test_the_last_of_a_long_list_of_results_is_reached_by_scrolling(page: Page, library: Library) -> None:
    """Pages come as they are scrolled to."""
    library.evaluate("qa", "eval_one", [result(number, 1.0) for number in range(900)])
    page.goto(f"{EVALS}/eval_one")
    table = page.get_by_role("table", name="Results")
    expect(table).to_contain_text("case-00000")
    table.evaluate(
        """each => new ResizeObserver(() => { each.scrollTop = each.scrollHeight; })
            .observe(each.querySelector(".grid-body"))"""
    )

    expect(table).to_contain_text("case-00899")
    assert table.get_by_role("row").count() < 60


def test_two_runs_are_compared_with_regressions_first(page: Page, library: Library) -> None:
    """What got worse stands on top; one kind of change can be shown alone."""
    library.evaluate("qa", "eval_old", [result(1, 1.0), result(2, 0.0), result(3, 1.0), result(4, 1.0)])
    library.evaluate("qa", "eval_new", [result(1, 1.0), result(2, 1.0), result(3, 0.0), result(5, 1.0)])
    page.goto(EVALS)
    boxes = page.get_by_role("checkbox")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("button", name="Compare 2 of 2").click()
    page.wait_for_url("**/evals/eval_new/against/eval_old")
    rows = page.get_by_role("table", name="Changes").get_by_role("row")
    expect(rows).to_have_count(6)
    expect(rows.nth(1)).to_contain_text("regressed")
    expect(rows.nth(1)).to_contain_text("case-00003")
    page.get_by_role("button", name="1 improved").click()
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("+1")
    page.wait_for_url("**?status=improved")
    page.get_by_role("button", name="Swap").click()

    page.wait_for_url("**/evals/eval_old/against/eval_new")
    expect(rows.nth(1)).to_contain_text("case-00002")


def test_a_project_without_evaluations_says_how_they_come(page: Page, library: Library) -> None:
    """Nobody stands before an empty page."""
    page.goto(EVALS)

    expect(page.get_by_role("heading", name="Nothing was evaluated yet")).to_be_visible()


def test_nothing_that_is_planted_in_evaluations_runs(page: Page, library: Library) -> None:
    """Suites, examples, scorers and what results say: all are texts."""
    row = {"exampleId": PLANTED, "scorer": PLANTED, "score": 1.0, "meta": {PLANTED: PLANTED}}
    library.evaluate(PLANTED, "eval_one", [row])
    library.evaluate(PLANTED, "eval_two", [{**row, "score": 0.0}])
    page.goto(EVALS)
    expect(page.get_by_role("table", name="Evaluation runs")).to_contain_text(PLANTED)
    page.goto(f"{EVALS}/eval_one")
    expect(page.get_by_role("table", name="Results")).to_contain_text(PLANTED)
    page.get_by_role("button", name=PLANTED, exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(PLANTED)
    page.goto(f"{EVALS}/eval_two/against/eval_one")
    expect(page.get_by_role("table", name="Changes")).to_contain_text(PLANTED)

    assert is_unharmed(page)
