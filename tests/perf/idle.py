"""What a run costs while nothing is logged: wake-ups of its threads, and their share of a core."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import rundial as rd
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.servers import access, server
from tests.perf.workers import measure

WINDOW_MS = 6_000
SWITCHES = re.compile(r"^voluntary_ctxt_switches:\s+(\d+)$", re.MULTILINE)


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    found: list[dict[str, Any]] = []
    with server(plan) as live:
        for _ in range(plan.repeats):
            window_s = plan.size(WINDOW_MS) / 1000
            spool = str(plan.place("spool"))
            found.append(measure(watch, access=access(live), spool=spool, window_s=window_s))
    threads = ", ".join(f"{name} {rate:.1f}" for name, rate in found[-1]["threads"].items())
    return [
        Figure(
            "wake-ups of all threads but the program's own",
            [rep["wakeups_s"] for rep in found],
            "/s",
            at_most=10.0,
            note=threads,
        ),
        Figure("CPU", [rep["cpu"] for rep in found], "% of a core", at_most=0.1),
    ]


def watch(access: dict[str, Any], spool: str, window_s: float) -> dict[str, Any]:
    """Start a run, let it come to rest, and watch it; in a worker."""
    run = rd.init(spool_directory=spool, **access)
    run.log({"loss": 1.0}, step=0)
    if not run.flush(30):
        raise TimeoutError("the server has not answered")
    rest = threading.Event()
    rest.wait(0.5)
    before, cpu, start = _switches(), process_time(), monotonic()
    rest.wait(window_s)
    seconds = monotonic() - start
    cpu = process_time() - cpu
    after = _switches()
    rates = {name: (count - before.get(name, 0)) / seconds for name, count in after.items()}
    run.finish(5)
    return {"wakeups_s": sum(rates.values()), "cpu": 100 * cpu / seconds, "threads": rates}


def _switches() -> dict[str, int]:
    """How often each thread but the main one has gone to sleep, by name."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    found: dict[str, int] = {}
    for task in Path("/proc/self/task").iterdir():
        number = int(task.name)
        if number != os.getpid():
            count = SWITCHES.search((task / "status").read_text())
            name = names.get(number, task.name)
            found[name] = found.get(name, 0) + (int(count.group(1)) if count else 0)
    return found
