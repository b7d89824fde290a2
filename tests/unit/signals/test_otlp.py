"""Text, events and spans as OTLP requests."""

from __future__ import annotations

import subprocess
import sys

from opentelemetry import trace
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rundial import __version__
from rundial.signals.otlp import encode_logs, encode_spans
from rundial.signals.records import Event, SpanData, Text
from rundial.signals.resource import encode_resource

RESOURCE = encode_resource({"service.name": "p", "rundial.run.id": "run_1"})


def records_of(body: bytes) -> list[LogRecord]:
    """Return the log records of a request."""
    return list(ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records)


def attributes_of(items: object) -> dict[str, object]:
    """Return attributes as a dictionary of plain values."""
    return {item.key: getattr(item.value, str(item.value.WhichOneof("value"))) for item in items}  # type: ignore[attr-defined]  # protobuf's repeated field


def test_encode_logs_writes_a_text_line_in_full() -> None:
    """A line keeps its level, step, flags, place in the run and the span it was logged in."""
    line = Text(
        7, 10**18, 17, "é" * 3, original_bytes=9_000, step=4, trace_id=0xAB, span_id=0xC, iostream="stderr"
    )
    (record,) = records_of(encode_logs(RESOURCE, [line]))

    assert record.time_unix_nano == record.observed_time_unix_nano == 10**18
    assert (record.severity_number, record.severity_text, record.body.string_value) == (17, "ERROR", "ééé")
    assert (record.trace_id, record.span_id) == ((0xAB).to_bytes(16, "big"), (0xC).to_bytes(8, "big"))
    assert attributes_of(record.attributes) == {
        "rundial.seq": 7,
        "rundial.step": 4,
        "rundial.truncated": True,
        "rundial.original_bytes": 9_000,
        "log.iostream": "stderr",
    }


def test_encode_logs_writes_a_lines_attributes() -> None:
    """What is known of a line beside its text arrives with its type; what was dropped is counted."""
    line = Text(1, 1, 9, "x", attributes={"n": 3, "tags": ["a"], "rundial.dropped_attributes": 7})
    (record,) = records_of(encode_logs(RESOURCE, [line]))

    assert {item.key for item in record.attributes} == {"rundial.seq", "n", "tags"}
    assert attributes_of(record.attributes[1:2]) == {"n": 3}
    assert record.dropped_attributes_count == 7


def test_encode_logs_leaves_out_what_a_line_has_not() -> None:
    """Captured console output has no severity, and a plain line no step, span or flag."""
    (record,) = records_of(encode_logs(RESOURCE, [Text(0, 1, 0, "")]))

    assert (record.severity_number, record.severity_text, record.trace_id, record.span_id) == (
        0,
        "",
        b"",
        b"",
    )
    assert attributes_of(record.attributes) == {"rundial.seq": 0}


def test_encode_logs_takes_no_span_from_the_thread_that_encodes() -> None:
    """At exit encoding may run inside the user's own span, which has nothing to do with the lines."""
    span = trace.NonRecordingSpan(trace.SpanContext(5, 6, is_remote=False))
    with trace.use_span(span):
        records = records_of(encode_logs(RESOURCE, [Text(1, 1, 9, "x"), Event(2, 1, "e", {})]))

    assert [record.trace_id for record in records] == [b"", b""]


def test_encode_logs_writes_an_event_with_its_nested_body() -> None:
    """A config arrives as nested values with their types, None included."""
    body = {"n": 1, "f": 1.0, "b": True, "s": "x", "none": None, "list": [1, {"k": "v"}], "empty": {}}
    (record,) = records_of(encode_logs(RESOURCE, [Event(3, 5, "rundial.run.config", body)]))
    values = {item.key: item.value for item in record.body.kvlist_value.values}

    assert (record.event_name, record.severity_number, attributes_of(record.attributes)) == (
        "rundial.run.config", 0, {"rundial.seq": 3},
    )  # fmt: skip  # three facts, side by side
    assert list(values) == list(body)
    assert (values["n"].int_value, values["f"].double_value, values["s"].string_value) == (1, 1.0, "x")
    assert values["b"].WhichOneof("value") == "bool_value"
    assert values["none"].WhichOneof("value") is None
    assert values["list"].array_value.values[1].kvlist_value.values == [
        KeyValue(key="k", value=AnyValue(string_value="v"))
    ]
    assert values["empty"].WhichOneof("value") == "kvlist_value"


def test_encode_logs_keeps_order_under_one_resource_and_scope() -> None:
    """Lines arrive in the order in which they were logged, under the run's own resource."""
    body = encode_logs(RESOURCE, [Text(i, i, 9, str(i)) for i in range(50)])
    request = ExportLogsServiceRequest.FromString(body)

    assert len(request.resource_logs) == len(request.resource_logs[0].scope_logs) == 1
    assert request.resource_logs[0].resource.SerializeToString() == RESOURCE
    assert request.resource_logs[0].scope_logs[0].scope.version == __version__
    assert [record.body.string_value for record in records_of(body)] == [str(i) for i in range(50)]


def test_encode_spans_writes_a_span_in_full() -> None:
    """A span arrives with its place in the trace, its attributes, events, links, status and counts."""
    span = SpanData(
        0xAB, 0xC, 0xD, "chat", "client", 10, 20, {"n": 1, "b": b"\0", "l": ["x", "y"]},
        [("token", 15, {"k": 0.5})], [(0xE, 0xF, {"l": True})], "error", "boom", 1, 2, 3,
    )  # fmt: skip  # positions as in the record
    request = ExportTraceServiceRequest.FromString(encode_spans(RESOURCE, [span]))
    (found,) = request.resource_spans[0].scope_spans[0].spans

    assert request.resource_spans[0].resource.SerializeToString() == RESOURCE
    assert (found.trace_id, found.span_id, found.parent_span_id) == (
        (0xAB).to_bytes(16, "big"), (0xC).to_bytes(8, "big"), (0xD).to_bytes(8, "big"),
    )  # fmt: skip  # three ids, side by side
    assert (found.name, found.kind, found.start_time_unix_nano, found.end_time_unix_nano) == (
        "chat", Span.SPAN_KIND_CLIENT, 10, 20,
    )  # fmt: skip  # four facts, side by side
    assert attributes_of(found.attributes)["b"] == b"\0"
    assert [value.string_value for value in found.attributes[2].value.array_value.values] == ["x", "y"]
    assert (found.events[0].name, found.events[0].time_unix_nano) == ("token", 15)
    assert attributes_of(found.events[0].attributes) == {"k": 0.5}
    assert found.links[0].trace_id == (0xE).to_bytes(16, "big")
    assert attributes_of(found.links[0].attributes) == {"l": True}
    assert (found.status.code, found.status.message) == (Status.STATUS_CODE_ERROR, "boom")
    assert (found.dropped_attributes_count, found.dropped_events_count, found.dropped_links_count) == (
        1,
        2,
        3,
    )


def test_encode_spans_keeps_a_root_span_without_a_parent() -> None:
    """A root span is a root on the wire too, with the status it had."""
    request = ExportTraceServiceRequest.FromString(
        encode_spans(RESOURCE, [SpanData(1, 2, 0, "a", "internal", 1, 2, status="ok", status_message="fine"),
                                SpanData(1, 3, 2, "b", "internal", 1, 2)])
    )  # fmt: skip  # the two spans side by side
    root, child = request.resource_spans[0].scope_spans[0].spans

    assert (root.parent_span_id, root.status.code) == (b"", Status.STATUS_CODE_OK)
    assert (child.parent_span_id, child.status.code) == (root.span_id, Status.STATUS_CODE_UNSET)


def test_nothing_to_encode_is_an_empty_request() -> None:
    """A take without lines or spans makes no request."""
    assert encode_logs(RESOURCE, []) == encode_spans(RESOURCE, []) == b""


def test_the_points_path_imports_neither_protobuf_nor_the_sdk() -> None:
    """A process that logs points alone never pays for protobuf, whatever version a framework pins."""
    code = (
        "import sys; from rundial.signals import packer, records, split, values, resource, otlp; "
        "resource.run_resource(resource.Identity('p', 'r', 'training', 'i')); "
        "own = {'opentelemetry', 'opentelemetry.sdk', 'opentelemetry.sdk.version'}; "
        "heavy = ('google.', 'opentelemetry', 'numpy', 'requests'); "
        "print(sorted(m for m in sys.modules if m.startswith(heavy) and m not in own))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_encode_logs_puts_a_result_into_its_span() -> None:
    """A backend that knows nothing of evaluations still finds a result beside its span."""
    body = {"eval_run_id": "night", "rows": [], "trace_id": "ab" * 16, "span_id": "cd" * 8}
    whole, bare = (
        Event(1, 2, "rundial.eval.result", each) for each in (body, {"eval_run_id": "night", "rows": []})
    )
    inside, outside = records_of(encode_logs(RESOURCE, [whole, bare]))

    assert (inside.trace_id, inside.span_id, inside.flags) == (b"\xab" * 16, b"\xcd" * 8, 1)
    assert (outside.trace_id, outside.span_id, outside.flags) == (b"", b"", 0)
    assert (inside.event_name, attributes_of(inside.attributes)) == (
        "rundial.eval.result",
        {"rundial.seq": 1},
    )
