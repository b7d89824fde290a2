"""What a logging call costs its caller, beside the cheapest thing that keeps a row in memory.

One process, default settings, a live server; blocks of appends and of logs by turns, and before each
block all that was logged is answered. Blocks are long enough that encoder and sender work beside them.
"""

from __future__ import annotations

from typing import Any

import rundial as rd
from tests.perf import loops
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.servers import access, server
from tests.perf.workers import measure

# Calls of a block: under half of the default ring, above the quarter at which the encoder wakes.
COUNTS = {1: 100_000, 10: 40_000, 100: 6_000}
# The same of numpy's 32-bit floats, which are no floats of Python's.
SCALARS = {10: 10_000, 100: 2_000}
LINES = 20_000
SPANS = 5_000
TEXT = "epoch 3 step 1200: loss 0.4371, learning rate 0.0003, gradient norm 1.27, ok...."
RATIO_BOUNDS = {1: 7.0, 10: 8.0}


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    with server(plan) as live:
        spool = str(plan.place("spool"))
        counts = {str(keys): plan.size(count) for keys, count in COUNTS.items()}
        found = measure(
            blocks,
            access=access(live),
            spool=spool,
            counts=counts,
            others=[plan.size(LINES), plan.size(SPANS)],
            repeats=plan.repeats,
        )
    figures = []
    for keys in COUNTS:
        figures += _figures_of(keys, found)
    for keys in SCALARS:
        figures.append(_times(f"run.log, {keys} of numpy's float32", f"scalars{keys}", "p50", found))
    figures.append(_times("log_text, 80 characters", "text", "p50", found, at_most=5.0))
    figures.append(_times("log_text, 80 characters", "text", "p99", found))
    figures.append(_times("trace, a span with one attribute", "span", "p50", found))
    figures.append(_times("trace, a span with one attribute", "span", "p99", found))
    figures.append(_times("empty loop: the clock's own share of the above", "empty", "p50", found))
    refused = [rep["refused"] for rep in found]
    figures.append(Figure("calls refused (would make the above worthless)", refused, "calls", at_most=0.0))
    return figures


def _figures_of(keys: int, found: list[dict[str, Any]]) -> list[Figure]:
    name = f"run.log, {keys} metric{'s' if keys > 1 else ''}"
    ratios = [rep[f"log{keys}"]["p50"] / rep[f"append{keys}"]["p50"] for rep in found]
    net = [
        (rep[f"log{keys}"]["p50"] - rep["empty"]["p50"])
        / max(0.001, rep[f"append{keys}"]["p50"] - rep["empty"]["p50"])
        for rep in found
    ]
    least = [rep[f"least{keys}"]["p50"] / rep[f"append{keys}"]["p50"] for rep in found]
    note = f"{sorted(net)[len(net) // 2]:.1f} times with the clock's share taken off both"
    is_one = keys == 1
    return [
        _times(name, f"log{keys}", "p50", found, at_most=1.6 if is_one else None),
        Figure(
            f"{name}, p50 against deque.append", ratios, "times", at_most=RATIO_BOUNDS.get(keys), note=note
        ),
        _times(name, f"log{keys}", "p99", found, at_most=10.0 if is_one else None),
        _times(name, f"log{keys}", "p99.9", found),
        _times(f"deque.append, {keys} of the same", f"append{keys}", "p50", found),
        _times(f"the least that keeps such a row through kill -9, {keys}", f"least{keys}", "p50", found),
        Figure("the same, against deque.append", least, "times"),
    ]


def _times(
    what: str, block: str, share: str, found: list[dict[str, Any]], *, at_most: float | None = None
) -> Figure:
    return Figure(f"{what}, {share}", [rep[block][share] for rep in found], "µs", at_most=at_most)


def blocks(
    access: dict[str, Any], spool: str, counts: dict[str, int], others: list[int], repeats: int
) -> list[dict[str, Any]]:
    """Run every block once for each repetition, by turns; in a worker."""
    run = rd.init(spool_directory=spool, **access)
    # Once for nothing: key sets, caches and pages are made here.
    _round(run, dict.fromkeys(counts, 500), [500, 100], first=0)
    first = 1000
    found = []
    for _ in range(repeats):
        found.append(_round(run, counts, others, first=first))
        first += max(counts.values())
    run.finish(60)
    return found


def _round(run: Any, counts: dict[str, int], others: list[int], *, first: int) -> dict[str, Any]:
    found: dict[str, Any] = {"refused": 0}
    for keys, count in counts.items():
        rows = loops.pool(int(keys))
        _settle(run)
        found["empty"] = loops.shares(loops.time_nothing(rows, count))
        found[f"append{keys}"] = loops.shares(loops.time_append(rows, count))
        found[f"least{keys}"] = loops.shares(loops.time_least(rows, count))
        times, accepted = loops.time_log(run, rows, range(first, first + count))
        found[f"log{keys}"] = loops.shares(times)
        found["refused"] += count - accepted
    import numpy

    for keys, count in SCALARS.items():
        _settle(run)
        rows, few = loops.pool(keys, numpy.float32), min(count, counts[str(keys)])
        times, accepted = loops.time_log(run, rows, range(first, first + few))
        found[f"scalars{keys}"] = loops.shares(times)
        found["refused"] += few - accepted
    _settle(run)
    found["text"] = loops.shares(loops.time_call(lambda: run.log_text(TEXT), others[0]))
    _settle(run)
    found["span"] = loops.shares(loops.time_call(lambda: _span(run), others[1]))
    return found


def _span(run: Any) -> None:
    with run.trace("step", attrs={"index": 1}):
        pass


def _settle(run: Any) -> None:
    if not run.flush(120):
        raise TimeoutError("the server has not answered for everything within two minutes")
