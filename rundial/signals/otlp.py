"""Log records and spans → OTLP request bytes, by OpenTelemetry's own protobuf classes.

The only module of the client that imports protobuf, inside functions: it costs some 40 ms, and
`import rundial` must not pay for it. The SDK's encoders are not used here, but held against in a
property test: importing them starts a thread pool, which an interpreter that is leaving refuses,
and that is the very moment when a short run's records are encoded. (They also take 10 times as
long: 23-57 µs a record, against 3-8.) Runs on the encoder thread.

Source:
    opentelemetry-proto 1.x: logs.proto, trace.proto, common.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rundial.signals import semconv
from rundial.signals.records import Event, SpanData, Text
from rundial.version import __version__

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_INT64_MAX = 2**63 - 1
# The lowest bit says that a line's trace is sampled, and all of a run's are.
_SAMPLED = 1
# "It is known whether the parent is remote", and it is not (trace.proto, SpanFlags).
_LOCAL_PARENT = 0x100
_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUSES = {"unset": 0, "ok": 1, "error": 2}


def prepare() -> None:
    """Import what `encode_logs` needs, so that it does not do it later."""
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2  # noqa: F401 - to have it


def encode_logs(resource: bytes, records: Sequence[Text | Event]) -> bytes:
    """Return an ExportLogsServiceRequest with the records, in their order.

    Args:
        resource: From `rundial.signals.resource.encode_resource`.
        records: Text lines and events; without any the request is empty (`b""`).
    """
    if not records:
        return b""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    whole = request.resource_logs.add()
    whole.resource.MergeFromString(resource)
    part = whole.scope_logs.add()
    part.scope.name, part.scope.version = semconv.SCOPE_NAME, __version__
    for record in records:
        message = part.log_records.add()
        message.time_unix_nano = message.observed_time_unix_nano = record.time_unix_ns
        if isinstance(record, Event):
            _fill_event(message, record)
        else:
            _fill_text(message, record)
    return bytes(request.SerializeToString())


def encode_spans(resource: bytes, spans: Sequence[SpanData]) -> bytes:
    """Return an ExportTraceServiceRequest with the spans, in their order.

    Args:
        resource: From `rundial.signals.resource.encode_resource`.
        spans: Ended spans; without any the request is empty (`b""`).
    """
    if not spans:
        return b""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    whole = request.resource_spans.add()
    whole.resource.MergeFromString(resource)
    part = whole.scope_spans.add()
    part.scope.name, part.scope.version = semconv.SCOPE_NAME, __version__
    for span in spans:
        _fill_span(part.spans.add(), span)
    return bytes(request.SerializeToString())


def _fill_event(message: LogRecord, event: Event) -> None:
    message.event_name = event.name
    _put(message.body, event.body)
    _add(message.attributes, semconv.SEQ, event.seq)


def _fill_text(message: LogRecord, line: Text) -> None:
    message.body.string_value = line.body
    if line.severity:
        message.severity_number = line.severity  # type: ignore[assignment]  # the enum's own numbers
        # Each level spans four numbers (INFO is 9 to 12); its text is that of the first.
        message.severity_text = semconv.SEVERITY_TEXT[(line.severity - 1) // 4 * 4 + 1]
    if line.trace_id:
        message.trace_id = line.trace_id.to_bytes(16, "big")
        message.span_id = line.span_id.to_bytes(8, "big")
        message.flags = _SAMPLED
    _add(message.attributes, semconv.SEQ, line.seq)
    if line.step is not None:
        _add(message.attributes, semconv.STEP, line.step)
    if line.original_bytes is not None:
        _add(message.attributes, semconv.TRUNCATED, True)
        _add(message.attributes, semconv.ORIGINAL_BYTES, line.original_bytes)
    if line.iostream is not None:
        _add(message.attributes, semconv.LOG_IOSTREAM, line.iostream)


def _fill_span(message: Span, span: SpanData) -> None:
    message.trace_id = span.trace_id.to_bytes(16, "big")
    message.span_id = span.span_id.to_bytes(8, "big")
    message.flags = _LOCAL_PARENT
    if span.parent_span_id:
        message.parent_span_id = span.parent_span_id.to_bytes(8, "big")
    message.name = span.name
    message.kind = _KINDS[span.kind]  # type: ignore[assignment]  # the enum's own numbers
    message.start_time_unix_nano = span.start_unix_ns
    message.end_time_unix_nano = span.end_unix_ns
    _add_all(message.attributes, span.attributes)
    for name, time_unix_ns, attributes in span.events:
        event = message.events.add()
        event.name, event.time_unix_nano = name, time_unix_ns
        _add_all(event.attributes, attributes)
    for trace_id, span_id, attributes in span.links:
        link = message.links.add()
        link.trace_id = trace_id.to_bytes(16, "big")
        link.span_id = span_id.to_bytes(8, "big")
        link.flags = _LOCAL_PARENT
        _add_all(link.attributes, attributes)
    message.status.SetInParent()
    message.status.code = _STATUSES[span.status]  # type: ignore[assignment]  # the enum's own numbers
    if span.status == "error":
        message.status.message = span.status_message
    message.dropped_attributes_count = span.dropped_attributes
    message.dropped_events_count = span.dropped_events
    message.dropped_links_count = span.dropped_links


def _add_all(messages: Any, attributes: Mapping[str, Any]) -> None:
    for key, value in attributes.items():
        _add(messages, key, value)


def _add(messages: Any, key: str, value: Any) -> None:
    message = messages.add()
    message.key = key
    _put(message.value, value)


def _put(message: AnyValue, value: Any) -> None:
    """Fill an AnyValue; None leaves it empty, which is how OTLP says null."""
    if isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int) and -_INT64_MAX - 1 <= value <= _INT64_MAX:
        message.int_value = value
    elif isinstance(value, (int, float)):
        message.double_value = value
    elif isinstance(value, (bytes, bytearray)):
        message.bytes_value = bytes(value)
    elif value is not None:
        _put_nested(message, value)


def _put_nested(message: AnyValue, value: Any) -> None:
    if isinstance(value, Mapping):
        message.kvlist_value.SetInParent()
        for key, item in value.items():
            _add(message.kvlist_value.values, str(key), item)
    elif isinstance(value, Sequence):
        message.array_value.SetInParent()
        for item in value:
            _put(message.array_value.values.add(), item)
    else:
        raise TypeError(f"{type(value).__name__} is no OTLP value")
