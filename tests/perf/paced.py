"""What a training loop feels: half a millisecond of numpy and one log call in each millisecond.

The bare loop is measured before and after each logging one, and its own drift is not held against us. Means
are compared, not medians: a thread that stalls few iterations for long would hide from a median.
"""

from __future__ import annotations

from typing import Any

import rundial as rd
from tests.perf import loops
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.servers import access, server
from tests.perf.workers import measure

WIDTHS = (1, 10, 100)
TICKS = 2_000


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    found = []
    with server(plan) as live:
        for _ in range(plan.repeats):
            spool = str(plan.place("spool"))
            found.append(measure(train, access=access(live), spool=spool, ticks=plan.size(TICKS)))
    figures = []
    for width in WIDTHS:
        figures += figures_of(width, [rep[str(width)] for rep in found])
    bare = [rep["bare"] for rep in found]
    figures.append(Figure("bare loop: p99.9 of a tick", [rep["p99.9"] for rep in bare], "ms"))
    figures.append(Figure("bare loop: mean of a tick", [rep["mean_us"] for rep in bare], "µs"))
    return figures


def figures_of(width: int, reps: list[dict[str, float]]) -> list[Figure]:
    """The lines of one width."""
    name = f"{width} key{'s' if width > 1 else ''}"
    beyond = [100 * max(0.0, rep["slowed"] - rep["drift"]) for rep in reps]
    slowed = sorted(100 * rep["slowed"] for rep in reps)
    drift = sorted(100 * rep["drift"] for rep in reps)
    middle = len(reps) // 2
    note = f"slowed {slowed[middle]:.1f} % ({slowed[0]:.1f} to {slowed[-1]:.1f}), drift {drift[middle]:.1f} %"
    return [
        Figure(f"{name}: slowed beyond the bare loop's own drift", beyond, "%", at_most=3.0, note=note),
        Figure(f"{name}: cost of a tick", [rep["cost_us"] for rep in reps], "µs"),
        Figure(f"{name}: p99.9 of a tick", [rep["p99.9"] for rep in reps], "ms"),
    ]


def train(access: dict[str, Any], spool: str, ticks: int) -> dict[str, Any]:
    """Run the loops; in a worker."""
    run = rd.init(spool_directory=spool, **access)
    found = loops.pace_widths(loops.matmul(), run, WIDTHS, ticks)
    run.finish(60)
    return found
