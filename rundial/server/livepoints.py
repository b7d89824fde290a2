"""What a stream of a run's points sends: which series grew since the last look, and by which points.

A look is one state of the catalog. It gives all points that were stored since the look before, or says of a
series that they are too many, or too far back in it, to be sent: then its reader reads the series anew.
So a reader that follows has what `query/series` would show it, however the points came.

Nothing is kept for a reader who takes his time: he gets what is new once he is back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from rundial.server.problems import invalid
from rundial.server.rows import NO_STEP
from rundial.server.store.events import Growth, NewPoint, PointStore
from rundial.server.store.tables import series

# Points of one event: some 40 bytes each.
MAX_POINTS: Final = 20_000
_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader is.

    Attributes:
        after: The number behind which points are new to it.
        points: How many points the series that it follows had there.
    """

    after: int
    points: int

    def __str__(self) -> str:
        """As `Last-Event-ID` has it."""
        return f"{self.after}-{self.points}"


def place_of(text: str) -> Place:
    """Read a `Last-Event-ID`.

    Raises:
        Problem: 400, it is none of this server's.
    """
    numbers = text.split("-")
    if len(numbers) == 2 and all(_is_number(each) for each in numbers):
        return Place(*map(int, numbers))
    raise invalid("Last-Event-ID is not one of this server's", "leave it out to begin with what comes next")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


@dataclass(frozen=True, slots=True)
class News:
    """What one look found.

    Attributes:
        rows: New points, in the order of their steps; series by series.
        lost: Series whose new points are not sent.
    """

    rows: Sequence[NewPoint] = ()
    lost: frozenset[int] = frozenset()


class Watch:
    """What one reader has been told of a run's series.

    Args:
        run: Row id of the run.
        names: Of these metrics alone; empty for all.
        place: Where the reader is; None where it begins with what comes next.
    """

    def __init__(self, run: int, names: Sequence[str], place: Place | None) -> None:
        self._run: Final = run
        self._names: Final = tuple(names)
        self._place = place
        # Points by series, as of the place; None while only their sum is known.
        self._counts: dict[int, int] | None = None
        # Series as the reader knows them: number in this stream, by row id.
        self._numbers: dict[int, int] = {}
        self._shown: dict[int, list[object]] = {}

    @property
    def place(self) -> Place:
        """Where the reader is, once `look` was called."""
        assert self._place is not None
        return self._place

    def look(self, points: PointStore, connection: Connection) -> News:
        """Find what is new and move on behind it; without a place, begin with what comes next."""
        before = self._place
        newest = _newest(connection, self._run)
        rows = self._series(connection, 0 if self._counts is None else self.place.after)
        counts = {**(self._counts or {}), **{row.id: row._mapping["count"] for row in rows}}
        found = News()
        if before is not None:
            grown = self._grown(rows, before)
            found = self._news(points, connection, grown, sum(counts.values()))
        self._counts, self._place = counts, Place(newest, sum(counts.values()))
        return found

    def told(self, found: News) -> dict[str, object]:
        """What an event says of news; it names each series when it first comes up."""
        known = len(self._numbers)
        rows = [
            [self._number(each.series), _step(each.step), each.time_unix_ns // _MS, each.value, each.attempt]
            for each in found.rows
        ]
        lost = sorted(self._number(each) for each in found.lost)
        new = [self._shown[each] for each, number in self._numbers.items() if number >= known]
        return {
            **({"series": new} if new else {}),
            **({"rows": rows} if rows else {}),
            **({"reread": lost} if lost else {}),
        }

    def _series(self, connection: Connection, after: int) -> Sequence[Any]:
        """The series with points behind a number; 0 for all."""
        query = select(series.c.id, series.c.name, series.c.attributes, series.c.count, series.c.accepted)
        query = query.where(series.c.run == self._run)
        if after:
            query = query.where(series.c.accepted > after)
        if self._names:
            query = query.where(series.c.name.in_(self._names))
        return connection.execute(query.order_by(series.c.name, series.c.id)).all()

    def _grown(self, rows: Sequence[Any], before: Place) -> list[Growth]:
        grown = []
        for row in rows:
            if row.accepted > before.after:
                self._shown.setdefault(row.id, [row.name, json.loads(row.attributes)])
                count = row._mapping["count"]
                new = None if self._counts is None else count - self._counts.get(row.id, 0)
                grown.append(Growth(row.id, new))
        return grown

    def _news(self, points: PointStore, connection: Connection, grown: Sequence[Growth], in_all: int) -> News:
        """The new points of series; of those that are not found whole, that they are lost."""
        if not grown:
            return News()
        found = points.since(connection, self._run, grown, self.place.after, MAX_POINTS)
        counted = Counter(each.series for each in found)
        if self._counts is None:
            is_whole = len(found) == in_all - self.place.points
            lost = frozenset() if is_whole else frozenset(each.series for each in grown)
        else:
            lost = frozenset(each.series for each in grown if counted[each.series] != each.new)
        rows = [each for each in found if each.series not in lost]
        return News(sorted(rows, key=lambda each: (each.series, each.step, each.time_unix_ns)), lost)

    def _number(self, series_id: int) -> int:
        """The number by which a series goes in this stream."""
        if series_id not in self._numbers:
            number = self._numbers[series_id] = len(self._numbers)
            self._shown[series_id].insert(0, number)
        return self._numbers[series_id]


def _newest(connection: Connection, run: int) -> int:
    """The greatest number of a run's points, or a greater one that none had yet."""
    query = select(func.max(series.c.accepted)).where(series.c.run == run)
    return int(connection.execute(query).scalar() or 0)


def _step(step: int) -> int | None:
    return None if step == NO_STEP else step
