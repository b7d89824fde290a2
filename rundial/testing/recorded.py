"""What runs have recorded, read back from their spools in plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rundial.signals import semconv

if TYPE_CHECKING:
    from rundial.api.run import Run
    from rundial.api.session import Session
    from rundial.server.runlife import RunLife

SEAL_S = 10.0
_LEVELS = {number: name for name, number in semconv.SEVERITY.items()}
_STATUSES = ("unset", "ok", "error")
_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric.

    Attributes:
        run_id: Its run.
        name: The metric's.
        value: Its value.
        step: Its step, None for none.
        time_unix_ns: When it was logged.
        context: What was given as `context`, and the rank.
    """

    run_id: str
    name: str
    value: float
    step: int | None
    time_unix_ns: int
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text.

    Attributes:
        run_id: Its run.
        text: What it says.
        level: `trace`, `debug`, `info`, `warn`, `error` or `fatal`.
        time_unix_ns: When it was logged.
        attributes: Its attributes.
        trace_id: Hexadecimal; empty outside of a span.
        span_id: Hexadecimal; empty outside of a span.
    """

    run_id: str
    text: str
    level: str
    time_unix_ns: int
    attributes: Mapping[str, Any]
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """One span that has ended.

    Attributes:
        run_id: Its run.
        name: Its name.
        kind: `internal`, `server`, `client`, `producer` or `consumer`.
        status: `unset`, `ok` or `error`.
        message: What goes with the status.
        start_unix_ns: When it began.
        end_unix_ns: When it ended.
        attributes: Its attributes.
        events: (name, attributes) of each of its events.
        trace_id: Hexadecimal.
        span_id: Hexadecimal.
        parent_span_id: Hexadecimal; empty for a root.
    """

    run_id: str
    name: str
    kind: str
    status: str
    message: str
    start_unix_ns: int
    end_unix_ns: int
    attributes: Mapping[str, Any]
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    trace_id: str
    span_id: str
    parent_span_id: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event in a run's life.

    Attributes:
        run_id: Its run.
        name: Such as `rundial.run.alert`; see the page on the wire.
        body: What it says.
        time_unix_ns: When it happened.
        instance_id: The process and attach that it comes from.
        attempt: Which start of the run it belongs to.
        seq: Its number within the instance.
    """

    run_id: str
    name: str
    body: Mapping[str, Any]
    time_unix_ns: int
    instance_id: str
    attempt: int
    seq: int


@dataclass(slots=True)
class _Read:
    points: list[Point] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Recorded:
    """What has been recorded so far; each look reads it anew.

    What one process has logged to one run is in the order in which it was logged; runs follow each other.

    Args:
        directory: Where it lies.
        session: Whose runs are to write first what they still hold; None reads what is there.
        run_id: Show this run alone; None shows all of them.
    """

    def __init__(self, directory: Path, session: Session | None = None, run_id: str | None = None) -> None:
        self._directory = directory
        self._session = session
        self._run_id = run_id

    def points(self, name: str | None = None) -> list[Point]:
        """Return the points of a metric, or of all."""
        return [point for point in self._read().points if name in (None, point.name)]

    def values(self, name: str) -> list[float]:
        """Return the values of a metric."""
        return [point.value for point in self.points(name)]

    @property
    def lines(self) -> list[Line]:
        """The text lines."""
        return self._read().lines

    @property
    def spans(self) -> list[Span]:
        """The spans that have ended, in the order of their ends."""
        return self._read().spans

    @property
    def events(self) -> list[Event]:
        """The events in the life of the runs, starts and ends included."""
        return self._read().events

    @property
    def alerts(self) -> list[Mapping[str, Any]]:
        """`{title, text, level}` of each alert."""
        return [event.body for event in self.events if event.name == semconv.EVENT_RUN_ALERT]

    @property
    def run_ids(self) -> list[str]:
        """The ids of the runs, in the order of their starts."""
        by_time = sorted(self.events, key=lambda event: event.time_unix_ns)
        return list(dict.fromkeys(event.run_id for event in by_time))

    @property
    def config(self) -> dict[str, Any]:
        """The run's config as a server would show it, secrets taken out."""
        return self._life().config_values()

    @property
    def summary(self) -> dict[str, Any]:
        """What was set in the run's summary by hand, as a server would show it."""
        return self._life().summary_values()

    @property
    def status(self) -> str:
        """`running`, or how the run ended."""
        return self._life().status

    def of(self, run: Run | str) -> Recorded:
        """Return what one run, or the run of an id, has recorded."""
        run_id = run if isinstance(run, str) else run.run_id
        return Recorded(self._directory, self._session, run_id)

    def _life(self) -> RunLife:
        from rundial.server.runlife import Happening, RunLife, fold

        events = self.events
        run_ids = {event.run_id for event in events}
        if len(run_ids) != 1:
            raise LookupError(
                f"{len(run_ids)} runs were recorded; say which one is meant, with recorded.of(run)"
            )
        life = RunLife()
        for event in events:
            stamp = (event.time_unix_ns, event.instance_id, event.seq)
            life = fold(life, Happening(event.name, stamp, event.attempt, event.body))
        return life

    def _read(self) -> _Read:
        self._seal()
        found = _Read()
        for lane, body in _bodies(self._directory):
            _take(lane, body, found)
        if self._run_id is None:
            return found
        for name in ("points", "lines", "spans", "events"):
            setattr(found, name, [each for each in getattr(found, name) if each.run_id == self._run_id])
        return found

    def _seal(self) -> None:
        parts = None if self._session is None else self._session.parts
        for run in [] if parts is None else list(parts.live):
            if not run.flush(SEAL_S):
                raise TimeoutError(f"run {run.run_id} did not write its records within {SEAL_S:g} s")


def _bodies(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (lane, request body) of every whole frame."""
    import gzip

    from rundial.spool.frame import scan
    from rundial.spool.segment import HEADER_BYTES

    for path in sorted(directory.rglob("*.seg")):
        for _, frame, _ in scan(path.read_bytes(), HEADER_BYTES):
            yield path.parent.name, gzip.decompress(frame.body) if frame.is_gzip else frame.body


def _take(lane: str, body: bytes, found: _Read) -> None:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    if lane == "metrics":
        for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            run_id = _mapping(group.resource.attributes)[semconv.RUN_ID]
            for scope in group.scope_metrics:
                found.points += [
                    _point(run_id, metric.name, each)
                    for metric in scope.metrics
                    for each in metric.gauge.data_points
                ]
    elif lane == "traces":
        for spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            run_id = _mapping(spans.resource.attributes)[semconv.RUN_ID]
            found.spans += [_span(run_id, each) for scope in spans.scope_spans for each in scope.spans]
    else:
        for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
            resource = _mapping(logs.resource.attributes)
            for held in logs.scope_logs:
                for record in held.log_records:
                    _take_record(resource, record, found)


def _take_record(resource: Mapping[str, Any], record: Any, found: _Read) -> None:
    from rundial.server.anyvalue import plain

    attributes = _mapping(record.attributes)
    run_id = resource[semconv.RUN_ID]
    if record.event_name:
        body: Any = plain(record.body)
        found.events.append(
            Event(
                run_id,
                record.event_name,
                body,
                record.time_unix_nano,
                resource[semconv.SERVICE_INSTANCE_ID],
                resource[semconv.RUN_ATTEMPT],
                attributes[semconv.SEQ],
            )
        )
        return
    attributes.pop(semconv.SEQ, None)
    level = _LEVELS.get((record.severity_number - 1) // 4 * 4 + 1, "info")
    ids = record.trace_id.hex(), record.span_id.hex()
    text = record.body.string_value
    found.lines.append(Line(run_id, text, level, record.time_unix_nano, attributes, *ids))


def _point(run_id: str, name: str, point: Any) -> Point:
    context = _mapping(point.attributes)
    step = context.pop(semconv.STEP, None)
    return Point(run_id, name, point.as_double, step, point.time_unix_nano, context)


def _span(run_id: str, span: Any) -> Span:
    return Span(
        run_id,
        span.name,
        _KINDS[span.kind],
        _STATUSES[span.status.code],
        span.status.message,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _mapping(span.attributes),
        tuple((event.name, _mapping(event.attributes)) for event in span.events),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
    )


def _mapping(pairs: Any) -> dict[str, Any]:
    from rundial.server.anyvalue import mapping

    return mapping(pairs)
