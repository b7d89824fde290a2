"""Our log and span encoding against OpenTelemetry's official encoders."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber  # noqa: TID251 - the oracle needs the SDK's own objects
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as official_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as official_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import ReadableLogRecord  # noqa: TID251 - as above
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from rundial.signals import semconv
from rundial.signals.otlp import encode_logs, encode_spans
from rundial.signals.records import Event, SpanData, Text
from rundial.signals.resource import encode_resource
from rundial.version import __version__

RESOURCE = {"service.name": "p"}
ENVELOPE: dict[str, Any] = {
    "resource": Resource(RESOURCE),
    "instrumentation_scope": InstrumentationScope(semconv.SCOPE_NAME, __version__),
}
INT64 = st.integers(-(2**63), 2**63 - 1)
TIMES = st.integers(1, 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SCALARS = TEXT | st.booleans() | INT64 | st.floats(allow_nan=False)
LISTS = st.lists(TEXT, max_size=3) | st.lists(INT64, max_size=3) | st.lists(st.booleans(), max_size=3)
VALUES = SCALARS | LISTS
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=4)
BODIES = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_size=4,
)
TRACE_IDS = st.integers(1, 2**128 - 1)
SPAN_IDS = st.integers(1, 2**64 - 1)
TEXTS = st.builds(
    Text,
    seq=st.integers(0, 2**63 - 1),
    time_unix_ns=TIMES,
    severity=st.integers(1, 24),
    body=TEXT,
    original_bytes=st.none() | st.integers(8193, 2**32 - 1),
    step=st.none() | st.integers(0, 2**63 - 1),
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    iostream=st.sampled_from([None, "stdout", "stderr"]),
    attributes=ATTRIBUTES,
)
EVENTS = st.builds(
    Event, seq=st.integers(0, 2**63 - 1), time_unix_ns=TIMES, name=KEYS, body=BODIES.filter(bool)
)
SPANS = st.builds(
    SpanData,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=st.just(0) | SPAN_IDS,
    name=TEXT,
    kind=st.sampled_from(["internal", "server", "client", "producer", "consumer"]),
    start_unix_ns=TIMES,
    end_unix_ns=TIMES,
    attributes=ATTRIBUTES,
    events=st.lists(st.tuples(KEYS, TIMES, ATTRIBUTES), max_size=3),
    links=st.lists(st.tuples(TRACE_IDS, SPAN_IDS, ATTRIBUTES), max_size=2),
    status=st.sampled_from(["unset", "ok", "error"]),
    status_message=TEXT,
)


def context(trace_id: int, span_id: int) -> SpanContext:
    """Return a local, sampled span context."""
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def official_text(line: Text) -> ReadableLogRecord:
    """Return a line as the SDK would hold it."""
    attributes: dict[str, Any] = {semconv.SEQ: line.seq}
    if line.step is not None:
        attributes[semconv.STEP] = line.step
    if line.original_bytes is not None:
        attributes |= {semconv.TRUNCATED: True, semconv.ORIGINAL_BYTES: line.original_bytes}
    if line.iostream is not None:
        attributes[semconv.LOG_IOSTREAM] = line.iostream
    attributes |= line.attributes
    record = LogRecord(
        timestamp=line.time_unix_ns,
        observed_timestamp=line.time_unix_ns,
        context=set_span_in_context(NonRecordingSpan(context(line.trace_id, line.span_id)), Context()),
        severity_number=SeverityNumber(line.severity),
        severity_text=semconv.SEVERITY_TEXT[(line.severity - 1) // 4 * 4 + 1],
        body=line.body,
        attributes=attributes,
    )
    return ReadableLogRecord(record, **ENVELOPE)


def official_span(span: SpanData) -> ReadableSpan:
    """Return a span as the SDK would hold it."""
    return ReadableSpan(
        name=span.name,
        context=context(span.trace_id, span.span_id),
        parent=context(span.trace_id, span.parent_span_id) if span.parent_span_id else None,
        attributes=span.attributes,
        events=[SdkEvent(name, attributes, timestamp=at) for name, at, attributes in span.events],
        links=[Link(context(trace_id, span_id), of) for trace_id, span_id, of in span.links],
        kind=SpanKind[span.kind.upper()],
        status=Status(
            StatusCode[span.status.upper()], span.status_message if span.status == "error" else None
        ),
        start_time=span.start_unix_ns,
        end_time=span.end_unix_ns,
        **ENVELOPE,
    )


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_text_lines_are_encoded_as_the_official_encoder_does(lines: list[Text]) -> None:
    """A Collector cannot tell our log records from the SDK's."""
    ours = ExportLogsServiceRequest.FromString(encode_logs(encode_resource(RESOURCE), lines))

    assert ours == official_logs([official_text(line) for line in lines])


@given(EVENTS)
def test_events_are_encoded_as_the_official_encoder_does(event: Event) -> None:
    """A run event is an OTel event with a nested body, as the SDK would send it."""
    record = LogRecord(
        timestamp=event.time_unix_ns,
        observed_timestamp=event.time_unix_ns,
        context=Context(),
        event_name=event.name,
        body=event.body,  # type: ignore[arg-type]  # a mapping of AnyValues
        attributes={semconv.SEQ: event.seq},
    )
    ours = ExportLogsServiceRequest.FromString(encode_logs(encode_resource(RESOURCE), [event]))

    assert ours == official_logs([ReadableLogRecord(record, **ENVELOPE)])


@given(st.lists(SPANS, min_size=1, max_size=3))
def test_spans_are_encoded_as_the_official_encoder_does(spans: list[SpanData]) -> None:
    """A Collector cannot tell our spans from the SDK's."""
    ours = ExportTraceServiceRequest.FromString(encode_spans(encode_resource(RESOURCE), spans))

    assert ours == official_spans([official_span(span) for span in spans])
