"""Log records and spans → OTLP request bytes, written as the wire has them.

Without the protobuf package, as the points are: importing it costs 40 to 70 ms of the interpreter, in the
first second of a training script, and frameworks pin it to versions that clash. Nor with the SDK's
encoders: importing them starts a thread pool, which an interpreter that is leaving refuses, and that
is the very moment when a short run's records are encoded. Property tests hold what is written here
against both. Pure; runs on the encoder thread.

Source:
    opentelemetry-proto 1.x: logs.proto, trace.proto for the field numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from rundial.signals import semconv
from rundial.signals.anyvalue import encode_attribute, encode_attributes, encode_value
from rundial.signals.records import Event, SpanData, Text
from rundial.signals.resource import encode_scope
from rundial.signals.wire import delimited, integer, text

# LogRecord: time_unix_nano (1) and observed_time_unix_nano (11), both fixed64.
_LOG_TIMES = Struct("<cQcQ").pack
# Span: start_time_unix_nano (7) and end_time_unix_nano (8).
_SPAN_TIMES = Struct("<cQcQ").pack
# Event: time_unix_nano (1).
_EVENT_TIME = Struct("<cQ").pack
# The lowest bit says that a line's trace is sampled, and all of a run's are. LogRecord.flags (8), fixed32.
_SAMPLED = b"\x45\x01\x00\x00\x00"
# "It is known whether the parent is remote", and it is not (trace.proto, SpanFlags). Span.flags (16),
# Link.flags (6), fixed32.
_LOCAL_PARENT = b"\x85\x01\x00\x01\x00\x00"
_LOCAL_LINK = b"\x35\x00\x01\x00\x00"
_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUSES = {"unset": 0, "ok": 1, "error": 2}
# Each level spans four numbers (INFO is 9 to 12); its text is that of the first.
_SEVERITIES = [b""] + [
    integer(2, number) + text(3, semconv.SEVERITY_TEXT[(number - 1) // 4 * 4 + 1]) for number in range(1, 25)
]


def encode_logs(resource: bytes, records: Sequence[Text | Event]) -> bytes:
    """Return an ExportLogsServiceRequest with the records, in their order.

    Args:
        resource: From `rundial.signals.resource.encode_resource`.
        records: Text lines and events; without any the request is empty (`b""`).
    """
    return _request(resource, [_log(record) for record in records])


def encode_spans(resource: bytes, spans: Sequence[SpanData]) -> bytes:
    """Return an ExportTraceServiceRequest with the spans, in their order.

    Args:
        resource: From `rundial.signals.resource.encode_resource`.
        spans: Ended spans; without any the request is empty (`b""`).
    """
    return _request(resource, [_span(span) for span in spans])


def encode_data_points(resource: bytes, scopes: Sequence[bytes]) -> bytes:
    """Return an ExportMetricsServiceRequest with data points, in their order.

    Args:
        resource: From `rundial.signals.resource.encode_resource`.
        scopes: A ScopeMetrics for each point, as `rundial.signals.otelrequests` makes them.
    """
    return delimited(1, delimited(1, resource) + b"".join([delimited(2, scope) for scope in scopes]))


def _request(resource: bytes, items: list[bytes]) -> bytes:
    """Put items into the shell that both requests share: resource (1), then a scope's items (2) in (2)."""
    if not items:
        return b""
    scope = delimited(1, encode_scope()) + b"".join([delimited(2, item) for item in items])
    return delimited(1, delimited(1, resource) + delimited(2, scope))


def _log(record: Text | Event) -> bytes:
    times = _LOG_TIMES(b"\x09", record.time_unix_ns, b"\x59", record.time_unix_ns)
    return times + (_event(record) if isinstance(record, Event) else _text(record))


def _event(event: Event) -> bytes:
    seq = delimited(6, encode_attribute(semconv.SEQ, event.seq))
    ids = _ids_of(event) if event.name == semconv.EVENT_EVAL_RESULT else b""
    return delimited(5, encode_value(event.body)) + seq + ids + text(12, event.name)


def _ids_of(event: Event) -> bytes:
    """Return the span that a result belongs to, where OpenTelemetry has it; nothing for none."""
    trace_id, span_id = event.body.get("trace_id"), event.body.get("span_id")
    if not trace_id:
        return b""
    span = delimited(10, bytes.fromhex(span_id)) if span_id else b""
    return _SAMPLED + delimited(9, bytes.fromhex(trace_id)) + span


def _text(line: Text) -> bytes:
    parts = [_SEVERITIES[line.severity], delimited(5, text(1, line.body))]
    parts.append(delimited(6, encode_attribute(semconv.SEQ, line.seq)))
    if line.step is not None:
        parts.append(delimited(6, encode_attribute(semconv.STEP, line.step)))
    if line.original_bytes is not None:
        parts.append(delimited(6, encode_attribute(semconv.TRUNCATED, True)))
        parts.append(delimited(6, encode_attribute(semconv.ORIGINAL_BYTES, line.original_bytes)))
    if line.iostream is not None:
        parts.append(delimited(6, encode_attribute(semconv.LOG_IOSTREAM, line.iostream)))
    for key, value in line.attributes.items():
        # How many are gone has a field of its own in OTLP.
        if key == semconv.DROPPED_ATTRIBUTES and isinstance(value, int):
            parts += _count(7, value)
        # So has an event's name; one under `rundial.` would be taken for an event in the life of the run.
        elif key == semconv.EVENT_NAME and isinstance(value, str) and not value.startswith("rundial."):
            parts.append(text(12, value))
        else:
            parts.append(delimited(6, encode_attribute(key, value)))
    if line.trace_id:
        ids = delimited(9, line.trace_id.to_bytes(16, "big")) + delimited(10, line.span_id.to_bytes(8, "big"))
        parts.append(_SAMPLED + ids)
    return b"".join(parts)


def _span(span: SpanData) -> bytes:
    parts = [delimited(1, span.trace_id.to_bytes(16, "big")), delimited(2, span.span_id.to_bytes(8, "big"))]
    if span.parent_span_id:
        parts.append(delimited(4, span.parent_span_id.to_bytes(8, "big")))
    parts += [text(5, span.name), integer(6, _KINDS[span.kind])]
    parts.append(_SPAN_TIMES(b"\x39", span.start_unix_ns, b"\x41", span.end_unix_ns))
    parts.append(encode_attributes(9, span.attributes))
    parts += _count(10, span.dropped_attributes)
    for name, time_unix_ns, attributes in span.events:
        event = _EVENT_TIME(b"\x09", time_unix_ns) + text(2, name) + encode_attributes(3, attributes)
        parts.append(delimited(11, event))
    parts += _count(12, span.dropped_events)
    for trace_id, span_id, attributes in span.links:
        ids = delimited(1, trace_id.to_bytes(16, "big")) + delimited(2, span_id.to_bytes(8, "big"))
        parts.append(delimited(13, ids + encode_attributes(4, attributes) + _LOCAL_LINK))
    parts += _count(14, span.dropped_links)
    parts += [delimited(15, _status(span)), _LOCAL_PARENT]
    return b"".join(parts)


def _status(span: SpanData) -> bytes:
    message = text(2, span.status_message) if span.status == "error" and span.status_message else b""
    code = _STATUSES[span.status]
    return message + (integer(3, code) if code else b"")


def _count(field: int, number: int) -> list[bytes]:
    # A count has 32 bits on the wire.
    return [integer(field, min(number, 2**32 - 1))] if number else []
