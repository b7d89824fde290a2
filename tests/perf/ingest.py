"""From request to commit on one core: in one process without HTTP, and through the real server.

Bodies are what a run really sends, made beforehand; every point is new to its store.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rundial as rd
from rundial.clock import SystemClock
from rundial.server.app import close_services, open_services
from rundial.server.bodies import unpack
from rundial.server.ingest import decode
from rundial.server.keys import Principal, parse
from rundial.server.rows import Delivery
from rundial.server.serve import _SWITCH_INTERVAL_S
from rundial.server.services import Services
from rundial.server.store.places import find_key
from rundial.spool.frame import scan
from rundial.spool.segment import HEADER_BYTES
from tests.perf import loops
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.servers import PROJECT, access, server, stored_points
from tests.perf.workers import measure
from tests.support.program import ServerProgram

KEYS = 10
ROWS = 20_000
SENDERS = 2


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    core = max(os.sched_getaffinity(0))
    rows = plan.size(ROWS)
    inside = [
        measure(store, data=str(plan.place("data")), spool=str(plan.place("spool")), rows=rows, core=core)
        for _ in range(plan.repeats)
    ]
    outside = []
    with _pinned(plan, core) as live:
        for _ in range(plan.repeats):
            rep = measure(send, access=access(live), spool=str(plan.place("spool")), rows=rows)
            if stored_points(live, rep["run_id"]) != rows * KEYS:
                raise RuntimeError("the server has not stored every point")
            outside.append(rep["points_s"])
    return [
        Figure(
            "decode and store, one request after the other",
            [rep["points_s"] for rep in inside],
            "points/s",
            at_least=200_000.0,
            note="waiting for the disk included",
        ),
        Figure("of that, decoding alone", [rep["decoded_s"] for rep in inside], "points/s"),
        Figure("of that, storing alone", [rep["stored_s"] for rep in inside], "points/s"),
        Figure(
            f"over HTTP, {SENDERS} connections, server bound to one core",
            outside,
            "points/s",
            at_least=200_000.0,
        ),
    ]


@contextmanager
def _pinned(plan: Plan, core: int) -> Iterator[ServerProgram]:
    """A server on one core; what it starts with is what its threads inherit."""
    live = server(plan)
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        live.start()
    finally:
        os.sched_setaffinity(0, mine)
    try:
        yield live
    finally:
        live.kill()


def store(data: str, spool: str, rows: int, core: int) -> dict[str, float]:
    """Decode and store a run's bodies, each committed before the next; in a worker."""
    _, bodies = _bodies(spool, rows)
    # From here on; the threads that the store starts inherit it.
    os.sched_setaffinity(0, {core})
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    services = open_services(Path(data), SystemClock())
    principal = _owner(services, Path(data))
    decoding = storing = 0.0
    for body in bodies:
        start = time.perf_counter()
        deliveries = decode("metrics", unpack(body, "gzip")).deliveries
        decoded = time.perf_counter()
        _commit(services, principal, deliveries)
        decoding += decoded - start
        storing += time.perf_counter() - decoded
    close_services(services)
    points = rows * KEYS
    return {
        "points_s": points / (decoding + storing),
        "decoded_s": points / decoding,
        "stored_s": points / storing,
    }


def send(access: dict[str, Any], spool: str, rows: int) -> dict[str, Any]:
    """Send a run's bodies over a few connections and wait for every answer; in a worker."""
    import urllib3

    run_id, bodies = _bodies(spool, rows)
    pool = urllib3.PoolManager(maxsize=SENDERS, retries=False, timeout=60.0)
    headers = {
        "authorization": f"Bearer {access['api_key']}",
        "content-type": "application/x-protobuf",
        "content-encoding": "gzip",
    }

    def post(body: bytes) -> int:
        return pool.request("POST", f"{access['endpoint']}/v1/metrics", body=body, headers=headers).status

    with ThreadPoolExecutor(SENDERS) as senders:
        start = time.perf_counter()
        statuses = set(senders.map(post, bodies))
        seconds = time.perf_counter() - start
    if statuses != {200}:
        raise RuntimeError(f"the server answered {sorted(statuses)}")
    return {"run_id": run_id, "points_s": rows * KEYS / seconds}


def _bodies(spool: str, rows: int) -> tuple[str, list[bytes]]:
    """Return a new run's id and the metrics requests that it would send."""
    run = rd.init(project=PROJECT, mode="offline", spool_directory=spool)
    for step, metrics in loops.rows_of(loops.pool(KEYS), range(rows)):
        run.log(metrics, step=step)
    run.finish(60)
    segments = sorted(Path(spool).rglob("metrics/*.seg"))
    frames = [frame for each in segments for _, frame, _ in scan(each.read_bytes(), HEADER_BYTES)]
    if sum(frame.units for frame in frames) != rows * KEYS or not all(frame.is_gzip for frame in frames):
        raise RuntimeError("the spool does not hold what was logged")
    return run.run_id, [frame.body for frame in frames]


def _owner(services: Services, data: Path) -> Principal:
    parts = parse((data / "owner.key").read_text())
    if parts is None:
        raise RuntimeError("the server wrote no key")
    with services.engines.reading.begin() as connection:
        found = find_key(connection, parts[0])
    if found is None:
        raise RuntimeError("the server does not know its own key")
    return found.principal


def _commit(services: Services, principal: Principal, deliveries: Iterable[Delivery]) -> None:
    def job(connection: Any) -> None:
        for delivery in deliveries:
            problem = services.intake.store(connection, principal, delivery, time.time_ns())
            if problem is not None:
                raise problem

    services.writer.submit(job, weight=10_000).result(60)
