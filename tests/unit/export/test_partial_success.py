"""The tiny reader of OTLP answers, checked against protobuf itself."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from rundial.export.partial_success import read_json, read_protobuf, read_status

_COUNTS = st.integers(0, 2**63 - 1)


@given(_COUNTS, st.text())
def test_read_protobuf_agrees_with_protobuf_for_all_three_signals(rejected: int, message: str) -> None:
    """What a server says it refused is what we count."""
    metrics = ExportMetricsServiceResponse()
    metrics.partial_success.rejected_data_points = rejected
    metrics.partial_success.error_message = message
    logs = ExportLogsServiceResponse()
    logs.partial_success.rejected_log_records = rejected
    logs.partial_success.error_message = message
    spans = ExportTraceServiceResponse()
    spans.partial_success.rejected_spans = rejected
    spans.partial_success.error_message = message

    for response in (metrics, logs, spans):
        assert read_protobuf(response.SerializeToString()) == (rejected, message)
        assert read_json(json_format.MessageToJson(response).encode()) == (rejected, message)


@given(st.binary(max_size=64))
def test_read_protobuf_of_any_bytes_reads_or_refuses(body: bytes) -> None:
    """No answer of a server can raise anything else into delivery."""
    try:
        rejected, _ = read_protobuf(body)
    except ValueError:
        return

    assert rejected >= 0


def test_read_protobuf_steps_over_fields_it_does_not_know() -> None:
    """A newer server's answer is still an accept."""
    newer = b"\x10\x07" + b"\x1a\x02hi" + b"\x21" + bytes(8) + b"\x2d" + bytes(4)

    assert read_protobuf(newer) == (0, "")


def test_read_protobuf_of_a_negative_count_is_zero() -> None:
    """A lying server cannot make a counter go back."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = -5

    assert read_protobuf(response.SerializeToString())[0] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"OK",
        b"<html></html>",
        b"\n",
        b"\x0a\x05hi",
        b"\x08\x01",
        b"\xff" * 12,
        b"\x00\x00",
    ],
)
def test_read_protobuf_refuses_what_is_no_answer(body: bytes) -> None:
    """Text that only looks like an answer does not delete data."""
    with pytest.raises(ValueError, match=r"."):
        read_protobuf(body)


@pytest.mark.parametrize(
    "answer",
    [{"ok": True}, [], "ok", None, {"partialSuccess": 3}, {"partialSuccess": {"rejectedSpans": "x"}}],
)
def test_read_json_refuses_what_is_no_answer(answer: object) -> None:
    """JSON of another API does not delete data."""
    with pytest.raises(ValueError, match=r"."):
        read_json(json.dumps(answer).encode())


def test_read_json_of_endless_nesting_is_refused() -> None:
    """A hostile answer cannot exhaust the stack."""
    with pytest.raises(ValueError, match=r"."):
        read_json(b"[" * 100_000)


def test_read_status_finds_the_message_of_an_otlp_error() -> None:
    """The server's own words reach the warning."""
    assert read_status(b"\x08\x03\x12\x09bad point") == "bad point"
