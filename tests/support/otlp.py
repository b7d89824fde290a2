"""OTLP requests for tests, made with OpenTelemetry's own messages and not with our packer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

T0 = 1_700_000_000_000_000_000


def value(plain: object) -> AnyValue:
    """Any Python value as OTLP's."""
    if isinstance(plain, bool):
        return AnyValue(bool_value=plain)
    if isinstance(plain, int):
        return AnyValue(int_value=plain)
    if isinstance(plain, float):
        return AnyValue(double_value=plain)
    if isinstance(plain, str):
        return AnyValue(string_value=plain)
    if isinstance(plain, Mapping):
        return AnyValue(kvlist_value=KeyValueList(values=pairs(plain)))
    if isinstance(plain, Sequence):
        return AnyValue(array_value=ArrayValue(values=[value(each) for each in plain]))
    return AnyValue()


def pairs(attributes: Mapping[str, object]) -> list[KeyValue]:
    """Attributes as OTLP's."""
    return [KeyValue(key=key, value=value(each)) for key, each in attributes.items()]


def resource(
    run_id: str | None, *, instance: str = "instance-1", attempt: int = 1, **more: object
) -> Resource:
    """The resource of a run of project `digits`; keywords replace attributes, `__` standing for a dot."""
    attributes: dict[str, object] = {
        "service.name": "digits",
        "service.instance.id": instance,
        "rundial.project": "digits",
        "rundial.run.kind": "training",
        "rundial.run.attempt": attempt,
    }
    if run_id is not None:
        attributes["rundial.run.id"] = run_id
    attributes.update({name.replace("__", "."): each for name, each in more.items()})
    return Resource(attributes=pairs({key: each for key, each in attributes.items() if each is not None}))


def point(step: int | None, number: float, *, time: int | None = None, **context: object) -> NumberDataPoint:
    """A point; its time follows from its step unless one is given."""
    attributes = pairs(context)
    if step is not None:
        attributes.append(KeyValue(key="rundial.step", value=AnyValue(int_value=step)))
    when = T0 + 1_000 * (step or 0) if time is None else time
    return NumberDataPoint(time_unix_nano=when, as_double=number, attributes=attributes)


def gauge(name: str, points: Iterable[NumberDataPoint]) -> Metric:
    """A metric of points."""
    return Metric(name=name, gauge=Gauge(data_points=points))


def histogram(name: str, counts: Sequence[int], bounds: Sequence[float]) -> Metric:
    """A metric of one histogram: a count more than it has bounds."""
    held = HistogramDataPoint(
        time_unix_nano=T0, count=sum(counts), bucket_counts=counts, explicit_bounds=bounds
    )
    delta = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    return Metric(name=name, histogram=Histogram(data_points=[held], aggregation_temporality=delta))


def metrics(*groups: tuple[Resource, Sequence[Metric]]) -> bytes:
    """A metrics request of resources and their metrics."""
    request = ExportMetricsServiceRequest(
        resource_metrics=[
            ResourceMetrics(resource=owner, scope_metrics=[ScopeMetrics(metrics=held)])
            for owner, held in groups
        ]
    )
    return request.SerializeToString()


def curve(run_id: str, name: str, numbers: Sequence[float], **more: Any) -> bytes:
    """A metrics request with one series, a point a step."""
    points = [point(step, number) for step, number in enumerate(numbers)]
    return metrics((resource(run_id, **more), [gauge(name, points)]))


def line(
    seq: int | None, text: str, *, time: int | None = None, severity: int = 9, **more: object
) -> LogRecord:
    """A text line."""
    attributes = dict(more) if seq is None else {"rundial.seq": seq, **more}
    when = T0 + (seq or 0) if time is None else time
    return LogRecord(
        time_unix_nano=when,
        severity_number=severity,  # type: ignore[arg-type]  # the stub wants the enum's own type
        body=AnyValue(string_value=text),
        attributes=pairs(attributes),
    )


def event(seq: int, name: str, body: Mapping[str, object], *, time: int | None = None) -> LogRecord:
    """An event of a run's life."""
    return LogRecord(
        time_unix_nano=T0 + seq if time is None else time,
        event_name=name,
        body=value(body),
        attributes=pairs({"rundial.seq": seq}),
    )


def logs(owner: Resource, records: Sequence[LogRecord]) -> bytes:
    """A logs request."""
    scopes = [ScopeLogs(log_records=records)]
    request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=owner, scope_logs=scopes)])
    return request.SerializeToString()


def span(number: int, name: str, *, is_interrupted: bool = False, parent: int = 0) -> Span:
    """A span; its ids follow from its number."""
    return Span(
        trace_id=(7).to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=T0 + number,
        end_time_unix_nano=T0 + number + 500,
        attributes=pairs({"rundial.interrupted": True} if is_interrupted else {"epoch": number}),
    )


def spans(owner: Resource, held: Sequence[Span]) -> bytes:
    """A traces request."""
    scopes = [ScopeSpans(spans=held)]
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=owner, scope_spans=scopes)])
    return request.SerializeToString()
