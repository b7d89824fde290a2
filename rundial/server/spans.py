"""OTLP spans, and announcements of open ones, to span rows. Pure; runs in a worker thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from rundial.server.anyvalue import canonical, mapping
from rundial.server.rows import (
    MAX_INT64,
    SPAN_ENDED,
    SPAN_INTERRUPTED,
    SPAN_RUNNING,
    Delivery,
    Refusals,
    SpanRow,
)
from rundial.signals import semconv

KINDS: Final = ("internal", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")


def add_spans(scopes: Iterable[ScopeSpans], delivery: Delivery, refusals: Refusals) -> None:
    """Decode a resource's spans into the delivery, counting what cannot be kept."""
    for scope in scopes:
        for span in scope.spans:
            reason = _refusal(span.trace_id, span.span_id, span.start_time_unix_nano, span.end_time_unix_nano)
            if reason:
                refusals.add(1, reason)
            else:
                delivery.spans.append(_row(span))


def announced(body: Mapping[str, object]) -> SpanRow | str:
    """Read the announcement of a span that is still open; a text says why it cannot be kept."""
    trace_id, span_id = _bytes(body.get("trace_id")), _bytes(body.get("span_id"))
    start = body.get("start_unix_ns")
    start_unix_ns = start if isinstance(start, int) else -1
    reason = _refusal(trace_id, span_id, start_unix_ns, start_unix_ns)
    if reason:
        return reason
    kind = body.get("kind")
    attributes = body.get("attributes")
    return SpanRow(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=_bytes(body.get("parent_span_id")) or None,
        name=str(body.get("name") or ""),
        kind=kind if isinstance(kind, str) and kind in KINDS else "internal",
        start_unix_ns=start_unix_ns,
        end_unix_ns=None,
        status="unset",
        status_message="",
        state=SPAN_RUNNING,
        attributes=canonical(attributes) if isinstance(attributes, dict) and attributes else "",
        events="",
        links="",
    )


def _bytes(value: object) -> bytes:
    """Hex text as bytes; empty when it is none."""
    try:
        return bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return b""


def _refusal(trace_id: bytes, span_id: bytes, start: int, end: int) -> str:
    if len(trace_id) != 16 or not any(trace_id):
        return "a span's trace id must be 16 bytes, not all zero"
    if len(span_id) != 8 or not any(span_id):
        return "a span's id must be 8 bytes, not all zero"
    return "" if 0 <= start <= MAX_INT64 and end <= MAX_INT64 else "a span's times must be 0 to 2^63-1 ns"


def _row(span: Span) -> SpanRow:
    attributes = mapping(span.attributes)
    is_interrupted = attributes.pop(semconv.INTERRUPTED, False) is True
    events = [
        {
            "name": event.name,
            "timestampNs": str(event.time_unix_nano),
            "attributes": mapping(event.attributes),
        }
        for event in span.events
    ]
    links = [
        {"traceId": link.trace_id.hex(), "spanId": link.span_id.hex(), "attributes": mapping(link.attributes)}
        for link in span.links
    ]
    return SpanRow(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id or None,
        name=span.name,
        kind=KINDS[span.kind] if span.kind < len(KINDS) else "internal",
        start_unix_ns=span.start_time_unix_nano,
        end_unix_ns=span.end_time_unix_nano,
        status=STATUSES[span.status.code] if span.status.code < len(STATUSES) else "unset",
        status_message=span.status.message,
        state=SPAN_INTERRUPTED if is_interrupted else SPAN_ENDED,
        attributes=canonical(attributes) if attributes else "",
        events=canonical(events) if events else "",
        links=canonical(links) if links else "",
    )
