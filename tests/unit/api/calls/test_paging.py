"""Following a listing's cursor, without a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rundial.api.calls import paging
from rundial.errors import RundialRequestError


def listing(*pages: list[int]) -> tuple[Callable[[str | None], Mapping[str, Any]], list[str | None]]:
    """A server's pages, and the cursors that were asked for."""
    asked: list[str | None] = []

    def fetch(cursor: str | None) -> Mapping[str, Any]:
        asked.append(cursor)
        number = int(cursor or 0)
        is_more = number + 1 < len(pages)
        page = {"hasMore": is_more, "nextCursor": str(number + 1) if is_more else None}
        return {"rows": [{"n": each} for each in pages[number]], "page": page}

    return fetch, asked


def test_pages_come_in_order_to_the_end() -> None:
    """Each page is asked for once, an empty one among them ends nothing."""
    fetch, asked = listing([1, 2], [], [3])

    assert [row["n"] for page in paging.pages(fetch) for row in page["rows"]] == [1, 2, 3]
    assert asked == [None, "1", "2"]


def test_pages_are_asked_for_as_they_are_read() -> None:
    """Who stops reading stops asking."""
    fetch, asked = listing([1], [2], [3])
    pages = paging.pages(fetch)
    next(pages)

    assert asked == [None]


def test_a_bound_on_pages_is_kept() -> None:
    """No more pages are asked for than the caller allows, also when there are more."""
    fetch, asked = listing([1], [2], [3])

    assert len(list(paging.pages(fetch, max_pages=2))) == 2
    assert asked == [None, "1"]


def test_a_server_that_repeats_itself_is_an_error_and_no_endless_loop() -> None:
    """A listing without an end is said to be one."""
    page = {"rows": [], "page": {"hasMore": True, "nextCursor": "same"}}

    with pytest.raises(RundialRequestError, match="no end"):
        list(paging.pages(lambda _: page))


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"page": None},
        {"page": {"hasMore": False, "nextCursor": "x"}},
        {"page": {"hasMore": True}},
        {"page": {"hasMore": True, "nextCursor": 7}},
    ],
)
def test_a_page_that_names_no_next_one_is_the_last(page: dict[str, Any]) -> None:
    """Whatever an old server leaves out, a listing ends."""
    assert paging.cursor_of(page) is None


def test_an_answer_without_its_list_names_what_is_missing() -> None:
    """An answer of another shape is an error that says so, not a KeyError later."""
    with pytest.raises(RundialRequestError, match="'runs'"):
        paging.rows_of({"other": []}, "runs", "http://server")
