"""One OTLP request body to rows. Pure and slow: runs in a worker thread, never on the event loop.

What cannot be kept is counted with its reason and reported by partial success; only a body that is
not OTLP at all is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from rundial.server.packed import decode_packed
from rundial.server.points import add_metrics
from rundial.server.problems import invalid
from rundial.server.resources import TargetError, target_of
from rundial.server.rows import Decoded, Delivery, Refusals, Signal, Target
from rundial.server.spans import add_spans
from rundial.server.texts import add_records

_REQUESTS: Final[dict[Signal, Callable[[], Any]]] = {
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
    "traces": ExportTraceServiceRequest,
}


def decode(signal: Signal, body: bytes) -> Decoded:
    """Decode a request.

    Raises:
        Problem: The body is not an OTLP request of this signal.
    """
    packed = decode_packed(body) if signal == "metrics" else None
    return decode_any(signal, body) if packed is None else packed


def decode_any(signal: Signal, body: bytes) -> Decoded:
    """Decode a request by OpenTelemetry's own messages, whoever encoded it.

    Raises:
        Problem: The body is not an OTLP request of this signal.
    """
    request = _REQUESTS[signal]()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise invalid(
            f"the body is not an OTLP {signal} request",
            "send application/x-protobuf as OTLP/HTTP says, gzip or identity",
        ) from error
    if signal == "metrics":
        return _decode(request.resource_metrics, _take_metrics)
    if signal == "logs":
        return _decode(request.resource_logs, _take_logs)
    return _decode(request.resource_spans, _take_spans)


def answer(signal: Signal, refusals: Refusals) -> bytes:
    """Encode the response: empty when all was taken, else how much was not and why."""
    if signal == "metrics":
        metrics = ExportMetricsServiceResponse()
        if refusals.items:
            metrics.partial_success.rejected_data_points = refusals.items
            metrics.partial_success.error_message = refusals.message
        return metrics.SerializeToString()
    if signal == "logs":
        logs = ExportLogsServiceResponse()
        if refusals.items:
            logs.partial_success.rejected_log_records = refusals.items
            logs.partial_success.error_message = refusals.message
        return logs.SerializeToString()
    traces = ExportTraceServiceResponse()
    if refusals.items:
        traces.partial_success.rejected_spans = refusals.items
        traces.partial_success.error_message = refusals.message
    return traces.SerializeToString()


def _decode(resources: Any, take: Callable[[Any, Delivery, Refusals], None]) -> Decoded:
    refusals = Refusals()
    deliveries: dict[Target, Delivery] = {}
    for group in resources:
        target = _target(group, refusals)
        if target is not None:
            take(group, deliveries.setdefault(target, Delivery(target)), refusals)
    return Decoded(list(deliveries.values()), refusals)


def _target(group: Any, refusals: Refusals) -> Target | None:
    try:
        return target_of(group.resource)
    except TargetError as error:
        refusals.add(_count(group), str(error))
        return None


def _count(group: Any) -> int:
    """How many OTLP items a resource's group holds, whatever its signal."""
    if hasattr(group, "scope_logs"):
        return sum(len(scope.log_records) for scope in group.scope_logs)
    if hasattr(group, "scope_spans"):
        return sum(len(scope.spans) for scope in group.scope_spans)
    return sum(_points(metric) for scope in group.scope_metrics for metric in scope.metrics)


def _points(metric: Any) -> int:
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 0


def _take_metrics(group: Any, delivery: Delivery, refusals: Refusals) -> None:
    add_metrics(group.scope_metrics, delivery, refusals)


def _take_logs(group: Any, delivery: Delivery, refusals: Refusals) -> None:
    add_records(group.scope_logs, delivery, refusals)


def _take_spans(group: Any, delivery: Delivery, refusals: Refusals) -> None:
    add_spans(group.scope_spans, delivery, refusals)
