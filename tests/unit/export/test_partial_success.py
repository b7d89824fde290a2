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


def test_read_protobuf_finds_the_answer_behind_a_field_it_does_not_know() -> None:
    """What a newer server says first hides nothing of what it says then."""
    assert read_protobuf(b"\x10\x07" + b"\x0a\x06\x08\x02\x12\x02no" + b"\x18\x01") == (2, "no")


def test_read_protobuf_steps_over_inner_fields_of_another_kind() -> None:
    """A field that is no count and no text is neither."""
    inner = b"\x0a\x01x" + b"\x10\x05" + b"\x18\x09" + b"\x22\x01y"

    assert read_protobuf(b"\x0a" + bytes([len(inner)]) + inner) == (0, "")
    assert read_protobuf(b"\x0a" + bytes([len(inner) + 2]) + b"\x08\x03" + inner) == (3, "")


def test_read_protobuf_reads_a_broken_text_as_far_as_it_can() -> None:
    """Words that are no UTF-8 do not make an accept a failure."""
    assert read_protobuf(b"\x0a\x04\x12\x02\xffa") == (0, "\ufffda")


@pytest.mark.parametrize("kind", [3, 4, 6, 7])
def test_read_protobuf_refuses_fields_that_cannot_be_stepped_over(kind: int) -> None:
    """Bytes of which the length is not known are no answer."""
    with pytest.raises(ValueError, match=f"wire type {kind}"):
        read_protobuf(bytes([5 << 3 | kind]) + bytes(8))


def test_read_protobuf_reads_numbers_of_ten_bytes_and_no_more() -> None:
    """The largest number that protobuf has is read, and nothing endless is."""
    largest = b"\xff" * 9 + b"\x01"

    assert read_protobuf(b"\x10" + largest) == (0, "")
    assert read_protobuf(b"\x0a\x0a\x08" + b"\xff" * 8 + b"\x7f") == (2**63 - 1, "")
    assert read_protobuf(b"\x0a\x0b\x08" + b"\x80" * 9 + b"\x01") == (0, "")
    with pytest.raises(ValueError, match="too long"):
        read_protobuf(b"\x10" + b"\xff" * 10 + b"\x01")
    with pytest.raises(ValueError, match="cut short"):
        read_protobuf(b"\x10" + b"\xff" * 9)


@pytest.mark.parametrize("size", [4, 8])
def test_read_protobuf_refuses_a_number_that_is_cut_short(size: int) -> None:
    """A body that ends too early is not taken for a whole one."""
    key = b"\x2d" if size == 4 else b"\x21"

    assert read_protobuf(key + bytes(size)) == (0, "")
    with pytest.raises(ValueError, match="cut short"):
        read_protobuf(key + bytes(size - 1))


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


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, (0, "")),
        ({"partialSuccess": None}, (0, "")),
        ({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "no"}}, (3, "no")),
        ({"partialSuccess": {"rejectedLogRecords": 4}}, (4, "")),
        ({"partialSuccess": {"rejectedDataPoints": "1", "rejectedSpans": 2}}, (2, "")),
        ({"partialSuccess": {"rejectedDataPoints": None, "errorMessage": None}}, (0, "")),
        ({"partialSuccess": {"rejectedDataPoints": -7, "errorMessage": 5}}, (0, "5")),
    ],
)
def test_read_json_counts_what_was_refused(answer: object, expected: tuple[int, str]) -> None:
    """Numbers may be text, as protobuf's JSON has them, and absent ones are none."""
    assert read_json(json.dumps(answer).encode()) == expected


def test_read_json_of_endless_nesting_is_refused() -> None:
    """A hostile answer cannot exhaust the stack."""
    with pytest.raises(ValueError, match=r"."):
        read_json(b"[" * 100_000)


def test_read_status_finds_the_message_of_an_otlp_error() -> None:
    """The server's own words reach the warning."""
    assert read_status(b"\x08\x03\x12\x09bad point") == "bad point"


def test_read_status_steps_over_what_is_no_message() -> None:
    """An error without words has none, and a code is not taken for them."""
    assert read_status(b"") == ""
    assert read_status(b"\x08\x03\x10\x05") == ""
    assert read_status(b"\x0a\x01x\x12\x03\xffno") == "\ufffdno"
