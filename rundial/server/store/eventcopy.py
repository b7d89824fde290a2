"""Points, text lines and spans on their way out of ClickHouse and into it, in the shape of the SQL tables.

What is read is what the catalog's mark says, as that stood when the copy began, so a server may write on.
Rows are read by ranges of their numbers, which an index finds: no page looks at what others have read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rundial.errors import ConfigError
from rundial.server.problems import StoreProblem
from rundial.server.store.clickhouse.connection import ClickHouse, unusable
from rundial.server.store.clickhouse.mark import Mark, Numbers, seen_of
from rundial.server.store.clickhouse.schema import LINES, POINTS, SPANS, make_tables
from rundial.server.store.tables import lines, points, spans

STREAM: Final = frozenset({points.name, lines.name, spans.name})
# How many numbers a page spans: points are small, lines and spans may be long.
_PAGES: Final = {points.name: 100_000, lines.name: 10_000, spans.name: 10_000}

_POINTS: Final = """
SELECT series, step, instance, time_unix_ns, value, n FROM points
WHERE n <= {mark:Int64} AND n BETWEEN {low:Int64} AND {high:Int64}
ORDER BY n LIMIT 1 BY n
"""
_LINES: Final = """
SELECT n, run, instance, seq, time_unix_ns, severity, body, attributes, step, trace_id, span_id, is_truncated
FROM lines WHERE n <= {mark:Int64} AND n BETWEEN {low:Int64} AND {high:Int64}
ORDER BY n LIMIT 1 BY n
"""
# All states of a span have the number of its first one.
_SPANS: Final = """
SELECT id, run, trace_id, span_id, instance, parent_span_id, name, kind, start_unix_ns, end_unix_ns, status,
  status_message, state, attributes, events, links
FROM (
  SELECT * FROM spans WHERE n <= {mark:Int64} AND id BETWEEN {low:Int64} AND {high:Int64}
  ORDER BY state DESC, n LIMIT 1 BY run, trace_id, span_id
) ORDER BY id
"""
_QUERIES: Final = {points.name: _POINTS, lines.name: _LINES, spans.name: _SPANS}
_NUMBERS: Final = {points.name: "n", lines.name: "n", spans.name: "id"}
_NEXT: Final = "SELECT min({column}) FROM {table} WHERE n <= {{mark:Int64}} AND {column} > {{after:Int64}}"
_COUNTS: Final = {
    points.name: "SELECT uniqExact(n) FROM points WHERE n <= {mark:Int64}",
    lines.name: "SELECT uniqExact(n) FROM lines WHERE n <= {mark:Int64}",
    spans.name: "SELECT uniqExact(run, trace_id, span_id) FROM spans WHERE n <= {mark:Int64}",
}

Row = tuple[Any, ...]
Rows = Sequence[Sequence[Any]]


class ClickHouseSource:
    """The stream of a catalog, as the catalog says that it is.

    Args:
        database: Where it is.
        numbers: Which of its rows there are.
    """

    def __init__(self, database: ClickHouse, numbers: Numbers) -> None:
        self._database: Final = database
        self._numbers: Final = numbers

    def count(self, table: str) -> int:
        """How many rows the SQL table would have."""
        return _count(self._database, self._numbers, table)

    def batches(self, table: str) -> Iterator[list[Row]]:
        """Yield the rows of the SQL table, in the order of their numbers."""
        seen, size, shape = seen_of(self._numbers, table), _PAGES[table], _SHAPES[table]
        find = _NEXT.format(column=_NUMBERS[table], table=table)
        low = 1
        while low <= seen.mark:
            rows = self._database.rows(_QUERIES[table], seen, low=low, high=low + size - 1)
            if rows:
                yield [shape(row) for row in rows]
                low += size
                continue
            # Each start of a server leaves a gap of thousands of millions of numbers.
            ((following,),) = self._database.rows(find, seen, after=low - 1)
            if not following:
                return
            low = max(low + size, following)


class ClickHouseTarget:
    """A ClickHouse without rows, for a stream.

    Args:
        database: Where.
        server_id: Whose stream it is to be.

    Raises:
        ConfigError: It has a stream already, or cannot be used.
    """

    def __init__(self, database: ClickHouse, server_id: str) -> None:
        self._database: Final = database
        self._attempts: Mapping[int, int] = {}
        self._mark = Mark()
        try:
            make_tables(database)
            self._check_empty()
            # From now on no other server takes it for its own, also when the copy is cut off.
            database.insert("owner", {"server_id": "String"}, [[server_id]])
        except StoreProblem as problem:
            raise unusable(database.where, problem.__cause__ or problem) from problem

    @property
    def numbers(self) -> Numbers:
        """Which rows it has."""
        return Numbers().moved(self._mark)

    def know(self, attempts: Mapping[int, int]) -> None:
        """Take the attempts of the catalog's instances, by row id."""
        self._attempts = attempts

    def insert(self, table: str, rows: Rows) -> None:
        """Insert rows of the SQL table."""
        types, columns = {
            points.name: (POINTS, self._point_columns),
            lines.name: (LINES, _line_columns),
            spans.name: (SPANS, _span_columns),
        }[table]
        found = columns(rows)
        self._database.insert(table, types, found)
        greatest = max(found[-1])
        known = getattr(self._mark, table)
        self._mark = self._mark._replace(**{table: max(known, greatest)})

    def count(self, table: str) -> int:
        """How many rows of the SQL table it has."""
        return _count(self._database, self.numbers, table)

    def _check_empty(self) -> None:
        for table in ("owner", *sorted(STREAM)):
            if self._database.rows(f"SELECT 1 FROM {table} LIMIT 1"):
                raise ConfigError(
                    f"{self._database.where} is not empty: there is a row in {table}; nothing was copied; "
                    "name an empty database"
                )

    def _point_columns(self, rows: Rows) -> list[Sequence[Any]]:
        """The columns of `POINTS`."""
        series, step, instance, time, value, number = zip(*rows, strict=True)
        attempts = [self._attempts.get(each, 1) for each in instance]
        return [series, step, instance, time, attempts, value, number]


def _count(database: ClickHouse, numbers: Numbers, table: str) -> int:
    ((count,),) = database.rows(_COUNTS[table], seen_of(numbers, table))
    return int(count)


def _line(row: Row) -> Row:
    *plain, trace_id, span_id, is_truncated = row
    return (*plain, _octets(trace_id), _octets(span_id), is_truncated)


def _span(row: Row) -> Row:
    number, run, trace_id, span_id, instance, parent, *rest = row
    return (number, run, _octets(trace_id), _octets(span_id), instance, _octets(parent), *rest)


_SHAPES: Final[Mapping[str, Callable[[Row], Row]]] = {
    points.name: tuple,
    lines.name: _line,
    spans.name: _span,
}


def _line_columns(rows: Rows) -> list[Sequence[Any]]:
    """The columns of `LINES`."""
    number, *plain, trace_id, span_id, is_truncated = zip(*rows, strict=True)
    ids = [list(map(_text, each)) for each in (trace_id, span_id)]
    return [*plain, *ids, list(map(bool, is_truncated)), number]


def _span_columns(rows: Rows) -> list[Sequence[Any]]:
    """The columns of `SPANS`."""
    number, run, trace_id, span_id, instance, parent, *rest = zip(*rows, strict=True)
    ids = [list(map(_text, each)) for each in (trace_id, span_id, parent)]
    return [run, *ids, *rest, instance, number, number]


def _octets(text: str) -> bytes | None:
    return bytes.fromhex(text) or None


def _text(octets: bytes | None) -> str:
    return octets.hex() if octets else ""
