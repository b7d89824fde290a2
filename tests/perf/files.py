"""Files and media: what a call costs its caller, and what the way to the server costs beside plain tools.

One large file is logged, hashed, uploaded to a local server and judged there, beside `sha256sum` and `cp`
of the same bytes in the same round. Calls are timed flat out and at a pace: what a rare call pays for caches
that others have emptied is what a training loop pays.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import perf_counter, perf_counter_ns, process_time
from typing import Any

import rundial as rd
from tests.perf import loops
from tests.perf.burst import memory
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.servers import PROJECT, access, server
from tests.perf.workers import measure
from tests.support.program import ServerProgram

LARGE_BYTES = 1 << 30
BLOCK_BYTES = 1 << 20
CALLS = 1_000
PACE_S = 0.005
WORKSPACE = "default-workspace"
SMALL_FILES = 10_000
SMALL_BYTES = 1_024
# 10,092 bytes: a picture of 10 KB.
PIXELS = (58, 58, 3)
WAIT_S = 300.0
MIB = 1 << 20


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    return [*_large(plan), *_calls(plan), *_directory(plan)]


def _large(plan: Plan) -> list[Figure]:
    source = plan.place("large") / "model.bin"
    size = plan.size(LARGE_BYTES)
    block = os.urandom(BLOCK_BYTES)
    with source.open("wb") as file:
        for _ in range(-(-size // BLOCK_BYTES)):
            file.write(block)
    found = []
    for number in range(plan.repeats):
        with source.open("r+b") as file:
            file.write(number.to_bytes(8, "little"))  # known content would not be sent
        with server(plan) as live:
            spool = plan.place("spool")
            # By turns first and second: neither of the two has the warmer caches.
            steps: list[Callable[[], dict[str, float]]] = [
                lambda: _plain_tools(source),
                lambda: _delivered(live, source, spool),  # noqa: B023 - called in its own round
            ]
            rep: dict[str, float] = {}
            for step in steps if number % 2 == 0 else reversed(steps):
                rep |= step()
            found.append(rep)
        shutil.rmtree(live.data)
        shutil.rmtree(spool)
    ratio = [rep["delivered_s"] / rep["plain_s"] for rep in found]
    name = f"one file of {size / MIB:,.0f} MiB"
    return [
        Figure(
            f"{name}: logged, hashed, uploaded and verified",
            ratio,
            "times",
            at_most=2.0,
            note="the time of `sha256sum` and `cp` of the same file",
        ),
        Figure(f"{name}: delivered", [rep["delivered_s"] for rep in found], "s"),
        Figure(f"{name}: `sha256sum` and `cp`", [rep["plain_s"] for rep in found], "s"),
        Figure(f"{name}: own CPU, all threads", [rep["cpu_s"] for rep in found], "s"),
        Figure(f"{name}: server's CPU", [rep["server_cpu_s"] for rep in found], "s"),
        Figure(
            f"{name}: peak RSS above that after init", [rep["peak_mib"] for rep in found], "MiB", at_most=64.0
        ),
    ]


def _plain_tools(source: Path) -> dict[str, float]:
    """Hash and copy a file as a user would by hand."""
    target = source.with_name("copy.bin")
    start = perf_counter()
    subprocess.run(["sha256sum", str(source)], check=True, stdout=subprocess.PIPE)
    # A clone would copy nothing.
    subprocess.run(["cp", "--reflink=never", str(source), str(target)], check=True)
    seconds = perf_counter() - start
    target.unlink()
    return {"plain_s": seconds}


def _delivered(live: ServerProgram, source: Path, spool: Path) -> dict[str, float]:
    """Have a process log a file and wait for it, and compare what the server says that it has."""
    before = _cpu_of(live.pid)
    rep: dict[str, Any] = measure(deliver, access=access(live), spool=str(spool), path=str(source))
    rep["server_cpu_s"] = _cpu_of(live.pid) - before
    said = subprocess.run(["sha256sum", str(source)], check=True, stdout=subprocess.PIPE, text=True).stdout
    if _stored(live, source.name) != {source.name: said.split()[0]}:
        raise RuntimeError("the server has another file than was logged")
    return rep


def deliver(access: dict[str, Any], spool: str, path: str) -> dict[str, float]:
    """Log a file or a directory and wait until the server has judged it; in a worker."""
    run = rd.init(spool_directory=spool, **access)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    cpu, start = process_time(), perf_counter()
    run.log_artifact(path)
    if not run.flush(WAIT_S):
        raise RuntimeError(f"not delivered within {WAIT_S:.0f} s: {run.diagnostics().last_error}")
    found = {
        "delivered_s": perf_counter() - start,
        "cpu_s": process_time() - cpu,
        "peak_mib": (memory("VmHWM") - before) / MIB,
    }
    run.finish(30)
    return found


def _calls(plan: Plan) -> list[Figure]:
    calls = plan.size(CALLS)
    folder = plan.place("small")
    for number in range(calls):
        (folder / f"{number}.bin").write_bytes(os.urandom(64))
    found = []
    for _ in range(plan.repeats):
        given = {"folder": str(folder), "calls": calls, "spool": str(plan.place("spool"))}
        with server(plan) as live:
            found.append(measure(call, access=access(live), **given))
        shutil.rmtree(live.data)
    figures = []
    for what, bounds in (
        ("log_artifact", {"p99": 50.0}),
        ("log of an image of 10 KB", {"mean": 100.0}),
    ):
        for pace in ("flat out", "at a pace"):
            for share in ("p50", "mean", "p99"):
                values = [rep[f"{what}, {pace}"][share] for rep in found]
                figures.append(Figure(f"{what}, {pace}: {share}", values, "µs", at_most=bounds.get(share)))
    return figures


def call(access: dict[str, Any], spool: str, folder: str, calls: int) -> dict[str, Any]:
    """Time the calls of each kind, flat out and one each 5 ms; in a worker."""
    import numpy

    run = rd.init(spool_directory=spool, **access)
    paths = [os.path.join(folder, f"{number}.bin") for number in range(calls)]
    images = [
        rd.Image(each) for each in numpy.random.default_rng(1).integers(0, 256, (calls, *PIXELS), "uint8")
    ]
    makers: dict[str, Callable[[int], object]] = {
        "log_artifact": lambda number: run.log_artifact(paths[number], name=f"file-{number % 10}"),
        "log of an image of 10 KB": lambda number: run.log({"image": images[number]}, step=number),
    }
    found = {}
    for what, make in makers.items():
        # The first call of a kind imports what it needs.
        make(0)
        for pace, pause_s in (("flat out", 0.0), ("at a pace", PACE_S)):
            if not run.flush(WAIT_S):
                raise RuntimeError(f"not delivered: {run.diagnostics().last_error}")
            times = _timed(make, calls, pause_s)
            mean = sum(times) / len(times) / 1000
            found[f"{what}, {pace}"] = {**loops.shares(times), "mean": mean}
    if not run.finish(WAIT_S):
        raise RuntimeError(f"not delivered: {run.diagnostics().last_error}")
    if run.diagnostics().ledger.artifacts.dropped:
        raise RuntimeError(f"calls were refused: {run.diagnostics().ledger.artifacts}")
    return found


def _timed(make: Callable[[int], object], calls: int, pause_s: float) -> list[int]:
    clock, pause = perf_counter_ns, Event()
    found = []
    for number in range(calls):
        start = clock()
        make(number)
        end = clock()
        found.append(end - start)
        if pause_s:
            pause.wait(pause_s)
    return found


def _directory(plan: Plan) -> list[Figure]:
    count = plan.size(SMALL_FILES)
    folder = plan.place("tree") / "dataset"
    for number in range(count):
        place = folder / f"{number // 1_000:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06}.bin").write_bytes(number.to_bytes(4, "little") * (SMALL_BYTES // 4))
    found = []
    for _ in range(plan.repeats):
        with server(plan) as live:
            rep = measure(deliver, access=access(live), spool=str(plan.place("spool")), path=str(folder))
            if len(_stored(live, folder.name)) != count:
                raise RuntimeError("not every file is stored")
            found.append(rep)
        shutil.rmtree(live.data)
    name = f"a directory of {count:,} files of 1 KiB"
    return [
        Figure(f"{name}: delivered", [rep["delivered_s"] for rep in found], "s", at_most=30.0),
        Figure(f"{name}: own CPU, all threads", [rep["cpu_s"] for rep in found], "s"),
        Figure(
            f"{name}: peak RSS above that after init", [rep["peak_mib"] for rep in found], "MiB", at_most=64.0
        ),
    ]


def _stored(live: ServerProgram, name: str) -> dict[str, str]:
    """Return the sha256 of each file of an artifact's only version, by path."""
    with rd.Client(live.url, api_key=live.key) as client:
        found = client.artifact(workspace_slug=WORKSPACE, project_slug=PROJECT, artifact_ref=f"{name}:v0")
    return {each["path"]: each["sha256"] for each in found["files"]}


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
