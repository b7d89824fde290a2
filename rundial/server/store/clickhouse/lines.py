"""Text lines in ClickHouse.

A process numbers its lines, so nearly always the greatest number that is stored tells which are new; a
foreign line is known by a digest of itself and is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import lt
from typing import Any, Final

from sqlalchemy import Connection

from rundial.server.rows import TextRow
from rundial.server.store.budget import Budget
from rundial.server.store.clickhouse.connection import ClickHouse
from rundial.server.store.clickhouse.group import Group
from rundial.server.store.clickhouse.mark import Seen, mark_of, seen_by
from rundial.server.store.events import SAID, SPANS_AT_ONCE, LineFilter, Sender, StoredLine

_MAX_CACHED: Final = 200_000
_SEQS_AT_ONCE: Final = 5_000
_ROWS_AT_ONCE: Final = 20_000
_ENDS: Final = (-1, 2**63 - 1)

_NEWEST: Final = """
SELECT max(seq) FROM lines
WHERE run = {run:Int64} AND instance = {instance:Int64} AND seq >= 0 AND n <= {mark:Int64} HAVING count() > 0
"""
_KNOWN: Final = """
SELECT seq FROM lines
WHERE run = {run:Int64} AND instance = {instance:Int64} AND seq IN {seqs:Array(Int64)} AND n <= {mark:Int64}
"""
_FIELDS: Final = "n, time_unix_ns, seq, severity, body, attributes, step, trace_id, span_id, is_truncated"
_SIZE: Final = "length(body) + length(attributes)"
_SHOWN: Final = f"""
SELECT {_FIELDS}
FROM lines FINAL
WHERE run = {{run:Int64}} AND severity >= {{severity:Int64}} AND n <= {{mark:Int64}}
"""
_IN_TIME: Final = f"{_SHOWN} AND time_unix_ns BETWEEN {{start:Int64}} AND {{end:Int64}}"
_FORWARDS: Final = f"""
{_IN_TIME} AND (time_unix_ns, n) > ({{time:Int64}}, {{after:Int64}})
ORDER BY time_unix_ns, n LIMIT {{limit:Int64}}
"""
_BACKWARDS: Final = f"""
{_IN_TIME} AND (time_unix_ns, n) < ({{time:Int64}}, {{after:Int64}})
ORDER BY time_unix_ns DESC, n DESC LIMIT {{limit:Int64}}
"""
_SINCE: Final = f"{_SHOWN} AND n > {{after:Int64}} ORDER BY n LIMIT {{limit:Int64}}"
_SAID: Final = f"""
SELECT {_FIELDS}
FROM lines FINAL
WHERE run IN {{runs:Array(Int64)}} AND n <= {{mark:Int64}} AND trace_id IN {{traces:Array(String)}}
AND span_id IN {{spans:Array(String)}} AND position(attributes, {{said:String}}) > 0
ORDER BY time_unix_ns, n LIMIT {{limit:Int64}}
"""
_SOME: Final = "SELECT 1 FROM lines WHERE run = {run:Int64} LIMIT 1"
_DELETE: Final = "DELETE FROM lines WHERE run = {run:Int64}"


class ClickHouseLines:
    """The table `lines`."""

    def __init__(self, database: ClickHouse, group: Group) -> None:
        self._database: Final = database
        self._group: Final = group
        # Greatest number of a line by instance, -1 for none.
        self._newest: dict[int, int] = {}

    def forget(self) -> None:
        """Drop what is remembered of stored rows."""
        self._newest.clear()

    def insert(self, connection: Connection, sender: Sender, texts: Sequence[TextRow]) -> int:
        """Add lines; returns how many were new."""
        if not texts:
            return 0
        self._group.ready(connection)
        fresh = self._fresh(connection, sender, texts)
        for text in fresh:
            self._group.lines.append(_values(sender, text, self._group.number_line()))
        if fresh:
            greatest = max(text.seq for text in fresh)
            self._newest[sender.instance] = max(self._newest[sender.instance], greatest)
        return len(fresh)

    def page(
        self,
        connection: Connection,
        run: int,
        wanted: LineFilter,
        *,
        after: tuple[int, int] | None,
        limit: int,
        is_newest_first: bool,
    ) -> Sequence[StoredLine]:
        """Lines of a run by time."""
        end = _ENDS[is_newest_first]
        time, number = after or (end, end)
        # The place also bounds the time, so that what was shown is not read again.
        start = wanted.start_unix_ns if is_newest_first else max(wanted.start_unix_ns, time)
        last = min(wanted.end_unix_ns, time) if is_newest_first else wanted.end_unix_ns
        return self._lines(
            _BACKWARDS if is_newest_first else _FORWARDS,
            seen_by(connection, "lines"),
            run=run,
            severity=wanted.min_severity,
            time=time,
            after=number,
            limit=limit,
            start=start,
            end=last,
        )

    def newest(self, connection: Connection) -> int:
        """The greatest number that was acknowledged, 0 when there is none."""
        return mark_of(connection).lines

    def since(
        self, connection: Connection, run: int, min_severity: int, after: int, limit: int
    ) -> Sequence[StoredLine]:
        """Lines of a run in the order in which they were stored, behind a number."""
        seen = seen_by(connection, "lines")
        return self._lines(_SINCE, seen, run=run, severity=min_severity, after=after, limit=limit)

    def said(
        self,
        connection: Connection,
        runs: Sequence[int],
        spans: Sequence[tuple[bytes, bytes]],
        budget: Budget,
    ) -> Sequence[StoredLine]:
        """Lines of some spans that are GenAI events, those of a span by time."""
        seen = seen_by(connection, "lines")
        found: list[StoredLine] = []
        for start in range(0, len(spans), SPANS_AT_ONCE):
            some = spans[start : start + SPANS_AT_ONCE]
            given: dict[str, object] = {
                "runs": list(runs),
                "traces": sorted({trace_id.hex() for trace_id, _ in some}),
                "spans": sorted({span_id.hex() for _, span_id in some}),
                "said": SAID,
            }
            rows = self._database.fitting(budget, _SAID, seen, of=_FIELDS, size=_SIZE, **given)
            found += map(_line, rows)
        return found

    def rows(
        self, connection: Connection, run: int, times: tuple[int, int]
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield every stored line of a run by time."""
        wanted = LineFilter(0, *times)
        after: tuple[int, int] | None = None
        while found := self.page(
            connection, run, wanted, after=after, limit=_ROWS_AT_ONCE, is_newest_first=False
        ):
            yield [_exported(line) for line in found]
            after = found[-1].time_unix_ns, found[-1].id

    def clear(self, run: int) -> None:
        """Delete a run's lines."""
        if self._database.rows(_SOME, run=run):
            self._database.command(_DELETE, run=run)

    def _lines(self, sql: str, seen: Seen, **given: object) -> list[StoredLine]:
        return [_line(row) for row in self._database.rows(sql, seen, **given)]

    def _fresh(self, connection: Connection, sender: Sender, texts: Sequence[TextRow]) -> Sequence[TextRow]:
        """The lines that are not there already."""
        newest = self._newest_of(connection, sender)
        seqs = [text.seq for text in texts]
        if seqs[0] > newest and all(map(lt, seqs, seqs[1:])):
            return texts
        seen = self._known(connection, sender, seqs)
        fresh = []
        for text in texts:
            if text.seq not in seen:
                seen.add(text.seq)
                fresh.append(text)
        return fresh

    def _newest_of(self, connection: Connection, sender: Sender) -> int:
        if len(self._newest) > _MAX_CACHED:
            self._newest.clear()
        if sender.instance not in self._newest:
            seen = seen_by(connection, "lines")
            stored = self._database.rows(_NEWEST, seen, run=sender.run, instance=sender.instance)
            gathered = [row[2] for row in self._group.lines if row[1] == sender.instance]
            self._newest[sender.instance] = max([-1, *(row[0] for row in stored), *gathered])
        return self._newest[sender.instance]

    def _known(self, connection: Connection, sender: Sender, seqs: Sequence[int]) -> set[int]:
        """Which numbers are stored or gathered already."""
        seen = seen_by(connection, "lines")
        known = {row[2] for row in self._group.lines if row[1] == sender.instance}
        for start in range(0, len(seqs), _SEQS_AT_ONCE):
            some = list(seqs[start : start + _SEQS_AT_ONCE])
            found = self._database.rows(_KNOWN, seen, run=sender.run, instance=sender.instance, seqs=some)
            known.update(row[0] for row in found)
        return known


def _values(sender: Sender, text: TextRow, number: int) -> tuple[Any, ...]:
    """The values of `LINES`."""
    return (
        sender.run,
        sender.instance,
        text.seq,
        text.time_unix_ns,
        text.severity,
        text.body,
        text.attributes,
        text.step,
        text.trace_id.hex() if text.trace_id else "",
        text.span_id.hex() if text.span_id else "",
        text.is_truncated,
        number,
    )


def _line(row: tuple[Any, ...]) -> StoredLine:
    *plain, trace_id, span_id, is_truncated = row
    ids = bytes.fromhex(trace_id) or None, bytes.fromhex(span_id) or None
    return StoredLine._make((*plain, *ids, is_truncated))


def _exported(line: StoredLine) -> tuple[Any, ...]:
    return (
        line.time_unix_ns,
        line.seq,
        line.severity,
        line.body,
        line.step,
        line.trace_id,
        line.span_id,
        line.attributes,
        line.is_truncated,
    )
