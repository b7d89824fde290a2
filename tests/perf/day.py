"""24 hours of logging, simulated at speed: 100 points, a line and now and then a span for each second.

What a day holds is logged as fast as the ring takes it, to an endpoint that keeps nothing; after each
hour's worth, memory, file handles, threads and the spool are looked at.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import rundial as rd
from tests.perf.burst import MIB, memory
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.workers import measure, spawn

HOURS = 24
SECONDS = 3_600
KEYS = [f"metric/{number}" for number in range(10)]
ROWS_A_SECOND = 10
SPAN_EVERY_S = 60
# Caches, code and buffers come in the first hours; what a leak adds, it adds in each.
WARM_HOURS = 4


def run_section(plan: Plan) -> list[Figure]:
    """Measure, once: a day is a day."""
    with spawn([sys.executable, "-m", "tests.perf.sink"]) as sink:
        try:
            assert sink.stdout is not None
            url = sink.stdout.readline().strip()
            found = measure(day, url=url, spool=str(plan.place("spool")), seconds=plan.size(SECONDS))
        finally:
            sink.kill()
    hours = found["hours"]
    after = hours[WARM_HOURS:]
    grown = (after[-1]["rss"] - after[0]["rss"]) / MIB
    note = f"{found['points']:,} points, {found['refused']:,} refused, {found['delivered']:,} delivered"
    return [
        Figure(f"RSS, growth from hour {WARM_HOURS} to hour {HOURS}", [grown], "MiB", at_most=2.0, note=note),
        Figure("RSS at the end", [after[-1]["rss"] / MIB], "MiB"),
        Figure("file handles, most above the first hour's", [_most(hours, "handles")], "", at_most=0.0),
        Figure("threads, most above the first hour's", [_most(hours, "threads")], "", at_most=0.0),
        Figure("segments in the spool, most at an hour's end", [max(h["segments"] for h in hours)], ""),
        Figure("spool, most at an hour's end", [max(h["spool"] for h in hours) / MIB], "MiB", at_most=64.0),
    ]


def _most(hours: list[dict[str, float]], name: str) -> float:
    return max(hour[name] for hour in hours) - hours[0][name]


def day(url: str, spool: str, seconds: int) -> dict[str, Any]:
    """Log a day; in a worker."""
    # A profile that another section's server has stored would count before the variable.
    os.environ["XDG_CONFIG_HOME"] = f"{spool}/no-profile"
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = url
    run = rd.init(project="bench", spool_directory=spool)
    hours: list[dict[str, float]] = []
    refused = step = 0
    for _ in range(HOURS):
        for second in range(seconds):
            for _ in range(ROWS_A_SECOND):
                refused += not run.log(dict.fromkeys(KEYS, step * 0.37), step=step)
                step += 1
            refused += not run.log_text(f"step {step}: all is well")
            if second % SPAN_EVERY_S == 0:
                with run.trace("minute", attrs={"step": step}):
                    pass
            if second % 600 == 599 and not run.flush(120):
                raise TimeoutError("the sink has not answered")
        run.flush(120)
        hours.append(_look(Path(spool)))
    run.finish(60)
    points = run.diagnostics().ledger.points
    return {"hours": hours, "refused": refused, "points": points.recorded, "delivered": points.delivered}


def _look(spool: Path) -> dict[str, float]:
    files = [path for path in spool.rglob("*") if path.is_file()]
    return {
        "rss": memory("VmRSS"),
        "handles": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "segments": sum(path.suffix == ".seg" for path in files),
        # The ring is memory that has a name; what waits on disk is in the segments.
        "spool": sum(path.stat().st_size for path in files if path.suffix == ".seg"),
    }
