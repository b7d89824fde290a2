"""What a span costs its caller, beside a bare span of OpenTelemetry's SDK whose processor does nothing.

One process, a live server; blocks of each by turns, and before each block all that was recorded is answered.
"""

from __future__ import annotations

from typing import Any

import rundial as rd
from tests.perf import loops
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.servers import access, server
from tests.perf.workers import measure

SPANS = 5_000
ATTRIBUTES = {"index": 1, "phase": "train"}


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    with server(plan) as live:
        found = measure(
            blocks,
            access=access(live),
            spool=str(plan.place("spool")),
            count=plan.size(SPANS),
            repeats=plan.repeats,
        )
    names = {
        "bare": "a bare span of the SDK, two attributes",
        "ours": "run.trace, two attributes",
        "event": "run.trace, two attributes and an event",
        "theirs": "a span of an instrumentation that was given run.tracer_provider",
        "call": "run.llm_call with usage and cost",
    }
    figures = []
    for block, name in names.items():
        figures += [
            Figure(f"{name}, {share}", [rep[block][share] for rep in found], "µs") for share in ("p50", "p99")
        ]
    ratios = [rep["ours"]["p50"] / rep["bare"]["p50"] for rep in found]
    figures.append(Figure("run.trace against a bare span, p50", ratios, "times", at_most=1.5))
    refused = [rep["refused"] for rep in found]
    figures.append(Figure("spans refused (would make the above worthless)", refused, "spans", at_most=0.0))
    return figures


def blocks(access: dict[str, Any], spool: str, count: int, repeats: int) -> list[dict[str, Any]]:
    """Run every block once for each repetition, by turns; in a worker."""
    # Not by everybody who runs another section.
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    prices = {"m": {"input": 1.0, "output": 2.0}}
    run = rd.init(spool_directory=spool, prices=prices, **access)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanProcessor())
    bare, theirs = provider.get_tracer("bare"), run.tracer_provider.get_tracer("theirs")

    def of(tracer: Any) -> None:
        with tracer.start_as_current_span("step", attributes=ATTRIBUTES):
            pass

    def ours() -> None:
        with run.trace("step", attrs=ATTRIBUTES):
            pass

    def event() -> None:
        with run.trace("step", attrs=ATTRIBUTES) as span:
            span.event("e", {"a": 1})

    def call() -> None:
        with run.llm_call(model="m") as span:
            span.usage(input_tokens=10, output_tokens=5)

    calls = {
        "bare": lambda: of(bare),
        "ours": ours,
        "event": event,
        "theirs": lambda: of(theirs),
        "call": call,
    }
    # Once for nothing: imports and caches.
    _round(run, calls, 200)
    found = [_round(run, calls, count) for _ in range(repeats)]
    run.finish(60)
    return found


def _round(run: Any, calls: dict[str, Any], count: int) -> dict[str, Any]:
    before = sum(run.diagnostics().ledger.spans.dropped.values())
    found: dict[str, Any] = {}
    for name, call in calls.items():
        if not run.flush(120):
            raise TimeoutError("the server has not answered for everything within two minutes")
        found[name] = loops.shares(loops.time_call(call, count))
    found["refused"] = sum(run.diagnostics().ledger.spans.dropped.values()) - before
    return found
