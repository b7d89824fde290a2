"""One OTLP request body to rows. Pure and slow: runs in a worker thread, never on the event loop.

What cannot be kept is counted with its reason and reported by partial success; only a body that is
not OTLP at all is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from rundial.server.packed import decode_packed
from rundial.server.pieces import REQUESTS, pieces
from rundial.server.points import add_metrics
from rundial.server.problems import Problem, invalid
from rundial.server.resources import TargetError, target_of
from rundial.server.rows import Decoded, Delivery, Refusals, Signal, Target
from rundial.server.spans import add_spans
from rundial.server.texts import add_records

# Bounds on what the rows of one request take in memory.
MAX_ITEMS: Final[dict[Signal, int]] = {"metrics": 500_000, "logs": 100_000, "traces": 100_000}
MAX_RESOURCES: Final = 20_000
MAX_SERIES: Final = 10_000


def decode(signal: Signal, body: bytes) -> Decoded:
    """Decode a protobuf request.

    Raises:
        Problem: The body is not an OTLP request of this signal, or larger than is decoded at once.
    """
    found = Decoded([], Refusals())
    items = series = 0
    for piece in pieces(signal, body):
        packed = decode_packed(piece) if signal == "metrics" else None
        decoded = decode_any(signal, piece) if packed is None else packed
        items += sum(delivery.items() for delivery in decoded.deliveries)
        series += sum(len(delivery.series) for delivery in decoded.deliveries)
        _check_items(signal, items)
        if series > MAX_SERIES:
            # A new one takes the writer a fraction of a millisecond, and everybody else waits for it.
            message = f"the request has more than {MAX_SERIES:,} series"
            raise Problem(413, message, "send it in several requests")
        found.deliveries.extend(decoded.deliveries)
        found.refusals.merge(decoded.refusals)
    return found


def decode_any(signal: Signal, body: bytes) -> Decoded:
    """Decode a protobuf request by OpenTelemetry's own messages, whoever encoded it.

    Raises:
        Problem: The body is not an OTLP request of this signal, or holds too many records.
    """
    request = REQUESTS[signal]()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise invalid(
            f"the body is not an OTLP {signal} request",
            "send OTLP/HTTP, protobuf or JSON, and say which in content-type",
        ) from error
    return decode_request(signal, request)


def decode_request(signal: Signal, request: Any) -> Decoded:
    """Decode a request that was parsed.

    Raises:
        Problem: It holds too many records.
    """
    groups, take = _TAKES[signal]
    resources = getattr(request, groups)  # our own table's name, never the client's text
    if len(resources) > MAX_RESOURCES:
        message = f"the request has more than {MAX_RESOURCES:,} resources"
        raise Problem(413, message, "send it in several requests")
    _check_items(signal, sum(map(_count, resources)))
    return _decode(resources, take)


def _check_items(signal: Signal, items: int) -> None:
    if items > MAX_ITEMS[signal]:
        raise Problem(
            413,
            f"the request has {items:,} or more records; at most {MAX_ITEMS[signal]:,} are taken at once",
            "send it in several requests",
        )


def answer(signal: Signal, refusals: Refusals) -> Any:
    """Make the response: empty when all was taken, else how much was not and why."""
    if signal == "metrics":
        metrics = ExportMetricsServiceResponse()
        if refusals.items:
            metrics.partial_success.rejected_data_points = refusals.items
            metrics.partial_success.error_message = refusals.message
        return metrics
    if signal == "logs":
        logs = ExportLogsServiceResponse()
        if refusals.items:
            logs.partial_success.rejected_log_records = refusals.items
            logs.partial_success.error_message = refusals.message
        return logs
    traces = ExportTraceServiceResponse()
    if refusals.items:
        traces.partial_success.rejected_spans = refusals.items
        traces.partial_success.error_message = refusals.message
    return traces


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


_TAKES: Final[dict[Signal, tuple[str, Callable[[Any, Delivery, Refusals], None]]]] = {
    "metrics": ("resource_metrics", _take_metrics),
    "logs": ("resource_logs", _take_logs),
    "traces": ("resource_spans", _take_spans),
}
