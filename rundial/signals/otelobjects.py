"""OTLP requests → the objects that OpenTelemetry's exporters take: the way back, for exporters beside a run.

Runs on an exporter's sender thread. Pure.

Source:
    opentelemetry-proto 1.x for the fields; `opentelemetry.sdk` for the objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode


def decode(lane: str, body: bytes) -> MetricsData | Sequence[ReadableSpan] | Sequence[ReadableLogRecord]:
    """Return what an exporter of a lane takes.

    Args:
        lane: `events`, `metrics`, `logs` or `traces`.
        body: A request of a run's, uncompressed.
    """
    if lane == "metrics":
        return _metrics(body)
    if lane == "traces":
        return [
            _span(span, _resource(group), _scope(scope))
            for group in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
    return [
        _log(record, _resource(group), _scope(scope))
        for group in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]


def _metrics(body: bytes) -> MetricsData:
    groups = ExportMetricsServiceRequest.FromString(body).resource_metrics
    return MetricsData(
        [
            ResourceMetrics(
                _resource(group),
                [
                    ScopeMetrics(
                        _scope(scope), [_metric(metric) for metric in scope.metrics], scope.schema_url
                    )
                    for scope in group.scope_metrics
                ],
                group.schema_url,
            )
            for group in groups
        ]
    )


def _metric(metric: Any) -> Metric:
    """A run's points are gauges, each with its step."""
    points = [
        NumberDataPoint(
            _attributes(point.attributes),
            point.start_time_unix_nano,
            point.time_unix_nano,
            getattr(point, point.WhichOneof("value") or "as_double"),
        )
        for point in metric.gauge.data_points
    ]
    return Metric(metric.name, metric.description, metric.unit, Gauge(points))


def _span(span: Any, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    trace_id = int.from_bytes(span.trace_id, "big")
    parent = _context(trace_id, span.parent_span_id) if span.parent_span_id else None
    code = StatusCode(span.status.code)
    return ReadableSpan(
        name=span.name,
        context=_context(trace_id, span.span_id),
        parent=parent,
        resource=resource,
        attributes=_attributes(span.attributes),
        events=[Event(each.name, _attributes(each.attributes), each.time_unix_nano) for each in span.events],
        links=[
            Link(
                _context(int.from_bytes(each.trace_id, "big"), each.span_id),
                _attributes(each.attributes),
            )
            for each in span.links
        ],
        # OTLP begins at 1, where 0 is unspecified.
        kind=SpanKind(max(0, span.kind - 1)),
        status=Status(code, span.status.message or None if code is StatusCode.ERROR else None),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=scope,
    )


def _log(record: Any, resource: Resource, scope: InstrumentationScope) -> ReadableLogRecord:
    made = LogRecord(
        timestamp=record.time_unix_nano,
        observed_timestamp=record.observed_time_unix_nano,
        severity_text=record.severity_text or None,
        severity_number=SeverityNumber(record.severity_number),
        body=_value(record.body),
        attributes=_attributes(record.attributes),
        event_name=record.event_name or None,
    )
    if record.trace_id:
        made.trace_id = int.from_bytes(record.trace_id, "big")
        made.span_id = int.from_bytes(record.span_id, "big")
        made.trace_flags = TraceFlags(TraceFlags.SAMPLED)
    return ReadableLogRecord(log_record=made, resource=resource, instrumentation_scope=scope)


def _context(trace_id: int, span_id: bytes) -> SpanContext:
    return SpanContext(
        trace_id, int.from_bytes(span_id, "big"), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def _resource(group: Any) -> Resource:
    return Resource(_attributes(group.resource.attributes), group.schema_url or None)


def _scope(group: Any) -> InstrumentationScope:
    return InstrumentationScope(group.scope.name, group.scope.version or None, group.schema_url or None)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
