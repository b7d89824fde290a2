"""The loops that are timed. Needs the standard library alone (numpy for the paced one).

Also a program: `python loops.py '{"job": "calls", ...}'` runs a loop over whichever `rundial` its
interpreter has, so that this package and the published one are measured by the same lines.
"""

from __future__ import annotations

import json
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from mmap import mmap
from struct import Struct
from threading import Event, RLock
from time import monotonic, perf_counter, perf_counter_ns, time_ns
from typing import Any
from zlib import crc32

TICK_S = 0.001
WORK_S = 0.0005
POOL = 64
NONCE = 0x9E37_79B9_7F4A_7C15
DRAIN_S = 120.0
PUBLISHED = "1.0.0-rc.1"

Rows = Sequence[Sequence[tuple[str, float]]]


def pool(keys: int, kind: Callable[[float], Any] = float) -> Rows:
    """Return rows of noise, from which `rows_of` makes any number, each value of one kind."""
    draw = random.Random(keys).gauss
    names = [f"metric/{key}" for key in range(keys)]
    return [[(name, kind(draw(0.0, 1.0))) for name in names] for _ in range(POOL)]


def rows_of(rows: Rows, steps: range) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield a step and its metrics, a fresh dictionary of fresh numbers each time, as a training loop does.

    Ready numbers would stay in the processor's caches and make all that is measured look cheap.
    """
    for step, row in zip(steps, cycle(rows), strict=False):
        factor = step + 1.5
        yield step, {name: value * factor for name, value in row}


def time_nothing(rows: Rows, count: int) -> list[int]:
    """Time an empty body, in ns a turn: what the clock itself adds to every other loop."""
    clock = perf_counter_ns
    found = []
    for _step, _metrics in rows_of(rows, range(count)):
        start = clock()
        end = clock()
        found.append(end - start)
    return found


def time_append(rows: Rows, count: int) -> list[int]:
    """Time the least that keeps a row: an append of a copy, with step and time."""
    clock = perf_counter_ns
    kept: deque[tuple[int, int, dict[str, float]]] = deque()
    found = []
    for step, metrics in rows_of(rows, range(count)):
        start = clock()
        kept.append((step, time_ns(), dict(metrics)))
        end = clock()
        found.append(end - start)
    return found


def time_log(run: Any, rows: Rows, steps: range) -> tuple[list[int], int]:
    """Time `run.log`; returns ns for each call, and how many calls were accepted."""
    clock = perf_counter_ns
    accepted = 0
    found = []
    for step, metrics in rows_of(rows, steps):
        start = clock()
        is_kept = run.log(metrics, step=step)
        end = clock()
        found.append(end - start)
        accepted += is_kept
    return found, accepted


def time_least(rows: Rows, count: int) -> list[int]:
    """Time the least that keeps a row through `kill -9`, in ns a turn: a floor for `run.log`.

    The values packed and their checksum taken, a lock, and under it the commit word cleared, the clock
    read, the record written and the commit word set. No argument is looked at, no full ring, no key set,
    no second thread.
    """
    clock = perf_counter_ns
    width = len(rows[0])
    pack = Struct(f"<{width}d").pack
    size = 48 + 8 * width
    write = Struct(f"<IBBHIIQqQ{8 * width}s").pack_into
    memory = memoryview(mmap(-1, size * (count + 1)))
    words = memory.cast("Q")
    lock = RLock()
    found = []
    at = 0
    for step, metrics in rows_of(rows, range(count)):
        start = clock()
        body = pack(*metrics.values())
        checksum = crc32(body, step)
        with lock:
            words[at >> 3] = 0
            write(memory, at + 8, size, 3, 0, 0, 1, checksum, step, step, time_ns(), body)
            words[at >> 3] = at ^ NONCE
        end = clock()
        found.append(end - start)
        at += size
    return found


def time_call(call: Callable[[], object], count: int) -> list[int]:
    """Time any call, in ns a turn."""
    clock = perf_counter_ns
    found = []
    for _ in range(count):
        start = clock()
        call()
        end = clock()
        found.append(end - start)
    return found


def shares(times_ns: list[int]) -> dict[str, float]:
    """Return p50, p99 and p99.9 in µs."""
    times_ns.sort()
    last = len(times_ns) - 1
    points = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    return {name: times_ns[min(last, int(len(times_ns) * share))] / 1000 for name, share in points.items()}


def matmul() -> Callable[[], object]:
    """Return a matrix product that takes about half a millisecond on this machine."""
    import numpy

    size = 64
    while True:
        left, right = numpy.random.default_rng(1).standard_normal((2, size, size))
        out = numpy.empty((size, size))

        def work() -> None:
            numpy.matmul(left, right, out=out)  # noqa: B023 - the loop ends where this one is returned

        times = sorted(time_call(work, 101))
        if times[50] >= WORK_S * 1e9:
            return work
        size += 8


def pace(work: Callable[[], object], ticks: int, rows: Rows, *, run: Any = None) -> list[float]:
    """Work, make a row, log it if there is a run, and rest until the next tick.

    Returns:
        Seconds that each tick was busy, rest left out.
    """
    pause = Event()
    found = []
    due = perf_counter()
    made = rows_of(rows, range(ticks))
    for _ in range(ticks):
        start = perf_counter()
        work()
        step, metrics = next(made)
        if run is not None:
            run.log(metrics, step=step)
        end = perf_counter()
        found.append(end - start)
        due = max(due + TICK_S, end)
        if due > end:
            pause.wait(due - end)
    return found


def pace_widths(work: Callable[[], object], run: Any, widths: Sequence[int], ticks: int) -> dict[str, Any]:
    """Pace each width between two bare loops, which make the same rows and keep nothing.

    Returns:
        For each width: `slowed` and `drift` (shares of the bare loop's mean), `cost_us` (mean µs a tick
        above the bare loops beside it), `p99.9` in ms; and for `bare` the p99.9 of all bare loops.
    """
    bare: list[float] = []
    found: dict[str, Any] = {}
    for width in widths:
        rows = pool(width)
        # Short: for caches and key sets.
        pace(work, ticks // 10, rows, run=run)
        wait_until_drained(run)
        before = pace(work, ticks, rows)
        logged = pace(work, ticks, rows, run=run)
        wait_until_drained(run)
        after = pace(work, ticks, rows)
        bare += before + after
        found[str(width)] = _compared(before, logged, after)
    found["bare"] = {"p99.9": _slowest(bare), "mean_us": sum(bare) / len(bare) * 1e6}
    return found


def _compared(before: list[float], logged: list[float], after: list[float]) -> dict[str, float]:
    first, during, last = (sum(times) / len(times) for times in (before, logged, after))
    beside = (first + last) / 2
    return {
        "slowed": during / beside - 1,
        "drift": abs(last / first - 1),
        "cost_us": (during - beside) * 1e6,
        "p99.9": _slowest(logged),
    }


def _slowest(times_s: list[float]) -> float:
    return sorted(times_s)[int(len(times_s) * 0.999)] * 1000


def wait_until_drained(run: Any) -> None:
    """Wait until a run's memory is empty.

    Raises:
        TimeoutError: It was not within two minutes.
    """
    end = monotonic() + DRAIN_S
    pause = Event()
    while run.diagnostics().queue_depth:
        if monotonic() > end:
            raise TimeoutError(f"not drained within {DRAIN_S:.0f} s")
        pause.wait(0.02)


def calls(run: Any, *, keys: int, count: int, blocks: int) -> dict[str, Any]:
    """Interleave blocks of appends and logs; each block of logs starts with an empty queue."""
    rows = pool(keys)
    appended: list[int] = []
    logged: list[int] = []
    accepted = 0
    time_log(run, rows, range(min(count, 200)))
    for block in range(1, blocks + 1):
        wait_until_drained(run)
        appended += time_append(rows, count)
        times, kept = time_log(run, rows, range(block * count, (block + 1) * count))
        logged += times
        accepted += kept
    return {"append": shares(appended), "log": shares(logged), "accepted": accepted / len(logged)}


def offline_run(spool: str) -> Any:
    """Start a run that never sends, over whichever `rundial` is there."""
    import rundial as rd

    options: dict[str, Any] = {"system_metrics": False} if rd.__version__ == PUBLISHED else {}
    return rd.init(project="bench", mode="offline", spool_directory=spool, **options)


def main() -> None:
    """Run one job and write what it found as JSON."""
    given = json.loads(sys.argv[1])
    job, spool = given.pop("job"), given.pop("spool")
    run = offline_run(spool)
    found = calls(run, **given) if job == "calls" else pace_widths(matmul(), run, **given)
    sys.stdout.write(json.dumps(found) + "\n")
    run.finish(1.0)


if __name__ == "__main__":
    main()
