"""Spans in ClickHouse: a row for each state of a span, of which the most final one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection

from rundial.server.rows import SPAN_INTERRUPTED, SpanRow
from rundial.server.store.budget import Budget
from rundial.server.store.clickhouse.connection import ClickHouse
from rundial.server.store.clickhouse.group import Group, NewSpan
from rundial.server.store.clickhouse.mark import seen_by
from rundial.server.store.events import Branch, Sender, StoredSpan

_SPANS_AT_ONCE: Final = 2_000

_KNOWN: Final = """
SELECT trace_id, span_id, max(state), min(id) FROM spans
WHERE run = {run:Int64} AND trace_id IN {traces:Array(String)} AND span_id IN {spans:Array(String)}
AND n <= {mark:Int64}
GROUP BY trace_id, span_id
"""
_OF_RUN: Final = "run = {run:Int64} AND n <= {mark:Int64}"
_OF_TRACE: Final = f"{_OF_RUN} AND ({{trace:String}} = '' OR trace_id = {{trace:String}})"
_FIELDS: Final = ", ".join(f"kept.{name}" for name in StoredSpan._fields if name != "child_count")
_SIZE: Final = " + ".join(
    f"length(kept.{name})" for name in ("name", "status_message", "attributes", "events", "links")
)
_KEPT: Final = f"SELECT * FROM spans WHERE {_OF_TRACE} ORDER BY state DESC, n LIMIT 1 BY trace_id, span_id"
# A span whose parent the run does not hold, or that is its own parent.
_TOP: Final = f"""(
  parent_span_id = span_id
  OR (trace_id, parent_span_id) NOT IN (SELECT trace_id, span_id FROM spans WHERE {_OF_TRACE})
)"""
# Of each trace that has no top the first span.
_OF_CIRCLES: Final = f"""
SELECT trace_id, argMin(span_id, (start_unix_ns, id)) FROM ({_KEPT})
GROUP BY trace_id HAVING countIf{_TOP} = 0
"""
_OF_BRANCH: Final = f"{_FIELDS}, children.number"
_BRANCH: Final = f"""
SELECT {_OF_BRANCH}
FROM ({_KEPT}) AS kept
LEFT JOIN (
  SELECT trace_id, parent_span_id, count() AS number FROM ({_KEPT})
  WHERE span_id != parent_span_id GROUP BY trace_id, parent_span_id
) AS children ON children.trace_id = kept.trace_id AND children.parent_span_id = kept.span_id
WHERE (
  {{parent:String}} = ''
  OR (kept.parent_span_id = {{parent:String}} AND kept.span_id != {{parent:String}})
)
AND (
  NOT {{is_top:Bool}} OR kept.parent_span_id = kept.span_id
  OR (kept.trace_id, kept.parent_span_id) NOT IN (SELECT trace_id, span_id FROM spans WHERE {_OF_TRACE})
  OR (kept.trace_id, kept.span_id) IN ({_OF_CIRCLES})
)
AND ({{step:String}} = '' OR position(kept.attributes, concat({{step:String}}, ',')) > 0
  OR position(kept.attributes, concat({{step:String}}, '}}')) > 0)
"""
_FORWARDS: Final = f"""
{_BRANCH} AND (kept.start_unix_ns, kept.id) > ({{start:Int64}}, {{after:Int64}})
ORDER BY kept.start_unix_ns, kept.id LIMIT {{limit:Int64}}
"""
_BACKWARDS: Final = f"""
{_BRANCH} AND (kept.start_unix_ns, kept.id) < ({{start:Int64}}, {{after:Int64}})
ORDER BY kept.start_unix_ns DESC, kept.id DESC LIMIT {{limit:Int64}}
"""
_OF_RUNS: Final = "run IN {runs:Array(Int64)} AND trace_id = {trace:String} AND n <= {mark:Int64}"
_TRACE: Final = f"""
SELECT {_FIELDS} FROM (
  SELECT * FROM spans WHERE {_OF_RUNS} ORDER BY state DESC, n LIMIT 1 BY run, span_id
) AS kept
ORDER BY kept.start_unix_ns, kept.id LIMIT {{limit:Int64}}
"""
_COUNT: Final = f"SELECT uniqExact(run, span_id) FROM spans WHERE {_OF_RUNS}"
_SOME: Final = "SELECT 1 FROM spans WHERE run = {run:Int64} LIMIT 1"
_DELETE: Final = "DELETE FROM spans WHERE run = {run:Int64}"
_ENDS: Final = ((-1, 0), (2**63 - 1, 2**63 - 1))

Identity = tuple[int, bytes, bytes]


class ClickHouseSpans:
    """The table `spans`."""

    def __init__(self, database: ClickHouse, group: Group) -> None:
        self._database: Final = database
        self._group: Final = group

    def insert(self, connection: Connection, sender: Sender, arrived: Sequence[SpanRow]) -> int:
        """Add spans, the more final state winning; returns how many were not counted before."""
        if not arrived:
            return 0
        self._group.ready(connection)
        known = self._known(connection, sender, arrived)
        counted = 0
        for span in arrived:
            identity = span.trace_id, span.span_id
            state, first = known.get(identity, (-1, 0))
            if state >= span.state:
                continue
            number = self._group.number_span()
            self._group.spans.append(NewSpan(sender, span, first or number, number))
            known[identity] = span.state, first or number
            counted += span.state >= SPAN_INTERRUPTED and state < SPAN_INTERRUPTED
        return counted

    def branch(
        self,
        connection: Connection,
        run: int,
        branch: Branch,
        *,
        after: tuple[int, int] | None,
        budget: Budget,
        is_newest_first: bool = False,
    ) -> Sequence[StoredSpan]:
        """Spans by start time."""
        start, number = after or _ENDS[is_newest_first]
        given: dict[str, object] = {
            "run": run,
            "trace": branch.trace_id.hex() if branch.trace_id else "",
            "parent": branch.parent_span_id.hex() if branch.parent_span_id else "",
            "is_top": branch.is_top,
            "step": branch.step_pair,
            "start": start,
            "after": number,
        }
        sql = _BACKWARDS if is_newest_first else _FORWARDS
        seen = seen_by(connection, "spans")
        rows = self._database.fitting(budget, sql, seen, of=_OF_BRANCH, size=_SIZE, **given)
        return [_span(row) for row in rows]

    def trace(
        self, connection: Connection, runs: Sequence[int], trace_id: bytes, *, budget: Budget
    ) -> tuple[Sequence[StoredSpan], int]:
        """The first spans of a trace by their start, of those runs, and how many there are in all."""
        given: dict[str, object] = {"runs": list(runs), "trace": trace_id.hex()}
        seen = seen_by(connection, "spans")
        rows = self._database.fitting(budget, _TRACE, seen, of=_FIELDS, size=_SIZE, **given)
        found = [_span(row) for row in rows]
        if not budget.is_cut:
            return found, len(found)
        return found, int(self._database.rows(_COUNT, seen, **given)[0][0])

    def clear(self, run: int) -> None:
        """Delete a run's spans."""
        if self._database.rows(_SOME, run=run):
            self._database.command(_DELETE, run=run)

    def _known(
        self, connection: Connection, sender: Sender, arrived: Sequence[SpanRow]
    ) -> dict[tuple[bytes, bytes], tuple[int, int]]:
        """State and id of those that are stored or gathered already."""
        wanted = {(span.trace_id, span.span_id) for span in arrived}
        found: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        seen = seen_by(connection, "spans")
        for start in range(0, len(arrived), _SPANS_AT_ONCE):
            some = arrived[start : start + _SPANS_AT_ONCE]
            traces = sorted({span.trace_id.hex() for span in some})
            spans = sorted({span.span_id.hex() for span in some})
            rows = self._database.rows(_KNOWN, seen, run=sender.run, traces=traces, spans=spans)
            for trace_id, span_id, state, number in rows:
                found[bytes.fromhex(trace_id), bytes.fromhex(span_id)] = state, number
        for new in self._group.spans:
            identity = new.span.trace_id, new.span.span_id
            if new.sender.run == sender.run and identity in wanted:
                # The later one of a group is the more final one.
                found[identity] = new.span.state, new.id
        return found


def _span(row: tuple[Any, ...]) -> StoredSpan:
    number, trace_id, span_id, parent, *plain = row
    ids = bytes.fromhex(trace_id), bytes.fromhex(span_id), bytes.fromhex(parent) or None
    return StoredSpan(number, *ids, *plain)
