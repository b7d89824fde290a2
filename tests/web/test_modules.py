"""What the pages compute, asked of their modules in the browser."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from rundial.server.webfiles import web_files
from tests.support.server import LocalServer
from tests.web.browser import Looks, opened


@pytest.fixture
def page(browser: Browser, site: LocalServer, looks: Looks) -> Iterator[Page]:
    """A page whose import map is there; nobody needs to be signed in."""
    with opened(browser, site, looks) as tab:
        tab.goto("/sign-in")
        yield tab


def asked(page: Page, module: str, expression: str, given: Any) -> Any:
    """Evaluate an expression over `found`, a module, and `given`."""
    address = f"/assets/{web_files().digest}/{module}"
    return page.evaluate(
        f"async ([address, given]) => {{ const found = await import(address); return {expression}; }}",
        [address, given],
    )


def placed(page: Page, nodes: list[str], edges: list[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Where nodes of a graph stand."""
    given = {
        "nodes": [{"id": each, "kind": "run", "name": each} for each in nodes],
        "edges": [{"from": one, "to": other, "kind": "made"} for one, other in edges],
    }
    told = "[...found.laidOut(given.nodes, given.edges).placed].map(([id, { x, y }]) => [id, { x, y }])"
    return dict(asked(page, "views/artifacts/layout.js", told, given))


def test_data_goes_to_the_right_and_no_two_nodes_stand_in_one_place(page: Page) -> None:
    """A node stands behind everything that leads to it."""
    edges = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"), ("d", "e")]
    found = placed(page, ["e", "d", "c", "b", "a"], edges)

    assert all(found[one]["x"] < found[other]["x"] for one, other in edges)
    assert len({(each["x"], each["y"]) for each in found.values()}) == 5


def test_circles_and_long_chains_are_laid_out_too(page: Page) -> None:
    """A run that uses what it made, and two thousand steps one after another, hang nothing."""
    circle = placed(page, ["run", "model", "other"], [("run", "model"), ("model", "run"), ("model", "other")])
    names = [f"n{number}" for number in range(2_000)]
    chain = placed(page, names, list(pairwise(names)))

    assert len(circle) == 3
    assert circle["other"]["x"] > circle["model"]["x"]
    assert len({each["x"] for each in chain.values()}) == 2_000


def test_rows_of_a_table_are_sorted_with_missing_values_last_either_way(page: Page) -> None:
    """Numbers stand before texts; what was not finite is what it was."""
    said = {"columns": ["a"], "rows": [[2], [None], ["x"], [None], [1]], "nonFinite": [[3, 0, "-Infinity"]]}
    sort = "found.arranged(found.tableOf(given), '', { by: '0', order: '%s' })"
    up, down = (asked(page, "views/media/tablerows.js", sort % each, said) for each in ("asc", "desc"))

    assert (up, down) == ([3, 4, 0, 2, 1], [0, 4, 3, 2, 1])


def test_packed_numbers_of_plotly_are_read(page: Page) -> None:
    """Plotly 6 writes arrays as base64 of their bytes."""
    packed = {"dtype": "f8", "bdata": base64.b64encode(struct.pack("<3d", 1.5, 2.5, -1)).decode()}
    (trace,) = asked(
        page, "charts/plotly.js", "found.drawingOf(given).traces", {"data": [{"type": "bar", "y": packed}]}
    )

    assert (trace["form"], trace["x"], trace["y"]) == ("bars", [0, 1, 2], [1.5, 2.5, -1])


def test_histograms_with_edges_of_their_own_share_their_rows(page: Page) -> None:
    """Of each step's values every one is somewhere in the map."""
    given = [
        {"step": 0, "said": {"edges": [0, 1, 2], "counts": [3, 1]}},
        {"step": 9, "said": {"edges": [-4, 4], "counts": [8]}},
    ]
    told = """(({ least, most, cells }) =>
        ({ least, most, sums: cells.map((each) => each.reduce((sum, more) => sum + more)) }))(
        found.heatOf(given.map((each) => found.columnOf(each.step, each.said))))"""
    heat = asked(page, "charts/heat.js", told, given)

    assert (heat["least"], heat["most"]) == (-4, 4)
    assert heat["sums"] == pytest.approx([1, 1])
