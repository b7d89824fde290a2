"""From ring to frame: points a second of one core, and the bytes that a point takes on disk and wire."""

from __future__ import annotations

import struct
import threading
import time
from random import Random
from typing import Any

import rundial as rd
from tests.perf import loops
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.workers import measure

KEYS = 10
# Under a quarter of the default ring, so that the encoder sleeps until it is asked.
ROWS = 24_000
TICKS = 2_000
# Longer than any measurement: the encoder works when asked, and then alone.
NEVER_S = 3_600.0


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    spool = str(plan.place("spool"))
    speeds = measure(encode, spool=spool, rows=plan.size(ROWS), repeats=plan.repeats)
    found = []
    for _ in range(plan.repeats):
        spool = str(plan.place("spool"))
        found.append(measure(keep, spool=spool, rows=plan.size(ROWS), ticks=plan.size(TICKS)))
    sizes = {name: [rep[name] for rep in found] for name in found[0]}
    walls = [each["wall"] for each in speeds]
    return [
        Figure(
            "encoder's CPU, 10 keys a call",
            [each["cpu"] for each in speeds],
            "points/s a core",
            at_least=500_000.0,
        ),
        Figure("the same by the wall clock", walls, "points/s", note="pauses included"),
        Figure("on disk, 10 keys each 1 ms, doubles of noise", sizes["paced"], "bytes a point", at_most=14.0),
        Figure("on disk, flat out, doubles of noise", sizes["flat"], "bytes a point", at_most=14.0),
        Figure("on disk, flat out, noise that was float32", sizes["single"], "bytes a point"),
    ]


def encode(spool: str, rows: int, repeats: int) -> list[dict[str, float]]:
    """Fill the ring, then have it emptied, again and again; in a worker."""
    run = rd.init(project="bench", mode="offline", spool_directory=spool, flush_interval_seconds=NEVER_S)
    (encoder,) = [each for each in threading.enumerate() if each.name == "rundial-encoder"]
    if encoder.ident is None:
        raise RuntimeError("the encoder does not run")
    clock = time.pthread_getcpuclockid(encoder.ident)
    values = loops.pool(KEYS)
    found = []
    # One more than asked for: the first is for the caches.
    for repeat in range(repeats + 1):
        for step, metrics in loops.rows_of(values, range(repeat * rows, (repeat + 1) * rows)):
            run.log(metrics, step=step)
        cpu, wall = time.clock_gettime(clock), time.perf_counter()
        if not run.flush(60):
            raise TimeoutError("the ring was not emptied within a minute")
        wall, cpu = time.perf_counter() - wall, time.clock_gettime(clock) - cpu
        found.append({"cpu": rows * KEYS / cpu, "wall": rows * KEYS / wall})
    run.finish(5)
    return found[1:]


def keep(spool: str, rows: int, ticks: int) -> dict[str, float]:
    """Log noise at a pace, flat out, and in single precision; bytes a point of each; in a worker."""
    run = rd.init(project="bench", mode="offline", spool_directory=spool)
    draw = Random(7).gauss
    names = [f"metric/{key}" for key in range(KEYS)]

    def full() -> dict[str, float]:
        return {name: draw(0.0, 1.0) for name in names}

    def single() -> dict[str, float]:
        return {name: struct.unpack("f", struct.pack("f", draw(0.0, 1.0)))[0] for name in names}

    def log_paced() -> None:
        pause = threading.Event()
        due = time.perf_counter()
        for step in range(ticks):
            run.log(full(), step=step)
            due += loops.TICK_S
            pause.wait(max(0.0, due - time.perf_counter()))

    def log_flat(draw_row: Any) -> None:
        for step in range(rows):
            run.log(draw_row(), step=step)

    return {
        "paced": _bytes_of(run, log_paced, ticks * KEYS),
        "flat": _bytes_of(run, lambda: log_flat(full), rows * KEYS),
        "single": _bytes_of(run, lambda: log_flat(single), rows * KEYS),
    }


def _bytes_of(run: Any, log: Any, points: int) -> float:
    run.flush(60)
    before = run.diagnostics()
    log()
    run.flush(60)
    after = run.diagnostics()
    recorded = after.ledger.points.recorded - before.ledger.points.recorded
    if recorded != points:
        raise RuntimeError(f"{recorded:,} of {points:,} points were recorded")
    grown: int = after.spool_bytes - before.spool_bytes
    return grown / points
