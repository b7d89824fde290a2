"""Good requests of every kind, for a fuzzer to spoil."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import zstandard

from tests.fuzz.targets import SIGNALS, prefix
from tests.server.test_otlp_json import as_json, bodies

_PLACE = {"projectId": "prj_1", "runId": "run"}
_PUBLISHED: dict[str, Any] = {
    "metrics": {
        "points": [
            {**_PLACE, "metricKey": "loss", "step": 1, "timestampMs": 5, "value": -0.5, "context": {"a": "b"}}
        ],
        "clientDiagnostics": {"droppedPointsQueueFull": 3},
    },
    "logs": {
        "lines": [
            {
                **_PLACE,
                "timestampMs": 5,
                "sequence": 2,
                "level": "warn",
                "message": "é\ud800",
                "truncated": True,
            }
        ]
    },
    "traces": {
        "spans": [
            {
                **_PLACE,
                "traceId": "1" * 32,
                "spanId": "2" * 16,
                "parentSpanId": "3" * 16,
                "name": "n",
                "kind": "tool",
                "startNs": "5",
                "endNs": "6",
                "status": "ok",
                "attrsJson": '{"a":[1,null]}',
                "events": [{"name": "e", "timestampNs": "5", "attrsJson": "{}"}],
                "model": "m",
                "tokensIn": "3",
                "costUsd": 0.5,
            }
        ]
    },
}


def seeds() -> Iterator[bytes]:
    """Yield inputs of `targets.run`."""
    found = bodies("run")
    for signal in SIGNALS:
        body = found[signal]
        yield prefix("protobuf", signal) + body
        yield prefix("in_pieces", signal) + b"\x40" + body
        yield prefix("otlp_json", signal) + json.dumps(as_json(signal, body)).encode()
        yield prefix("published_json", signal) + json.dumps(_PUBLISHED[signal]).encode()
    yield prefix("packed", "metrics") + found["metrics"]
    yield prefix("compressed", "logs") + b"\x01" + gzip.compress(b"abc" * 99)
    yield prefix("compressed", "logs") + b"\x02" + zstandard.compress(b"abc" * 99)
