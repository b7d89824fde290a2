"""Finding text lines: by level, text, pattern and time, within bounds.

Patterns are RE2's: a search takes time in proportion to the line, whatever the pattern, so none can hang the
server. How many lines one request looks at is bounded too; a page then ends early and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2
from sqlalchemy import Connection

from rundial.server.problems import invalid
from rundial.server.store.budget import ANSWER_BYTES, Budget
from rundial.server.store.events import LineFilter, LineStore, StoredLine

Key = tuple[int, int]

MAX_SEEN: Final = 200_000
MAX_SEEK_S: Final = 2.0
MAX_PATTERN: Final = 1_000
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Found:
    """Lines of a page.

    Attributes:
        rows: In the order that was asked for.
        ended: (time, id) behind which the next page goes on; None when there is none.
        is_cut: Whether the page ended because it had looked at as many lines as it may.
    """

    rows: Sequence[StoredLine]
    ended: Key | None
    is_cut: bool = False


def matcher(text: str, pattern: str) -> Callable[[str], bool] | None:
    """What says whether a line is wanted; None when all are.

    Args:
        text: Part of the line, in letters of any case.
        pattern: RE2 pattern, found anywhere in the line; `(?i)` before it ignores case.

    Raises:
        Problem: 400, the pattern is none, or too large.
    """
    if len(pattern) > MAX_PATTERN:
        raise invalid(f"the pattern has {len(pattern):,} characters; it may have {MAX_PATTERN:,}")
    found = []
    if text:
        found.append(_compiled("(?i)" + re2.escape(text)))
    if pattern:
        found.append(_compiled(pattern))
    if not found:
        return None
    return lambda body: all(each.search(body) is not None for each in found)


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise invalid(
            f"the pattern cannot be used: {said[:200]}",
            "patterns are RE2's (github.com/google/re2/wiki/Syntax): no look-around, no back references",
        ) from error


def seek(  # noqa: PLR0913 -- a page has an order, a place, a size and bounds
    lines: LineStore,
    connection: Connection,
    run: int,
    wanted: LineFilter,
    matches: Callable[[str], bool] | None,
    *,
    after: Key | None,
    limit: int,
    is_newest_first: bool,
    monotonic_s: Callable[[], float],
    max_seen: int = MAX_SEEN,
) -> Found:
    """Return a page of lines.

    Args:
        lines: Where they are.
        connection: In a reading transaction.
        run: The run's row id.
        wanted: Levels and times.
        matches: Of `matcher`.
        after: Where the page before ended.
        limit: Most rows.
        is_newest_first: Their order.
        monotonic_s: The clock that the search is bounded by.
        max_seen: How many lines it may look at.
    """

    def page(after: Key | None, budget: Budget) -> Sequence[StoredLine]:
        return lines.page(
            connection, run, wanted, after=after, budget=budget, is_newest_first=is_newest_first
        )

    kept = Budget(ANSWER_BYTES, limit)
    if matches is None:
        rows = page(after, kept)
        return Found(rows, _key(rows[-1]) if kept.is_cut else None)
    found: list[StoredLine] = []
    seen, stop_s = 0, monotonic_s() + MAX_SEEK_S
    while seen < max_seen and monotonic_s() < stop_s:
        looked = Budget(ANSWER_BYTES, _AT_ONCE)
        rows = page(after, looked)
        for row in rows:
            if matches(row.body):
                if not kept.has_room(row.size()):
                    return Found(found, _key(found[-1]))
                found.append(row)
        if not looked.is_cut:
            return Found(found, None)
        seen += len(rows)
        after = _key(rows[-1])
    return Found(found, after, is_cut=True)


def _key(row: StoredLine) -> Key:
    return row.time_unix_ns, row.id
