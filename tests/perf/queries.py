"""The server's queries over ten million points: a long series, the run table, text, ingest beside them.

The points go into the store without HTTP, in the order in which they would arrive; everything else is asked
of a real server over HTTP, by the clock, answers read and parsed. A rollup is made by the first query; that
one is a figure of its own.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import urllib3

from rundial.clock import SystemClock
from rundial.server.app import close_services, open_services
from rundial.server.keys import ADMIN, Principal
from rundial.server.rows import Delivery, Target, TextRow
from rundial.server.services import Services
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.workers import measure
from tests.support import otlp, reference_points
from tests.support.program import ServerProgram
from tests.support.waiting import wait_until

PROJECT: Final = "reference"
POINTS: Final = 10_000_000
LINES: Final = 100_000
AT_ONCE: Final = 20_000
MARKS: Final = (20_000, 100_000, 1_000_000, 10_000_000)
WRITERS: Final = 8
REQUESTS: Final = 50
REQUEST_POINTS: Final = 500
COLUMNS: Final = "summary.train/loss,summary.train/acc,summary.val/loss,summary.val/acc,summary.lr"
_P: Final = f"/api/v1/workspaces/default-workspace/projects/{PROJECT}"
_OWNER: Final = Principal("bench", "bench", frozenset({ADMIN}), 1)


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    data = plan.place("reference") / "data"
    filled = measure(fill, data=str(data), points=plan.size(POINTS), lines=plan.size(LINES))
    with ServerProgram(data) as live:
        asked = Asked(live)
        first = asked.series()
        # As long as a claim takes; the answers say by themselves when rollups are read.
        wait_until(lambda: asked.series() * 3 < first or plan.is_quick, 60)
        series = [asked.series() for _ in range(plan.repeats)]
        table = [asked.table() for _ in range(plan.repeats)]
        tail = [asked.tail() for _ in range(plan.repeats)]
        spent = {
            name: spent_ms(live, job, plan.repeats)
            for name, job in (("series", asked.series), ("table", asked.table), ("tail", asked.tail))
        }
        took = beside(asked)
        peak = peak_bytes(live)
    curve = [
        Figure(f"store, the last points up to {int(mark):,}", [cost], "µs of CPU a point")
        for mark, cost in filled["cost"].items()
    ]
    return [
        Figure("the longest series in 1,000 buckets, first time", [first], "ms", note="read from its points"),
        Figure("the same from rollups", series, "ms", at_most=60.0, note=cpu_note(spent["series"])),
        Figure(
            "run table, 1,000 runs with 5 summary columns",
            table,
            "ms",
            at_most=30.0,
            note=cpu_note(spent["table"]),
        ),
        Figure("tail of 200 text lines", tail, "ms", at_most=5.0, note=cpu_note(spent["tail"])),
        Figure(
            f"ingest, {WRITERS} writers and a reader, 99th percentile of a request",
            [quantiles(took, n=100)[98]],
            "ms",
            at_most=100.0,
            note=f"{REQUEST_POINTS} points each; median {quantiles(took, n=2)[0]:.0f} ms",
        ),
        Figure("greatest memory of the server", [peak / 2**20], "MiB", at_most=400.0),
        *curve,
    ]


class Asked:
    """Times requests to a server, in milliseconds."""

    def __init__(self, live: ServerProgram) -> None:
        self.url = live.url
        self.headers = {"authorization": f"Bearer {live.key}"}
        self.pool = urllib3.PoolManager(maxsize=WRITERS + 1, retries=False, timeout=60.0)
        body = json.dumps({"project": PROJECT}).encode()
        self.project_id = self._ask("POST", "/api/v1/runs/resolve-target", body)[1]["projectId"]

    def series(self) -> float:
        """Run 0's only series."""
        body = {
            "projectId": self.project_id,
            "runId": "run-0",
            "metricKeys": [reference_points.KEYS[0]],
            "maxPointsPerSeries": 1_000,
            "form": "buckets",
        }
        took, found = self._ask("POST", "/api/v1/query/series", json.dumps(body).encode())
        if len(found["series"][0]["buckets"]) < 100:
            raise RuntimeError("the series has too few buckets")
        return took

    def table(self) -> float:
        """Every run with its columns."""
        return self._ask("GET", f"{_P}/runs/query?limit=1000&columns={COLUMNS}")[0]

    def tail(self) -> float:
        """The newest lines of a run."""
        body = {"projectId": self.project_id, "runId": "run-1", "limit": 200}
        took, found = self._ask("POST", "/api/v1/query/logs", json.dumps(body).encode())
        if len(found["rows"]) != 200:
            raise RuntimeError("the run has too few lines")
        return took

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[float, Any]:
        start = time.perf_counter()
        answer = self.pool.request(method, self.url + path, body=body, headers=self.headers)
        found = answer.json()
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered {answer.status}: {found}")
        return (time.perf_counter() - start) * 1e3, found


def beside(asked: Asked) -> list[float]:
    """How long requests of several writers took while someone read a series, in milliseconds."""
    bodies = {
        (writer, request): _body(writer, request) for writer in range(WRITERS) for request in range(REQUESTS)
    }
    is_done = threading.Event()

    def read() -> None:
        while not is_done.is_set():
            asked.series()

    def write(writer: int) -> list[float]:
        took = []
        for request in range(REQUESTS):
            start = time.perf_counter()
            headers = {**asked.headers, "content-type": "application/x-protobuf"}
            body = bodies[writer, request]
            answer = asked.pool.request("POST", f"{asked.url}/v1/metrics", body=body, headers=headers)
            if answer.status != 200:
                raise RuntimeError(f"a request was answered {answer.status}")
            took.append((time.perf_counter() - start) * 1e3)
        return took

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with ThreadPoolExecutor(WRITERS) as writers:
            return [each for took in writers.map(write, range(WRITERS)) for each in took]
    finally:
        is_done.set()
        reader.join()


def _body(writer: int, request: int) -> bytes:
    steps = range(request * REQUEST_POINTS, (request + 1) * REQUEST_POINTS)
    owner = otlp.resource(f"writer-{writer}", rundial__project=PROJECT, service__name=PROJECT)
    return otlp.metrics((owner, [otlp.gauge("loss", [otlp.point(step, float(step)) for step in steps])]))


def cpu_note(spent_ms: float) -> str:
    """What the server's CPU did meanwhile, in words."""
    return f"{spent_ms:.1f} ms of the server's CPU"


def spent_ms(live: ServerProgram, job: Callable[[], float], times: int) -> float:
    """CPU time that the server spends on one request, which other programs do not lengthen."""
    before = _cpu_s(live)
    for _ in range(times):
        job()
    return (_cpu_s(live) - before) / times * 1e3


def _cpu_s(live: ServerProgram) -> float:
    fields = Path(f"/proc/{live.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(live: ServerProgram) -> int:
    """The greatest memory that the server took."""
    lines = Path(f"/proc/{live.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def fill(data: str, points: int, lines: int, events: str | None = None) -> dict[str, Any]:
    """Store the reference points and some lines.

    Returns:
        `cost`: µs of CPU a point over the last ones before each mark; `points_s`: points a second in all.
    """
    columns = reference_points.load(points)
    Path(data).mkdir(mode=0o700)
    services = open_services(Path(data), SystemClock(), events=events)
    began_s = time.perf_counter()
    cost: dict[str, float] = {}
    for at in range(0, points, AT_ONCE):
        batches = _deliveries(columns, at)
        start = time.process_time()
        _commit(services, batches)
        spent = time.process_time() - start
        done = min(points, at + AT_ONCE)
        for mark in MARKS:
            if at < mark <= done:
                cost[str(mark)] = spent / (done - at) * 1e6
    points_s = points / (time.perf_counter() - began_s)
    for at in range(0, lines, AT_ONCE):
        delivery = _delivery(1)
        for seq in range(at, min(lines, at + AT_ONCE)):
            delivery.texts.append(
                TextRow(seq, seq + 1, 9, f"step {seq}: loss=0.123", "{}", None, None, None, False)
            )
        _commit(services, [delivery])
    close_services(services)
    return {"cost": cost, "points_s": points_s}


def _commit(services: Services, deliveries: list[Delivery]) -> None:
    def job(connection: Any) -> None:
        for delivery in deliveries:
            problem = services.intake.store(connection, _OWNER, delivery, time.time_ns())
            if problem is not None:
                raise problem

    services.writer.submit(job, weight=AT_ONCE).result(120)


def _delivery(run: int) -> Delivery:
    return Delivery(
        Target(None, PROJECT, PROJECT, f"run-{run}", "training", 1, None, f"i-{run}", "", is_foreign=False)
    )


def _deliveries(columns: reference_points.Columns, at: int) -> list[Delivery]:
    """Some points in order of arrival, by run and series."""
    import numpy as np

    part = slice(at, at + AT_ONCE)
    run, key = columns.run[part], columns.key[part]
    code = run.astype(np.int64) * len(reference_points.KEYS) + key
    order = np.argsort(code, kind="stable")
    found: dict[int, Delivery] = {}
    for places in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        number = int(run[places[0]])
        delivery = found.setdefault(number, _delivery(number))
        taken = [each[part][places].tolist() for each in (columns.step, columns.time_unix_ns, columns.value)]
        name = reference_points.KEYS[int(key[places[0]])]
        delivery.add_points(name, "", "{}", (taken[0], taken[1], taken[2]))
    return list(found.values())
