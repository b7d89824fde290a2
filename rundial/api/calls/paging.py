"""From pages to rows: follows a listing's cursor to its end, a page at a time, only as far as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rundial.errors import RundialRequestError


def rows_of(found: Mapping[str, Any], name: str, endpoint: str) -> list[dict[str, Any]]:
    """Return the list of objects that an answer holds.

    Raises:
        RundialRequestError: The answer has no such list.
    """
    rows = found.get(name)
    if not isinstance(rows, list):
        raise RundialRequestError(f"the answer of {endpoint} lacks {name!r}. Upgrade the server", 200)
    return [row for row in rows if isinstance(row, dict)]


def cursor_of(found: Mapping[str, Any]) -> str | None:
    """Return where the next page begins, None when this was the last."""
    page = found.get("page")
    if not isinstance(page, dict) or not page.get("hasMore"):
        return None
    cursor = page.get("nextCursor")
    return cursor if isinstance(cursor, str) and cursor else None


def pages(
    fetch: Callable[[str | None], Mapping[str, Any]], *, max_pages: int | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield page after page.

    Args:
        fetch: Asks for the page at a cursor; None is the first.
        max_pages: Ends after so many; None ends with the listing.

    Raises:
        RundialRequestError: Of `fetch`; or the server repeats itself and would never come to an end.
    """
    cursor: str | None = None
    number = 0
    while max_pages is None or number < max_pages:
        found = fetch(cursor)
        yield found
        number += 1
        following = cursor_of(found)
        if following is None:
            return
        if following == cursor and max_pages is None:
            raise RundialRequestError(
                f"the listing came to no end: page {number} has the cursor of the page before it. "
                "Upgrade the server",
                200,
            )
        cursor = following
