"""OTLP in JSON, and bodies in zstd: the same records as in protobuf."""

from __future__ import annotations

import json
from typing import Any

import pytest
import zstandard
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rundial.server.ingest import decode_any
from rundial.server.otlpjson import decode_otlp_json
from rundial.server.rows import Signal
from tests.support import otlp
from tests.support.server import LocalServer, Reply, fresh_id

REQUESTS: dict[Signal, Any] = {
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
    "traces": ExportTraceServiceRequest,
}


def as_json(signal: Signal, body: bytes) -> dict[str, Any]:
    """A protobuf request in OTLP's JSON, made without the code that reads it."""
    found = MessageToDict(REQUESTS[signal].FromString(body))
    for group in found.get("resourceSpans", []):
        for scope in group["scopeSpans"]:
            for each in scope["spans"]:
                number = int(each["startTimeUnixNano"]) - otlp.T0
                each |= {"traceId": f"{7:032x}", "spanId": f"{number:016x}"}
    assert isinstance(found, dict)
    return found


def export(local: LocalServer, signal: str, request: object) -> Reply:
    """Send JSON."""
    headers = {"content-type": "application/json; charset=utf-8"}
    return local.send("POST", f"/v1/{signal}", json.dumps(request).encode(), headers=headers)


def bodies(run: str) -> dict[Signal, bytes]:
    """A request of each signal."""
    owner = otlp.resource(run)
    lines = [
        otlp.line(1, "one", deep={"a": [1, 2.5, True, None]}),
        otlp.event(2, "rundial.run.heartbeat", {}),
    ]
    return {
        "metrics": otlp.curve(run, "loss", [0.5, -0.25, 2.0**60]),
        "logs": otlp.logs(owner, lines),
        "traces": otlp.spans(owner, [otlp.span(1, "epoch"), otlp.span(2, "step")]),
    }


@pytest.mark.parametrize("signal", REQUESTS)
def test_json_is_read_as_the_same_records_as_protobuf(signal: Signal) -> None:
    """64-bit numbers as text, ids in hex, bytes in base64: nothing differs once it is decoded."""
    body = bodies("run")[signal]

    assert decode_otlp_json(signal, json.dumps(as_json(signal, body)).encode()) == decode_any(signal, body)


def test_what_is_sent_in_both_forms_is_stored_once(local: LocalServer) -> None:
    """A Collector may be switched from one encoding to the other in mid-run."""
    run = fresh_id()
    for signal, body in bodies(run).items():
        assert local.export(signal, body).status == 200
        reply = export(local, signal, as_json(signal, body))
        assert (reply.status, reply.json, reply.headers["content-type"]) == (200, {}, "application/json")

    assert local.details(run)["counts"] == {"points": 3, "lines": 1, "spans": 2}
    assert [each["traceId"] for each in local.spans(run)] == [(7).to_bytes(16, "big").hex()] * 2


def test_what_is_refused_of_a_json_request_is_answered_in_json(local: LocalServer) -> None:
    """Partial success in the form of the request; 64-bit numbers are texts there, too."""
    run = fresh_id()
    request = as_json("traces", otlp.spans(otlp.resource(run), [otlp.span(1, "a"), otlp.span(2, "b")]))
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = "no hex"
    request["unknownField"] = {"of": "a later version"}

    partial = export(local, "traces", request).json["partialSuccess"]

    assert (partial["rejectedSpans"], "trace id" in partial["errorMessage"]) == ("1", True)
    assert [each["name"] for each in local.spans(run)] == ["b"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"resourceMetrics": 3}', 400),
        (b'{"resourceMetrics": [{"resource": {"attributes": [{"key": 3}]}}]}', 400),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400),
        (b'{"resourceMetrics": [' + b"{}," * 600_000 + b"{}]}", 413),
        (b'{"a": "' + b"x" * (17 << 20) + b'"}', 413),
    ],
    ids=["torn", "list", "number", "wrong type", "deep", "many values", "large"],
)
def test_json_that_is_no_request_is_refused_in_words(local: LocalServer, body: bytes, status: int) -> None:
    """Whatever someone sends, the answer is ours, and comes soon."""
    reply = local.send("POST", "/v1/metrics", body, headers={"content-type": "application/json"})

    assert (reply.status, bool(reply.error["details"]["hint"])) == (status, True)


def test_deep_attributes_in_json_are_refused(local: LocalServer) -> None:
    """Nesting is bounded as in protobuf, whose own limit is 100 messages."""
    value: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    record = {"timeUnixNano": "1", "body": value}
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}

    assert export(local, "logs", request).status == 400


def test_zstd_is_read_in_any_number_of_frames(local: LocalServer) -> None:
    """A compressed request is the same request."""
    run = fresh_id()
    body = otlp.curve(run, "loss", [1.0, 2.0, 3.0])
    packed = zstandard.compress(body[:20]) + zstandard.compress(body[20:])

    assert local.export("metrics", packed, encoding="zstd").status == 200

    assert local.curve(run, "loss") == [(0, 1.0), (1, 2.0), (2, 3.0)]
