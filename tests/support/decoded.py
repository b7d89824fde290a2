"""OTLP records as the scripted collector keeps them: decoded by `opentelemetry-proto`, in plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass(frozen=True)
class Point:
    """A stored metric point."""

    resource: Mapping[str, Any]
    name: str
    value: float
    time_unix_ns: int
    attributes: Mapping[str, Any]

    @property
    def step(self) -> int | None:
        """The x that the user counts by."""
        step = self.attributes.get("rundial.step")
        return step if isinstance(step, int) else None


@dataclass(frozen=True)
class Log:
    """A stored log record; an event when it has a name."""

    resource: Mapping[str, Any]
    event_name: str
    body: Any
    time_unix_ns: int
    severity: int
    attributes: Mapping[str, Any]
    trace_id: str
    span_id: str


@dataclass(frozen=True)
class SpanEvent:
    """What happened within a span."""

    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Span:
    """A stored span."""

    resource: Mapping[str, Any]
    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    start_unix_ns: int
    end_unix_ns: int
    status: int
    attributes: Mapping[str, Any]
    events: tuple[SpanEvent, ...] = ()


def walk(message: Any) -> Iterable[tuple[Any, Mapping[str, Any], str]]:
    """Yield (record, resource attributes, metric name) of a request, in order."""
    for group in getattr(message, "resource_metrics", ()):
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, metric.WhichOneof("data") or "gauge")
                yield from ((point, resource, metric.name) for point in data.data_points)
    for group in getattr(message, "resource_logs", ()):
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_logs:
            yield from ((record, resource, "") for record in scope.log_records)
    for group in getattr(message, "resource_spans", ()):
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            yield from ((span, resource, "") for span in scope.spans)


def stored(record: Any, resource: Mapping[str, Any], name: str) -> Point | Log | Span:
    """Return one record in plain values."""
    attributes = _attributes(record.attributes)
    if hasattr(record, "severity_number"):
        return Log(
            resource,
            record.event_name,
            _value(record.body),
            record.time_unix_nano,
            record.severity_number,
            attributes,
            record.trace_id.hex(),
            record.span_id.hex(),
        )
    if hasattr(record, "parent_span_id"):
        return Span(
            resource,
            record.name,
            record.trace_id.hex(),
            record.span_id.hex(),
            record.parent_span_id.hex(),
            record.start_time_unix_nano,
            record.end_time_unix_nano,
            record.status.code,
            attributes,
            tuple(SpanEvent(event.name, _attributes(event.attributes)) for event in record.events),
        )
    kind = record.WhichOneof("value") if hasattr(record, "as_double") else None
    value = float(getattr(record, kind)) if kind else float(getattr(record, "sum", 0.0))
    return Point(resource, name, value, record.time_unix_nano, attributes)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(part) for part in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
