"""Where points, text lines and spans are kept: one narrow protocol before every engine.

The catalog (runs, the registry of series with their summaries, configs, people, artifacts) is always in the
SQL database. The stream's rows are there too (`sqlevents`), or in ClickHouse. Each call is given the
catalog's connection, inside a transaction: what it says of the catalog and of the stream belongs together.

A change is made in steps. `insert` is called in the jobs of a group, `settle` before the group's commit:
afterwards every row of the group is where it survives. `mark` and `rewind` undo what one job of a group
added, `abandon` what the whole group did.

Threads: what changes, on the writer's alone; what reads, on any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection

from rundial.server.curves import Curve
from rundial.server.rows import SeriesBlock, SpanRow, TextRow
from rundial.server.store.budget import Budget, bytes_of
from rundial.server.store.parts import END_OF_STEPS, Part, Span
from rundial.signals import semconv


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose rows they are.

    Attributes:
        run: Row id of the run.
        instance: Row id of the instance.
        attempt: The instance's attempt; it never changes.
    """

    run: int
    instance: int
    attempt: int


class StoredPoint(NamedTuple):
    """A point as it is kept, beside the names of what it hangs on."""

    series: int
    step: int
    instance: int
    time_unix_ns: int
    value: float
    name: str
    attributes: str
    instance_id: str
    attempt: int


class Growth(NamedTuple):
    """A series that has new points.

    Attributes:
        series: Its row id.
        new: How many are new; None when nobody knows.
    """

    series: int
    new: int | None


class NewPoint(NamedTuple):
    """A point that was stored behind some other."""

    series: int
    step: int
    time_unix_ns: int
    value: float
    attempt: int


class StoredLine(NamedTuple):
    """A text line; ids ascend in the order in which lines were stored, and are never used twice."""

    id: int
    time_unix_ns: int
    seq: int
    severity: int
    body: str
    attributes: str
    step: int | None
    trace_id: bytes | None
    span_id: bytes | None
    is_truncated: bool

    def size(self) -> int:
        """How many bytes of texts it has."""
        return bytes_of(self.body, self.attributes)


class StoredSpan(NamedTuple):
    """A span; ids ascend in the order in which spans were first stored. Run and instance are row ids."""

    id: int
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes | None
    name: str
    kind: str
    start_unix_ns: int
    end_unix_ns: int | None
    status: str
    status_message: str
    state: int
    attributes: str
    events: str
    links: str
    run: int
    instance: int
    child_count: int = 0

    def size(self) -> int:
        """How many bytes of texts it has."""
        return bytes_of(self.name, self.status_message, self.attributes, self.events, self.links)


# What the stored attributes of a line hold that is an event of the GenAI conventions.
SAID: Final = '"event.name":"gen_ai.'
# Of so many spans such lines are looked for together: fewer than the values that a statement may have.
SPANS_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which text lines are wanted.

    Attributes:
        min_severity: Least OTel severity number.
        start_unix_ns: Earliest time.
        end_unix_ns: Latest time, inclusive.
    """

    min_severity: int = 0
    start_unix_ns: int = 0
    end_unix_ns: int = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Branch:
    """Which spans of a run are wanted.

    Attributes:
        trace_id: Of this trace alone; None for all.
        parent_span_id: Children of this span of the trace; None for any.
        is_top: Only those whose parent the run does not hold: roots, and what a request from elsewhere began.
            Of a trace whose parents go round in a circle, the earliest span.
        step: Only those that belong to this step of the run's points; None for any.
    """

    trace_id: bytes | None = None
    parent_span_id: bytes | None = None
    is_top: bool = False
    step: int | None = None

    @property
    def step_pair(self) -> str:
        """How a wanted step stands in the attributes' JSON; empty for any step.

        A comma or the end of the mapping follows it. The JSON has no spaces, and a quotation mark within a
        text is escaped, so that what is found is a key. No index helps; a run's spans are few beside its
        points.
        """
        return "" if self.step is None else f'"{semconv.STEP}":{self.step}'


@dataclass(frozen=True, slots=True)
class Steps:
    """The highest steps before an attempt, None where there was none.

    Attributes:
        user: Of what the program logged.
        system: Of the system metrics.
    """

    user: int | None = None
    system: int | None = None


class PointStore(Protocol):
    """Points of series.

    Of several points at one step a series shows the latest attempt's, and within it the one accepted last:
    an old attempt that is synced late never overwrites a newer curve. Points without a step are all shown.
    """

    def insert(
        self, connection: Connection, sender: Sender, ids: list[int], blocks: list[SeriesBlock]
    ) -> int:
        """Add points, a block for each series id, and fold those that are new into the series' summaries.

        Returns:
            How many were new.
        """
        ...

    def stepless(self, connection: Connection, series_id: int) -> Curve:
        """Each point without a step, in the order of their times."""
        ...

    def stepped(
        self, connection: Connection, series_id: int, low: int = 0, high: int = END_OF_STEPS
    ) -> Curve:
        """What each step shows, from one step to another, both inclusive."""
        ...

    def part(self, connection: Connection, series_id: int, count: int, span: Span, most: int) -> Part:
        """What the steps of a range show, in at most so many buckets; `count` is about the series' points."""
        ...

    def page(
        self,
        connection: Connection,
        run: int,
        names: Sequence[str],
        *,
        times: tuple[int, int],
        after: tuple[int, int, int, int] | None,
        limit: int,
    ) -> Sequence[StoredPoint]:
        """Every stored point of a run, by (series, step, instance, time); `after` is where a page ended."""
        ...

    def rows(
        self, connection: Connection, run: int, names: Sequence[str], times: tuple[int, int]
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield every stored point of a run, series by series.

        Rows are (name, step or None, milliseconds, value, nanoseconds, context, instance, attempt).
        """
        ...

    def steps_before(self, connection: Connection, run: int, attempt: int) -> Steps:
        """The highest steps of a run's earlier attempts."""
        ...

    def since(
        self, connection: Connection, run: int, grown: Sequence[Growth], after: int, most: int
    ) -> Sequence[NewPoint]:
        """Points of some series of a run that are numbered behind `after`, as `series.accepted` counts.

        What costs too much to be found, or is more than `most`, is left out: whoever knows the series'
        counts sees it.
        """
        ...


class LineStore(Protocol):
    """Text lines of runs."""

    def insert(self, connection: Connection, sender: Sender, texts: Sequence[TextRow]) -> int:
        """Add lines; returns how many were new."""
        ...

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
        """Lines of a run by time; `after` is the (time, id) at which the last page ended."""
        ...

    def newest(self, connection: Connection) -> int:
        """The id of the line that was stored last, or a greater number that no line had yet; 0 for none."""
        ...

    def since(
        self, connection: Connection, run: int, min_severity: int, after: int, limit: int
    ) -> Sequence[StoredLine]:
        """Lines of a run in the order in which they were stored, behind an id."""
        ...

    def said(
        self,
        connection: Connection,
        runs: Sequence[int],
        spans: Sequence[tuple[bytes, bytes]],
        budget: Budget,
    ) -> Sequence[StoredLine]:
        """Lines of some spans (trace, span) that are GenAI events (`SAID` in their attributes).

        The lines of a span by time, those of the first spans first: the budget may leave out the rest.
        """
        ...

    def rows(
        self, connection: Connection, run: int, times: tuple[int, int]
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield every stored line of a run by time.

        Rows are (nanoseconds, sequence, severity, body, step, trace id, span id, attributes, is truncated).
        """
        ...


class SpanStore(Protocol):
    """Spans of runs; of one span's states the most final one is kept."""

    def insert(self, connection: Connection, sender: Sender, arrived: Sequence[SpanRow]) -> int:
        """Add spans; returns how many were finished, or given up, that were not so before."""
        ...

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
        """Spans by start time; `after` is the (start, id) where the last page ended."""
        ...

    def trace(
        self, connection: Connection, runs: Sequence[int], trace_id: bytes, *, budget: Budget
    ) -> tuple[Sequence[StoredSpan], int]:
        """The first spans of a trace by their start, of those runs, and how many there are in all."""
        ...


class Pending(Protocol):
    """The steps of a change, as the writer takes them."""

    def mark(self) -> object:
        """Where the group is now; `rewind` wants it back."""
        ...

    def rewind(self, mark: Any) -> None:
        """Undo what was inserted since a mark: a job failed, and its savepoint was rolled back."""
        ...

    def settle(self, connection: Connection) -> None:
        """Put the group's rows where they survive; called last in its transaction, which may still fail."""
        ...

    def abandon(self) -> None:
        """Undo the whole group: its transaction was rolled back, or may have been."""
        ...

    def pause_s(self) -> float:
        """How long the next group should still gather, seconds; 0 when it may be written at once."""
        ...


class EventStore(Pending, Protocol):
    """All three, and the steps of a change."""

    @property
    def points(self) -> PointStore:
        """The points."""
        ...

    @property
    def lines(self) -> LineStore:
        """The text lines."""
        ...

    @property
    def spans(self) -> SpanStore:
        """The spans."""
        ...

    def forget(self) -> None:
        """Drop what is remembered of rows and numbers; called whenever something was undone or deleted."""
        ...

    def clear(self, connection: Connection, run: int) -> None:
        """Remove a deleted run's rows where they do not go with the catalog's; repeating it is cheap."""
        ...

    def check(self) -> None:
        """See whether it can be used.

        Raises:
            StoreProblem: 503, it cannot.
        """
        ...

    def close(self) -> None:
        """Close what it opened. Idempotent."""
        ...
