"""The rows of one group of jobs on their way to ClickHouse: gathered, inserted together, or undone together.

Threads: the writer's alone.
After a crash: what was inserted and not committed has greater numbers than the mark; nothing that was
acknowledged does. It is deleted before the next insert, and what of it arrives later still is left out by
readers (`mark`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Final

from sqlalchemy import Connection, select

from rundial.clock import SystemClock
from rundial.server.problems import StoreProblem
from rundial.server.rows import SpanRow
from rundial.server.store.clickhouse.connection import ClickHouse
from rundial.server.store.clickhouse.mark import BLOCK, Mark, Numbers, locked_numbers, seen_of, set_numbers
from rundial.server.store.clickhouse.schema import LINES, POINTS, SPANS
from rundial.server.store.events import Sender
from rundial.server.store.tables import facts

WRITER: Final = "events_writer"
# Each insert makes a part of each table that the engine has to merge later: few and large ones are cheap.
_GAP_S: Final = 0.1

Row = tuple[Any, ...]
Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class PointBlock:
    """New points of a series; `first` is the number of the first, the next ones count up."""

    series: int
    sender: Sender
    steps: Sequence[int]
    times: Sequence[int]
    values: Sequence[float]
    first: int


@dataclass(frozen=True, slots=True)
class NewSpan:
    """A span that is new, or more final than what is known of it."""

    sender: Sender
    span: SpanRow
    id: int
    n: int


class Group:
    """What the jobs of a group have added so far.

    Args:
        database: Where it goes.
        writer: The name of this process, as the catalog has it while no other took over.
    """

    def __init__(self, database: ClickHouse, writer: str) -> None:
        self._database: Final = database
        self._writer: Final = writer
        self._clock: Final = SystemClock()
        self.points: Final[list[PointBlock]] = []
        self.lines: Final[list[Row]] = []
        self.spans: Final[list[NewSpan]] = []
        self._numbers = Mark()
        # As the catalog has them, and gaps that it is going to have.
        self._known = Numbers()
        # Whether this process has used no number yet.
        self._is_new = True
        # Whether ClickHouse may hold rows that were never committed.
        self._is_doubtful = True
        self._next_s = 0.0

    def ready(self, connection: Connection) -> None:
        """Give up what was never committed, where there may be any; before anything is added."""
        if not self._is_doubtful:
            return
        known = locked_numbers(connection)
        for table in Mark._fields:
            refused = f"FROM {table} WHERE {seen_of(known, table).refused}"
            if self._database.rows(f"SELECT 1 {refused} LIMIT 1"):
                self._database.command(f"DELETE {refused}")
        # Of what another process used, the bound alone is known.
        greatest = Mark._make(map(max, known.mark, known.given if self._is_new else self._numbers))
        # What arrives from now on is not deleted before the next insert: readers leave it out.
        known = known.given_up(greatest, self._clock.time_unix_ns() // 10**9)
        if self._is_new:
            known = known.reserved(greatest)
            set_numbers(connection, known)
            self._is_new = False
        self._known, self._numbers = known, greatest
        self._is_doubtful = False

    @property
    def numbers(self) -> Mark:
        """The greatest numbers that were taken."""
        return self._numbers

    def number_points(self, count: int) -> int:
        """Take numbers for points and return the first of them."""
        self._numbers = self._numbers._replace(points=self._numbers.points + count)
        return self._numbers.points - count + 1

    def number_line(self) -> int:
        """Take a number for a line."""
        self._numbers = self._numbers._replace(lines=self._numbers.lines + 1)
        return self._numbers.lines

    def number_span(self) -> int:
        """Take a number for a span's row."""
        self._numbers = self._numbers._replace(spans=self._numbers.spans + 1)
        return self._numbers.spans

    def place(self) -> Place:
        """How much was gathered so far."""
        return len(self.points), len(self.lines), len(self.spans)

    def rewind(self, place: Place) -> None:
        """Drop what was gathered since."""
        points, lines, spans = place
        del self.points[points:], self.lines[lines:], self.spans[spans:]

    def settle(self, connection: Connection) -> None:
        """Insert what was gathered, and move the mark with the transaction.

        Raises:
            StoreProblem: 503, ClickHouse failed, or another server writes there now.
        """
        if not any(self.place()):
            return
        # First of all: what cannot be known any more after this line is given up before the next insert.
        self._is_doubtful = True
        self._check_alone(connection)
        self._check_room()
        if self.points:
            self._database.insert("points", POINTS, _point_columns(self.points))
        if self.lines:
            self._database.insert("lines", LINES, list(zip(*self.lines, strict=True)))
        if self.spans:
            self._database.insert("spans", SPANS, list(zip(*map(_span_values, self.spans), strict=True)))
        self._known = self._known.moved(self._numbers)
        set_numbers(connection, self._known)
        self.rewind((0, 0, 0))
        self._is_doubtful = False
        self._next_s = self._clock.monotonic_s() + _GAP_S

    def abandon(self) -> None:
        """Drop everything; what was inserted already is deleted before the next insert."""
        self.rewind((0, 0, 0))
        self._is_doubtful = True

    def pause_s(self) -> float:
        """How long the next group should gather, so that inserts are some way apart."""
        return max(0.0, self._next_s - self._clock.monotonic_s())

    def _check_room(self) -> None:
        """A later process would take numbers behind the bound for its own."""
        if not self._known.has_room(self._numbers):
            raise StoreProblem(
                503,
                f"{BLOCK:,} rows were refused since the last that were stored",
                "restart the server; clients send again what was refused",
                retry_after_s=60,
            )

    def _check_alone(self, connection: Connection) -> None:
        """Two processes would give the same numbers to different rows."""
        query = select(facts.c.value).where(facts.c.name == WRITER).with_for_update()
        if connection.execute(query).scalar() != self._writer:
            raise StoreProblem(
                503,
                "another server has taken over the store of points, lines and spans",
                "stop one of the two: ClickHouse is written by one process",
                retry_after_s=5,
            )


def _point_columns(blocks: Sequence[PointBlock]) -> list[list[Any]]:
    """The columns of `POINTS`."""
    return [
        _repeated(blocks, [block.series for block in blocks]),
        list(chain.from_iterable(block.steps for block in blocks)),
        _repeated(blocks, [block.sender.instance for block in blocks]),
        list(chain.from_iterable(block.times for block in blocks)),
        _repeated(blocks, [block.sender.attempt for block in blocks]),
        list(chain.from_iterable(block.values for block in blocks)),
        list(chain.from_iterable(range(each.first, each.first + len(each.steps)) for each in blocks)),
    ]


def _repeated(blocks: Sequence[PointBlock], values: Sequence[int]) -> list[int]:
    return list(
        chain.from_iterable(
            repeat(value, len(block.steps)) for value, block in zip(values, blocks, strict=True)
        )
    )


def _span_values(new: NewSpan) -> Row:
    """The values of `SPANS`."""
    span = new.span
    return (
        new.sender.run,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex() if span.parent_span_id else "",
        span.name,
        span.kind,
        span.start_unix_ns,
        span.end_unix_ns,
        span.status,
        span.status_message,
        span.state,
        span.attributes,
        span.events,
        span.links,
        new.sender.instance,
        new.id,
        new.n,
    )
