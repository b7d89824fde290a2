"""What the system metrics cost: the CPU of the thread that samples.

Linux alone: the kernel's own account of the thread is read.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rundial as rd
from tests.perf.plan import Plan, Skipped
from tests.perf.report import Figure
from tests.perf.workers import measure
from tests.support.waiting import wait_until

SAMPLES = 4
SHORTEST_S = 2.0
DEFAULT_S = 10.0
PERCENT = 100 / 1000


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    if not sys.platform.startswith("linux"):
        raise Skipped("only Linux accounts for each thread")
    found = [
        measure(watch, spool=str(plan.place("spool")), samples=plan.size(SAMPLES))
        for _ in range(plan.repeats)
    ]
    sample_ms = [rep["sample_ms"] for rep in found]
    names = f"{found[-1]['names']} series"
    return [
        Figure("CPU of one sample", sample_ms, "ms", note=names),
        Figure("CPU once, before the first", [rep["once_ms"] for rep in found], "ms", note="imports psutil"),
        Figure(
            "sampler, every 10 s (default)",
            [PERCENT * each / DEFAULT_S for each in sample_ms],
            "% of a core",
            at_most=0.3,
            note="from the samples of the next line",
        ),
        Figure(
            "sampler, every 2 s (shortest)",
            [PERCENT * each / SHORTEST_S for each in sample_ms],
            "% of a core",
            at_most=0.3,
        ),
    ]


def watch(spool: str, samples: int) -> dict[str, Any]:
    """Let a run be sampled and read what its sampler has used; in a worker."""
    run = rd.init(
        project="bench",
        mode="offline",
        spool_directory=spool,
        system_metrics=True,
        system_metrics_interval_seconds=SHORTEST_S,
    )
    used = sampler_ms()

    def taken() -> int:
        return run.diagnostics().system_samples_collected

    wait_until(lambda: taken() >= 1, 60)
    # The count goes up just before the sample is over.
    threading.Event().wait(0.2)
    first = used()
    wait_until(lambda: taken() >= 1 + samples, 60 + samples * SHORTEST_S)
    threading.Event().wait(0.2)
    last = used()
    names = run.diagnostics().ledger.points.recorded // taken()
    run.finish(5)
    return {"sample_ms": (last - first) / samples, "once_ms": first, "names": names}


def sampler_ms() -> Callable[[], float]:
    """Return what reads the sampler's CPU time."""
    (thread,) = [each for each in threading.enumerate() if each.name == "rundial-sampler"]
    account = Path(f"/proc/self/task/{thread.native_id}/schedstat")
    return lambda: int(account.read_text().split()[0]) / 1e6
