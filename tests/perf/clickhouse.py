"""A server with ClickHouse beside its catalog: the same store and the same queries as in `queries`.

The ClickHouse is chDB, the engine embedded in the server's own process: no network lies between, and its
threads take the same processors. These are figures of embedded ClickHouse, and none of a ClickHouse server.
"""

from __future__ import annotations

from statistics import quantiles
from typing import Final

from tests.perf.plan import Plan, Skipped
from tests.perf.queries import (
    LINES,
    REQUEST_POINTS,
    WRITERS,
    Asked,
    beside,
    cpu_note,
    fill,
    peak_bytes,
    spent_ms,
)
from tests.perf.report import Figure
from tests.perf.workers import measure
from tests.support.program import ServerProgram

POINTS: Final = 2_000_000
_EMBEDDED: Final = "embedded ClickHouse (chDB)"


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    try:
        import chdb
    except ImportError as error:
        raise Skipped("chDB is not installed: pip install chdb-core-lite") from error
    where = f"{_EMBEDDED} {chdb.__version__}"
    place = plan.place("clickhouse")
    data, events = place / "data", f"chdb://{place / 'events'}"
    points = plan.size(POINTS)
    filled = measure(fill, data=str(data), points=points, lines=plan.size(LINES), events=events)
    with ServerProgram(data, options=("--events", events)) as live:
        asked = Asked(live)
        series = [asked.series() for _ in range(plan.repeats)]
        tail = [asked.tail() for _ in range(plan.repeats)]
        spent = {
            name: spent_ms(live, job, plan.repeats)
            for name, job in (("series", asked.series), ("tail", asked.tail))
        }
        took = beside(asked)
        peak = peak_bytes(live)
    return [
        Figure(f"{_EMBEDDED}: ingest of {points:,} points", [filled["points_s"]], "points/s", note=where),
        *(
            Figure(f"{_EMBEDDED}: store, the last points up to {int(mark):,}", [cost], "µs of CPU a point")
            for mark, cost in filled["cost"].items()
        ),
        Figure(
            f"{_EMBEDDED}: the longest series in 1,000 buckets", series, "ms", note=cpu_note(spent["series"])
        ),
        Figure(f"{_EMBEDDED}: tail of 200 text lines", tail, "ms", note=cpu_note(spent["tail"])),
        Figure(
            f"{_EMBEDDED}: ingest, {WRITERS} writers and a reader, 99th percentile of a request",
            [quantiles(took, n=100)[98]],
            "ms",
            note=f"{REQUEST_POINTS} points each; median {quantiles(took, n=2)[0]:.0f} ms, "
            "at most ten inserts a second",
        ),
        Figure(f"{_EMBEDDED}: greatest memory of the server", [peak / 2**20], "MiB"),
    ]
