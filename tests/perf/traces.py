"""Spans: decoded and stored on one core, and a trace of ten thousand of them read back whole.

A request is what OpenTelemetry's own batch processor sends: 512 spans, of traces of fifty. Most of them say
what an agent's steps say.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

import urllib3
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from rundial.clock import SystemClock
from rundial.server.app import close_services, open_services
from rundial.server.ingest import decode
from rundial.server.keys import ADMIN, Principal
from rundial.server.serve import _SWITCH_INTERVAL_S
from tests.perf.plan import Plan
from tests.perf.queries import _commit, _cpu_s
from tests.perf.report import Figure
from tests.perf.workers import measure
from tests.support import otlp
from tests.support.program import ServerProgram

REQUESTS: Final = 200
REQUEST_SPANS: Final = 512
TRACE_SPANS: Final = 50
WHOLE: Final = 10_000
PROJECT: Final = "digits"
_OWNER: Final = Principal("bench", "bench", frozenset({ADMIN}), 1)


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    core = max(os.sched_getaffinity(0))
    stored = [
        measure(store, data=str(plan.place("data")), requests=plan.size(REQUESTS), core=core)
        for _ in range(plan.repeats)
    ]
    return [
        Figure(
            "spans decoded and stored, by the process's CPU time",
            [rep["cpu_s"] for rep in stored],
            "spans/s a core",
            at_least=20_000.0,
        ),
        Figure("of that, decoding alone", [rep["decoded_s"] for rep in stored], "spans/s"),
        *_read(plan),
    ]


def store(data: str, requests: int, core: int) -> dict[str, float]:
    """Store requests, each committed before the next; in a worker."""
    bodies = [_request(number * REQUEST_SPANS) for number in range(requests)]
    os.sched_setaffinity(0, {core})
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    services = open_services(Path(data), SystemClock())
    decoding = 0.0
    cpu = time.process_time()
    for body in bodies:
        start = time.process_time()
        deliveries = decode("traces", body).deliveries
        decoding += time.process_time() - start
        _commit(services, deliveries)
    close_services(services)
    count = requests * REQUEST_SPANS
    return {"cpu_s": count / (time.process_time() - cpu), "decoded_s": count / decoding}


def _read(plan: Plan) -> list[Figure]:
    pool = urllib3.PoolManager(retries=False, timeout=60.0)
    took, spent = [], []
    with ServerProgram(plan.place("whole") / "data") as live:
        headers = {"authorization": f"Bearer {live.key}", "content-type": "application/x-protobuf"}
        for at in range(0, WHOLE, 2_500):
            spans = [_span(number, trace=1) for number in range(at, at + 2_500)]
            body = otlp.spans(otlp.resource("run"), spans)
            if pool.request("POST", f"{live.url}/v1/traces", body=body, headers=headers).status != 200:
                raise RuntimeError("the spans were not stored")
        path = f"/api/v1/workspaces/default-workspace/projects/{PROJECT}/traces/{1:032x}"
        for _ in range(plan.repeats):
            cpu, start = _cpu_s(live), time.perf_counter()
            answer = pool.request("GET", live.url + path, headers=headers)
            took.append((time.perf_counter() - start) * 1e3)
            spent.append((_cpu_s(live) - cpu) * 1e3)
            if len(answer.json()["spans"]) != WHOLE:
                raise RuntimeError("the trace is not whole")
    return [
        Figure(f"a trace of {WHOLE:,} spans, over HTTP", took, "ms", at_most=200.0),
        Figure("the same by the server's CPU time", spent, "ms", at_most=200.0),
    ]


def _request(first: int) -> bytes:
    spans = [_span(number, trace=1 + number // TRACE_SPANS) for number in range(first, first + REQUEST_SPANS)]
    return otlp.spans(otlp.resource("run", rundial__project=PROJECT), spans)


def _span(number: int, *, trace: int) -> Span:
    """One of a tree: every tenth has those behind it as children."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "large",
        "gen_ai.usage.input_tokens": number,
        "gen_ai.usage.output_tokens": 7,
    }
    root = number - number % TRACE_SPANS
    parent = 0 if number == root else root + 1 + (number - root) // 10 * 5
    return Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=(number + 1).to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name="step",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=otlp.T0 + number,
        end_time_unix_nano=otlp.T0 + number + 500,
        attributes=otlp.pairs(attributes),
    )
