"""Points in ClickHouse.

Whether a point is new is known before it is inserted, since the summaries in the catalog count new ones
alone. A process's points of a series come with ascending times, so nearly always the newest time that is
stored tells; only what does not follow it is looked up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from operator import lt
from typing import Any, Final

from sqlalchemy import Connection, select

from rundial.server.curves import Curve
from rundial.server.rows import NO_STEP, SeriesBlock
from rundial.server.store.clickhouse.buckets import SHOWN, fitting_buckets
from rundial.server.store.clickhouse.connection import ClickHouse
from rundial.server.store.clickhouse.group import Group, PointBlock
from rundial.server.store.clickhouse.mark import seen_by
from rundial.server.store.events import Growth, NewPoint, Sender, Steps, StoredPoint
from rundial.server.store.inserts import fold_news
from rundial.server.store.parts import END_OF_STEPS, Part, Span, fitted, within
from rundial.server.store.sqlpoints import SYSTEM, exported, senders_of, series_of
from rundial.server.store.tables import series

_MAX_CACHED: Final = 200_000
# As many as are named in one query.
_SERIES_AT_ONCE: Final = 1_000
_KEYS_AT_ONCE: Final = 5_000
_ROWS_AT_ONCE: Final = 50_000
# So many points are read faster than their buckets are asked for.
_FEW: Final = 4_096

_NEWEST: Final = """
SELECT series, max(time_unix_ns) FROM points
WHERE series IN {series:Array(Int64)} AND instance = {instance:Int64} AND n <= {mark:Int64}
GROUP BY series
"""
_KNOWN: Final = """
SELECT series, step, time_unix_ns FROM points
WHERE (series, step, instance, time_unix_ns) IN {keys:Array(Tuple(Int64, Int64, Int64, Int64))}
AND n <= {mark:Int64}
"""
_STEPLESS: Final = """
SELECT step, time_unix_ns, value FROM points FINAL
WHERE series = {series:Int64} AND step = -1 AND n <= {mark:Int64}
ORDER BY time_unix_ns, value
"""
_PAGE: Final = """
SELECT series, step, instance, time_unix_ns, value FROM points FINAL
WHERE series IN {series:Array(Int64)} AND time_unix_ns BETWEEN {start:Int64} AND {end:Int64}
AND n <= {mark:Int64} AND (series > {s:Int64} OR step >= {p:Int64})
AND (series, step, instance, time_unix_ns) > ({s:Int64}, {p:Int64}, {i:Int64}, {t:Int64})
ORDER BY series, step, instance, time_unix_ns LIMIT {limit:Int64}
"""
_HIGHEST: Final = """
SELECT series, max(step) FROM points
WHERE series IN {series:Array(Int64)} AND attempt < {attempt:Int64} AND n <= {mark:Int64}
GROUP BY series
"""
_SINCE: Final = """
SELECT series, step, time_unix_ns, value, attempt FROM points
WHERE series IN {series:Array(Int64)} AND n > {after:Int64} AND n <= {mark:Int64}
ORDER BY n LIMIT {limit:Int64}
"""
_DELETE: Final = "DELETE FROM points WHERE series IN {series:Array(Int64)}"
_BEFORE_ALL: Final = (0, -2, 0, 0)

Key = tuple[int, int, int, int]


class ClickHousePoints:
    """The table `points`."""

    def __init__(self, database: ClickHouse, group: Group) -> None:
        self._database: Final = database
        self._group: Final = group
        # Newest time by series and instance.
        self._newest: dict[tuple[int, int], int] = {}

    def forget(self) -> None:
        """Drop what is remembered of stored rows."""
        self._newest.clear()

    def insert(
        self, connection: Connection, sender: Sender, ids: list[int], blocks: list[SeriesBlock]
    ) -> int:
        """Add points; returns how many were new."""
        self._group.ready(connection)
        fresh = self._fresh(connection, sender, ids, blocks)
        for series_id, block in zip(ids, fresh, strict=True):
            if block.steps:
                first = self._group.number_points(len(block.steps))
                self._group.points.append(
                    PointBlock(series_id, sender, block.steps, block.times, block.values, first)
                )
                key = series_id, sender.instance
                self._newest[key] = max(self._newest[key], max(block.times))
        fold_news(connection, ids, fresh, sender.attempt, accepted=self._group.numbers.points)
        return sum(len(block.steps) for block in fresh)

    def stepless(self, connection: Connection, series_id: int) -> Curve:
        """Each point without a step, in the order of their times."""
        return self._curve(connection, _STEPLESS, series=series_id)

    def stepped(
        self, connection: Connection, series_id: int, low: int = 0, high: int = END_OF_STEPS
    ) -> Curve:
        """What each step shows, from one step to another, both inclusive."""
        bounds = {"low": max(0, low), "high": min(high, END_OF_STEPS)}
        return self._curve(connection, SHOWN, series=series_id, **bounds)

    def part(self, connection: Connection, series_id: int, count: int, span: Span, most: int) -> Part:
        """What the steps of a range show, in at most so many buckets."""
        if count > _FEW:
            seen = seen_by(connection, "points")
            buckets = fitting_buckets(self._database, series_id, span, most, seen)
            if buckets is not None:
                return Part(buckets, None)
        points = within(self.stepped(connection, series_id, span.low, span.high), span)
        return Part(fitted(points, most), points)

    def page(
        self,
        connection: Connection,
        run: int,
        names: Sequence[str],
        *,
        times: tuple[int, int],
        after: Key | None,
        limit: int,
    ) -> Sequence[StoredPoint]:
        """Every stored point of a run, in the order of the sorting key."""
        senders = senders_of(connection, run)
        known = {each.id: each for each in series_of(connection, run, names)}
        after = after or _BEFORE_ALL
        ids = sorted(each for each in known if each >= after[0])
        found: list[StoredPoint] = []
        for some in _chunks(ids, _SERIES_AT_ONCE):
            for row in self._page(connection, some, times, after, limit - len(found)):
                each = known[row[0]]
                found.append(StoredPoint._make((*row, each.name, each.attributes, *senders[row[2]])))
            if len(found) == limit:
                break
        return found

    def rows(
        self, connection: Connection, run: int, names: Sequence[str], times: tuple[int, int]
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield every stored point of a run, series by series."""
        senders = senders_of(connection, run)
        for some in _gathered(series_of(connection, run, names)):
            by_id: dict[int, list[tuple[Any, ...]]] = {each.id: [] for each in some}
            after = _BEFORE_ALL
            while rows := self._page(connection, sorted(by_id), times, after, _ROWS_AT_ONCE):
                for row in rows:
                    by_id[row[0]].append(row[1:])
                after = rows[-1][:4]
                if len(some) == 1:
                    # One long series: its rows are in their order, and too many to be held at once.
                    yield [exported(some[0], row[1:], senders) for row in rows]
                    by_id[some[0].id].clear()
                if len(rows) < _ROWS_AT_ONCE:
                    break
            for each in some:
                if by_id[each.id]:
                    yield [exported(each, row, senders) for row in by_id[each.id]]

    def steps_before(self, connection: Connection, run: int, attempt: int) -> Steps:
        """The highest steps of a run's earlier attempts."""
        if attempt <= 1:
            return Steps()
        names = {each.id: each.name for each in series_of(connection, run, ())}
        highest: dict[bool, int] = {}
        seen = seen_by(connection, "points")
        for some in _chunks(list(names), _SERIES_AT_ONCE):
            for series_id, step in self._database.rows(_HIGHEST, seen, series=some, attempt=attempt):
                is_system = names[series_id].startswith(SYSTEM)
                highest[is_system] = max(step, highest.get(is_system, NO_STEP))
        shown = {name: step for name, step in highest.items() if step >= 0}
        return Steps(user=shown.get(False), system=shown.get(True))

    def since(
        self, connection: Connection, run: int, grown: Sequence[Growth], after: int, most: int
    ) -> Sequence[NewPoint]:
        """Points of some series that are numbered behind `after`, in the order of their numbers."""
        del run
        found: list[NewPoint] = []
        seen = seen_by(connection, "points")
        for some in _chunks([each.series for each in grown], _SERIES_AT_ONCE):
            rows = self._database.rows(_SINCE, seen, series=some, after=after, limit=most - len(found))
            found.extend(map(NewPoint._make, rows))
        return found

    def clear(self, connection: Connection, run: int) -> None:
        """Delete a run's points."""
        query = select(series.c.id).where(series.c.run == run).order_by(series.c.id)
        for some in _chunks(list(connection.execute(query).scalars()), _SERIES_AT_ONCE):
            self._database.command(_DELETE, series=some)

    def _curve(self, connection: Connection, sql: str, **given: object) -> Curve:
        found = Curve()
        columns = self._database.columns(sql, seen_by(connection, "points"), **given)
        if columns:
            found.extend(*columns)
        return found

    def _page(
        self, connection: Connection, ids: Sequence[int], times: tuple[int, int], after: Key, limit: int
    ) -> Sequence[tuple[Any, ...]]:
        place = dict(zip("spit", after, strict=True))
        bounds = {"start": times[0], "end": times[1], "limit": limit}
        seen = seen_by(connection, "points")
        return self._database.rows(_PAGE, seen, series=ids, **place, **bounds)

    def _fresh(
        self, connection: Connection, sender: Sender, ids: list[int], blocks: list[SeriesBlock]
    ) -> list[SeriesBlock]:
        """The blocks without the points that are there already."""
        self._learn(connection, sender, ids)
        doubtful = [
            (series_id, block)
            for series_id, block in zip(ids, blocks, strict=True)
            if not _follows(self._newest[series_id, sender.instance], block.times)
        ]
        # A series may be in a request under two units, and what follows alone may not follow that.
        doubtful_ids = {series_id for series_id, _ in doubtful}
        doubtful_ids |= {series_id for series_id, times in Counter(ids).items() if times > 1}
        if not doubtful_ids:
            return blocks
        doubtful = [pair for pair in zip(ids, blocks, strict=True) if pair[0] in doubtful_ids]
        seen = self._known(connection, sender, doubtful)
        return [
            _unseen(series_id, block, seen) if series_id in doubtful_ids else block
            for series_id, block in zip(ids, blocks, strict=True)
        ]

    def _learn(self, connection: Connection, sender: Sender, ids: list[int]) -> None:
        """Find the newest time of each series that nothing is remembered of."""
        if len(self._newest) > _MAX_CACHED:
            self._newest.clear()
        unknown = list({each for each in ids if (each, sender.instance) not in self._newest})
        if not unknown:
            return
        newest = dict.fromkeys(unknown, 0)
        seen = seen_by(connection, "points")
        for some in _chunks(unknown, _SERIES_AT_ONCE):
            given = {"series": some, "instance": sender.instance}
            newest.update(dict(self._database.rows(_NEWEST, seen, **given)))
        for block in self._group.points:
            if block.sender.instance == sender.instance and block.series in newest:
                newest[block.series] = max(newest[block.series], max(block.times))
        self._newest.update({(each, sender.instance): time for each, time in newest.items()})

    def _known(
        self, connection: Connection, sender: Sender, doubtful: Sequence[tuple[int, SeriesBlock]]
    ) -> set[tuple[int, int, int]]:
        """Series, step and time of what is stored or gathered already of some blocks."""
        found: set[tuple[int, int, int]] = set()
        seen = seen_by(connection, "points")
        keys = [
            (series_id, step, sender.instance, time)
            for series_id, block in doubtful
            for step, time in zip(block.steps, block.times, strict=True)
        ]
        for some in _chunks(keys, _KEYS_AT_ONCE):
            found.update(self._database.rows(_KNOWN, seen, keys=some))
        ids = {series_id for series_id, _ in doubtful}
        for block in self._group.points:
            if block.sender.instance == sender.instance and block.series in ids:
                found.update((block.series, *pair) for pair in zip(block.steps, block.times, strict=True))
        return found


def _follows(newest: int, times: Sequence[int]) -> bool:
    """Whether each time is greater than all before it."""
    return newest < times[0] and all(map(lt, times, islice(times, 1, None)))


def _unseen(series_id: int, block: SeriesBlock, seen: set[tuple[int, int, int]]) -> SeriesBlock:
    """What of a block was not seen before; it is seen then."""
    kept = replace(block, steps=[], times=[], values=[])
    for step, time, value in zip(block.steps, block.times, block.values, strict=True):
        key = series_id, step, time
        if key not in seen:
            seen.add(key)
            kept.steps.append(step)
            kept.times.append(time)
            kept.values.append(value)
    return kept


def _chunks(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _gathered(held: Sequence[Any]) -> Iterator[list[Any]]:
    """Neighbours together, as long as they have few points; a long series stands alone."""
    some: list[Any] = []
    count = 0
    for each in held:
        points = each._mapping["count"]
        if some and (count + points > _ROWS_AT_ONCE or len(some) == _SERIES_AT_ONCE):
            yield some
            some, count = [], 0
        some.append(each)
        count += points
    if some:
        yield some
