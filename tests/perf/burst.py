"""200,000 calls flat out with default settings and a live server: kept whole, in little memory."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import rundial as rd
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.servers import access, server, stored_points
from tests.perf.workers import measure

CALLS = 200_000
MIB = 1 << 20


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    calls = plan.size(CALLS)
    found: list[dict[str, float]] = []
    with server(plan) as live:
        for _ in range(plan.repeats):
            rep = measure(storm, access=access(live), spool=str(plan.place("spool")), calls=calls)
            rep["stored"] = 100 * stored_points(live, rep["run_id"]) / calls
            found.append(rep)
    refused = sum(rep["refused"] for rep in found)
    return [
        Figure("stored", _all(found, "stored"), "%", at_least=100.0, note=f"{refused:,.0f} calls refused"),
        Figure("peak RSS above that after init", _all(found, "peak_mib"), "MiB", at_most=32.0),
        Figure(
            "own CPU, all threads, from the first call to finish",
            _all(found, "cpu_us"),
            "µs a point",
            at_most=4.0,
            note="the loop itself included",
        ),
        Figure("calls a second while logging", _all(found, "calls_s"), "/s"),
        Figure("finish after the last call", _all(found, "finish_ms"), "ms"),
    ]


def _all(found: list[dict[str, float]], name: str) -> list[float]:
    return [rep[name] for rep in found]


def storm(access: dict[str, Any], spool: str, calls: int) -> dict[str, Any]:
    """Log without a pause, then finish; in a worker."""
    run = rd.init(spool_directory=spool, **access)
    # The peak is counted from here on, not from the interpreter's start.
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    refused = 0
    cpu, start = process_time(), perf_counter()
    for step in range(calls):
        refused += not run.log({"loss": step * 0.37}, step=step)
    end = perf_counter()
    run.finish(60)
    cpu, over = process_time() - cpu, perf_counter()
    return {
        "run_id": run.run_id,
        "refused": refused,
        "peak_mib": (memory("VmHWM") - before) / MIB,
        "cpu_us": cpu / calls * 1e6,
        "calls_s": calls / (end - start),
        "finish_ms": (over - end) * 1000,
    }


def memory(name: str) -> int:
    """A size from the kernel's own account of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
