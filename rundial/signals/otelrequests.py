"""OpenTelemetry's own spans, log records and metrics → OTLP requests of one record each.

A request of one record holds its resource and scope as they are, and requests concatenate to their union, so
that a program's records can go through the ring one by one and leave in one request. Beside
`rundial.signals.otlp`, the only module that imports OpenTelemetry's encoders and underscore modules.

Runs on the thread that records. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.metrics.v1.metrics_pb2 import ScopeMetrics
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from rundial.signals import semconv
from rundial.signals.preview import cut_utf8
from rundial.signals.split import split_request

__all__ = [
    "LogRecordExportResult",
    "LogRecordExporter",
    "LogRecordProcessor",
    "ReadWriteLogRecord",
    "ReadableLogRecord",
    "ScopeMetrics",
    "cut_attributes",
    "log_request",
    "lone_points",
    "point_requests",
    "readable",
    "span_request",
]

# What a long value is cut to, one after the other until the record fits.
_CAPS = (16_384, 4_096, 1_024, 256)
_MAX_REPEATED = 128


def span_request(span: ReadableSpan, limit_bytes: int) -> bytes:
    """Return a request with one ended span, its long values cut where it is over the limit."""
    return _fitted(encode_spans([span]), limit_bytes)


def log_request(record: ReadableLogRecord, limit_bytes: int) -> bytes:
    """Return a request with one log record, its long values cut where it is over the limit."""
    return _fitted(encode_logs([record]), limit_bytes)


def readable(record: ReadWriteLogRecord) -> ReadableLogRecord:
    """Return what a processor is handed as an exporter gets it."""
    return ReadableLogRecord(
        log_record=record.log_record,
        resource=record.resource or Resource.get_empty(),
        instrumentation_scope=record.instrumentation_scope,
        limits=record.limits,
    )


def point_requests(metrics: MetricsData) -> Iterator[bytes]:
    """Yield a request for each data point of a collection, in its order."""
    request: bytes = encode_metrics(metrics).SerializeToString()
    waiting = [request] if request else []
    while waiting:
        whole = waiting.pop()
        halves = split_request("metrics", whole)
        if halves is None:
            yield whole
        else:
            waiting += [halves[1][0], halves[0][0]]


def lone_points(metrics: MetricsData) -> Iterator[tuple[Any, str, Any]]:
    """Yield each data point of a collection on its own.

    Yields:
        The point as the only one of a ScopeMetrics message, with scope and metric as they were given; the
        name of protobuf's field that holds it; and the point inside that message, to be changed in place.
    """
    for group in encode_metrics(metrics).resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data") or "gauge"
                for point in getattr(metric, kind).data_points:
                    yield _alone(scope, metric, kind, point)


def _alone(scope: Any, metric: Any, kind: str, point: Any) -> tuple[Any, str, Any]:
    lone = ScopeMetrics(scope=scope.scope, schema_url=scope.schema_url)
    copy = lone.metrics.add(name=metric.name, unit=metric.unit, description=metric.description)
    held = getattr(copy, kind)
    for field, value in getattr(metric, kind).ListFields():
        if field.name != "data_points":
            # Temporality, and whether a sum only grows.
            setattr(held, field.name, value)
    held.data_points.append(point)
    return lone, kind, held.data_points[0]


def cut_attributes(attributes: Any, most: int, cap: int) -> None:
    """Cut a message's attributes to so many, and their texts to so many bytes, which is said beside them."""
    del attributes[most:]
    _cut_attributes(attributes, cap)


def _fitted(request: Any, limit_bytes: int) -> bytes:
    """Return a request's bytes, with as little of it missing as the limit asks for."""
    data: bytes = request.SerializeToString()
    for cap in _CAPS:
        if len(data) <= limit_bytes:
            return data
        _cut(request, cap)
        data = request.SerializeToString()
    if len(data) > limit_bytes:
        _thin_out(request)
        data = request.SerializeToString()
    return data


def _cut(message: Any, cap: int) -> None:
    """Cut the texts below a message; beside an attribute's it says how long each was."""
    for field, value in list(message.ListFields()):
        if field.message_type is None:
            continue
        if hasattr(value, "DESCRIPTOR"):
            _cut_value(value, cap) if field.message_type.name == "AnyValue" else _cut(value, cap)
        elif field.message_type.name == "KeyValue":
            _cut_attributes(value, cap)
        else:
            for each in value:
                _cut(each, cap)


def _cut_attributes(attributes: Any, cap: int) -> None:
    known = {each.key for each in attributes}
    for each in list(attributes):
        original = _cut_value(each.value, cap)
        name = f"{each.key}.{semconv.ORIGINAL_BYTES}"
        if original and name not in known:
            attributes.add(key=name).value.int_value = original


def _cut_value(value: Any, cap: int) -> int:
    """Cut one value; return how many bytes its longest text had, 0 where nothing was cut."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        data = value.string_value.encode()
        if len(data) > cap:
            value.string_value = cut_utf8(data, cap).decode()
            return len(data)
    elif kind == "bytes_value" and len(value.bytes_value) > cap:
        size = len(value.bytes_value)
        value.bytes_value = value.bytes_value[:cap]
        return size
    elif kind == "array_value":
        return max((_cut_value(each, cap) for each in value.array_value.values), default=0)
    elif kind == "kvlist_value":
        return max((_cut_value(each.value, cap) for each in value.kvlist_value.values), default=0)
    return 0


def _thin_out(message: Any) -> None:
    """Drop what there is too much of, behind the first ones; OTLP's own counters say how many."""
    for field, value in list(message.ListFields()):
        if field.message_type is None:
            continue
        if hasattr(value, "DESCRIPTOR"):
            _thin_out(value)
            continue
        excess = len(value) - _MAX_REPEATED
        if excess > 0:
            del value[_MAX_REPEATED:]
            counter = f"dropped_{field.name}_count"
            if hasattr(message, counter):
                setattr(message, counter, getattr(message, counter) + excess)
        for each in value:
            _thin_out(each)
