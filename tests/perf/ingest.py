"""From request to commit on one core: in one process without HTTP, and through the real server.

Bodies are what a run really sends, made beforehand; every point is new to its store. The time of a store
ends when it is closed, so that what SQLite left in its log for later is paid for, too. Beside the usual
requests, which are large because a sender that is behind fills them, stand those that cost more a point:
one take each, as a quick sender sends them, and the same points as any other OpenTelemetry program
encodes them.
"""

from __future__ import annotations

import gzip
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

import rundial as rd
from rundial.clock import SystemClock
from rundial.server.app import close_services, open_services
from rundial.server.bodies import unpack
from rundial.server.ingest import decode
from rundial.server.keys import Principal, parse
from rundial.server.rows import Delivery
from rundial.server.serve import _SWITCH_INTERVAL_S
from rundial.server.services import Services
from rundial.server.store.apikeys import find_key
from rundial.server.store.engine import FILE_NAME
from rundial.signals.split import count_items
from rundial.signals.wire import fields
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
# How many points one database holds at which its cost per point is looked at, and how many points that
# look takes in.
MARKS = (10_000, 100_000, 300_000, 1_000_000, 3_000_000)
WINDOW = 100_000
GROWTHS = 3
FLUSH_ROWS = 10_000


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    core = max(os.sched_getaffinity(0))
    rows = plan.size(ROWS)
    found: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
    for _ in range(plan.repeats):
        for form, reps in found.items():
            places = {name: str(plan.place(name)) for name in ("data", "spool")}
            reps.append(measure(store, **places, rows=rows, core=core, form=form))
    inside = found["ours"]
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
            note="waiting for the disk, a last checkpoint included",
        ),
        Figure(
            "the same by the process's CPU time",
            [rep["cpu_s"] for rep in inside],
            "points/s a core",
            at_least=200_000.0,
        ),
        Figure("of that, decoding alone", [rep["decoded_s"] for rep in inside], "points/s"),
        Figure("of that, storing alone", [rep["stored_s"] for rep in inside], "points/s"),
        Figure("on the server's disk", [rep["point_bytes"] for rep in inside], "bytes a point"),
        Figure(
            "the same points as OpenTelemetry's own encoder lays them out",
            [rep["cpu_s"] for rep in found["foreign"]],
            "points/s a core",
            at_least=200_000.0,
        ),
        Figure(
            "the same points, one take a request",
            [rep["points_s"] for rep in found["takes"]],
            "points/s",
            note=f"{found['takes'][0]['request_points']:,.0f} points and one wait for the disk each",
        ),
        Figure(
            f"over HTTP, {SENDERS} connections, server bound to one core",
            outside,
            "points/s",
            at_least=200_000.0,
        ),
        *_growth(plan, core),
    ]


def _growth(plan: Plan, core: int) -> list[Figure]:
    """What a point costs while one database grows."""
    marks = [plan.size(mark) for mark in MARKS]
    places = [(str(plan.place("data")), str(plan.place("spool"))) for _ in range(min(GROWTHS, plan.repeats))]
    found = [measure(grow, data=data, spool=spool, marks=marks, core=core) for data, spool in places]
    return [
        Figure(
            f"up to {mark:,} points in one database",
            [rep["cpu"][place] for rep in found],
            "µs of CPU a point",
            note=f"{median(rep['wall'][place] for rep in found):.2f} µs by the clock",
        )
        for place, mark in enumerate(marks)
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


def store(data: str, spool: str, rows: int, core: int, form: str) -> dict[str, float]:
    """Decode and store a run's bodies, each committed before the next; in a worker."""
    _, bodies = _bodies(spool, rows)
    bodies = FORMS[form](bodies)
    services, principal = _opened(Path(data), core)
    decoding = storing = 0.0
    cpu = time.process_time()
    for body in bodies:
        decoded, stored = _take(services, principal, body)
        decoding += decoded
        storing += stored
    start = time.perf_counter()
    close_services(services)
    storing += time.perf_counter() - start
    cpu = time.process_time() - cpu
    points = rows * KEYS
    return {
        "points_s": points / (decoding + storing),
        "cpu_s": points / cpu,
        "decoded_s": points / decoding,
        "stored_s": points / storing,
        "request_points": points / len(bodies),
        "point_bytes": (Path(data) / FILE_NAME).stat().st_size / points,
    }


def grow(data: str, spool: str, marks: list[int], core: int) -> dict[str, list[float]]:
    """Store a long run; µs a point over the last points before each mark, by each clock; in a worker."""
    _, bodies = _bodies(spool, marks[-1] // KEYS)
    services, principal = _opened(Path(data), core)
    sizes = [count_items("metrics", unpack(body, "gzip")) for body in bodies]
    walls, cpus = [], []
    for body in bodies:
        start, cpu = time.perf_counter(), time.process_time()
        _take(services, principal, body)
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - start)
    close_services(services)
    return {
        name: [_cost(list(zip(sizes, took, strict=True)), mark) for mark in marks]
        for name, took in (("wall", walls), ("cpu", cpus))
    }


def _cost(took: list[tuple[int, float]], mark: int) -> float:
    """µs a point of the requests within a window up to a number of points."""
    total = points = 0
    seconds = 0.0
    for size, each in took:
        if total >= mark:
            break
        total += size
        if total > mark - WINDOW:
            points += size
            seconds += each
    return seconds / points * 1e6


def _opened(data: Path, core: int) -> tuple[Services, Principal]:
    """A store whose threads all run on one core, and its owner."""
    # From here on; the threads that the store starts inherit it.
    os.sched_setaffinity(0, {core})
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    services = open_services(data, SystemClock())
    return services, _owner(services, data)


def _take(services: Services, principal: Principal, body: bytes) -> tuple[float, float]:
    """Decode a body and store it; the seconds of each."""
    start = time.perf_counter()
    deliveries = decode("metrics", unpack(body, "gzip")).deliveries
    decoded = time.perf_counter()
    _commit(services, principal, deliveries)
    return decoded - start, time.perf_counter() - decoded


def _each_take(bodies: list[bytes]) -> list[bytes]:
    """The same points, a request for each time that the client emptied its ring."""
    plain = (unpack(body, "gzip") for body in bodies)
    # A resource's group is a request of its own when it stands alone.
    return [gzip.compress(body[start:end], 1) for body in plain for _, _, start, _, end in fields(body)]


def _foreign(bodies: list[bytes]) -> list[bytes]:
    """The same points as protobuf itself writes them, field by field in the order of their numbers."""
    requests = (ExportMetricsServiceRequest.FromString(unpack(body, "gzip")) for body in bodies)
    return [gzip.compress(request.SerializeToString(), 1) for request in requests]


FORMS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "ours": lambda bodies: bodies,
    "foreign": _foreign,
    "takes": _each_take,
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
        if step % FLUSH_ROWS == 0:
            run.flush(60)
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
