"""What a decoded request is made of, between the wire and the tables. Plain values.

Times are nanoseconds since the Unix epoch. A step is ≥ 0; `NO_STEP` stands for none, because a
column of an identity cannot be NULL (two NULLs are never the same, so a resend would be stored twice).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from rundial.server.anyvalue import digest

NO_STEP: Final = -1
BAD_STEP: Final = -2
MAX_INT64: Final = 2**63 - 1
SPAN_RUNNING: Final = 0
SPAN_INTERRUPTED: Final = 1
SPAN_ENDED: Final = 2

Signal = Literal["metrics", "logs", "traces"]
# Steps, times and values of points, equally long.
Columns = tuple[Sequence[int], Sequence[int], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where records belong, as their resource says.

    Attributes:
        workspace: Slug; None is the key's own.
        project: Slug.
        project_name: What the user called it.
        run_id: The run's id; derived from the resource for programs without one.
        kind: training, agent, eval or service; None when the resource does not say.
        attempt: Which start of the run this is, from 1.
        rank: The process's rank in its run; None when it has none.
        instance: One process and attach (`service.instance.id`).
        host: The host's name, empty when unknown.
        is_foreign: True when the program knows no runs: plain OpenTelemetry.
        service: What the service of a program that knows no runs is called.
        names_project: False when the project is only what its service is called; a key that is bound to a
            project then means that one.
    """

    workspace: str | None
    project: str
    project_name: str
    run_id: str
    kind: str | None
    attempt: int
    rank: int | None
    instance: str
    host: str
    is_foreign: bool
    names_project: bool = True
    service: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Its workspace, project and run, to order by."""
        return self.workspace or "", self.project, self.run_id


@dataclass(frozen=True, slots=True)
class SeriesBlock:
    """Points of one series in the order they were sent; the three lists have equal lengths.

    Attributes:
        name: The user's key.
        unit: OTel unit, empty when none.
        attributes: The user's context as canonical JSON.
        digest: 16 bytes that stand for the attributes.
        steps: Steps, `NO_STEP` for none.
        times: Unix nanoseconds, > 0.
        values: Finite numbers.
    """

    name: str
    unit: str
    attributes: str
    digest: bytes
    steps: list[int]
    times: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class DataPointRow:
    """One point of OpenTelemetry's that is more than a number.

    Attributes:
        name: The metric.
        unit: OTel unit, empty when none.
        kind: `gauge`, `sum`, `histogram`, `exponentialHistogram` or `summary`.
        attributes: The user's context as canonical JSON.
        digest: 16 bytes that stand for all of it but its time and its body.
        step: ≥ 0, or `NO_STEP`.
        start_unix_ns: Since when it counts, 0 when it does not say.
        time_unix_ns: Unix nanoseconds, > 0.
        body: What it says, as JSON; its names are the kind's.
        is_number: Whether its value is a point of a series as well, which then counts it.
    """

    name: str
    unit: str
    kind: str
    attributes: str
    digest: bytes
    step: int
    start_unix_ns: int
    time_unix_ns: int
    body: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class TextRow:
    """One text line. `seq` is negative for foreign lines: a digest of the line, its only identity."""

    seq: int
    time_unix_ns: int
    severity: int
    body: str
    attributes: str
    step: int | None
    trace_id: bytes | None
    span_id: bytes | None
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of a run's life."""

    seq: int
    time_unix_ns: int
    name: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One span; `state` is SPAN_RUNNING, SPAN_INTERRUPTED or SPAN_ENDED, and the greater one wins."""

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


# How long the texts of a row are that counts as one.
_TEXT_OF_A_ROW: Final = 1_024


@dataclass(slots=True)
class Delivery:
    """What a request brings to one target, from however many of its resources."""

    target: Target
    series: dict[tuple[str, str, str], SeriesBlock] = field(default_factory=dict)
    texts: list[TextRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    spans: list[SpanRow] = field(default_factory=list)
    data_points: list[DataPointRow] = field(default_factory=list)
    # Digests of the contexts met so far: of a thousand keys, most share one.
    _digests: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def blocks(self) -> list[SeriesBlock]:
        """Its points, one block a series."""
        return list(self.series.values())

    def add_points(self, name: str, unit: str, attributes: str, columns: Columns) -> None:
        """Add points of a series behind those that are there; the columns are copied."""
        key = (name, unit, attributes)
        block = self.series.get(key)
        if block is None:
            known = self._digests.get(attributes) or self._digests.setdefault(attributes, digest(attributes))
            block = self.series[key] = SeriesBlock(name, unit, attributes, known, [], [], [])
        steps, times, values = columns
        block.steps.extend(steps)
        block.times.extend(times)
        block.values.extend(values)

    def items(self) -> int:
        """How many OTLP items it holds."""
        points = sum(len(block.steps) for block in self.series.values())
        points += sum(not row.is_number for row in self.data_points)
        return points + len(self.texts) + len(self.events) + len(self.spans)

    def weight(self) -> int:
        """About how many rows it writes; one with long texts counts as several."""
        texts = sum(len(row.body) + len(row.attributes) for row in self.texts)
        texts += sum(len(row.attributes) + len(row.events) + len(row.links) for row in self.spans)
        texts += sum(len(row.body) + len(row.attributes) for row in self.data_points)
        also_numbers = sum(row.is_number for row in self.data_points)
        return self.items() + also_numbers + texts // _TEXT_OF_A_ROW

    def newest_unix_ns(self) -> int:
        """Time of its newest record, 0 when it is empty."""
        newest = max((max(block.times) for block in self.series.values()), default=0)
        newest = max(newest, max((row.time_unix_ns for row in self.texts), default=0))
        newest = max(newest, max((row.time_unix_ns for row in self.events), default=0))
        newest = max(newest, max((row.time_unix_ns for row in self.data_points), default=0))
        return max(newest, max((row.end_unix_ns or row.start_unix_ns for row in self.spans), default=0))


@dataclass(slots=True)
class Refusals:
    """What of a request was not taken, and why; only the first few reasons are kept.

    Attributes:
        items: OTLP items refused.
        reasons: Distinct reasons, at most `MAX_REASONS`.
    """

    MAX_REASONS = 5

    items: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, items: int, reason: str) -> None:
        """Count items that are refused for a reason."""
        if not items:
            return
        self.items += items
        if reason not in self.reasons and len(self.reasons) < self.MAX_REASONS:
            self.reasons.append(reason)

    def merge(self, other: Refusals) -> None:
        """Add what another part of the request was refused."""
        self.items += other.items
        for reason in other.reasons:
            if reason not in self.reasons and len(self.reasons) < self.MAX_REASONS:
                self.reasons.append(reason)

    @property
    def message(self) -> str:
        """The reasons in one line."""
        return "; ".join(self.reasons)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A request after decoding: what to store, and what was refused on the way."""

    deliveries: list[Delivery]
    refusals: Refusals
