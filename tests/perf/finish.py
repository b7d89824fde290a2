"""How long a script's end takes: with a live server, a dead one and one that hangs, with and without finish.

A dead server was killed, a hanging one was stopped (SIGSTOP): its kernel still takes connections.
"""

from __future__ import annotations

import signal
import sys
from time import perf_counter
from typing import Any

import rundial as rd
from tests.perf.plan import Plan
from tests.perf.report import Figure
from tests.perf.servers import access, server, stored_points
from tests.perf.workers import begin, ended, measure, say
from tests.support.program import ServerProgram

POINTS = 10_000
TIMEOUT_S = 1.0
DEFAULT_S = 5.0
GRACE_S = 0.3
FAULTS = ("dead", "hung")


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    live_ms: list[float] = []
    with server(plan) as live:
        for _ in range(plan.repeats):
            rep = measure(log_and_finish, access=access(live), spool=str(plan.place("spool")))
            if stored_points(live, rep["run_id"]) != POINTS:
                raise RuntimeError("not every point is stored")
            live_ms.append(rep["finish_ms"])
    figures = [Figure(f"finish after {POINTS:,} points, live server", live_ms, "ms", at_most=150.0)]
    for fault in FAULTS:
        over = [_over_finish(plan, fault) for _ in range(plan.repeats)]
        figures.append(Figure(f"finish(1), {fault} server: beyond its timeout", over, "s", at_most=GRACE_S))
    for fault in FAULTS:
        reps = [_over_exit(plan, fault) for _ in range(1 if plan.is_quick else plan.repeats)]
        told = sum(is_told for _, is_told in reps)
        figures.append(
            Figure(
                f"exit without finish, {fault} server",
                [seconds for seconds, _ in reps],
                "s",
                at_most=DEFAULT_S + GRACE_S,
                note=f"{told} of {len(reps)} said last what waits and how to send it",
            )
        )
    return figures


def log_and_finish(access: dict[str, Any], spool: str) -> dict[str, Any]:
    """Log and finish against a live server; in a worker."""
    run = rd.init(spool_directory=spool, **access)
    for step in range(POINTS):
        run.log({"loss": step * 0.37}, step=step)
    start = perf_counter()
    if not run.finish(30):
        raise RuntimeError("finish did not deliver everything")
    return {"run_id": run.run_id, "finish_ms": (perf_counter() - start) * 1000}


def finish_without_server(access: dict[str, Any], spool: str) -> float:
    """Finish when the server has gone; returns the seconds beyond the timeout; in a worker."""
    run = _until_told(access, spool)
    start = perf_counter()
    run.finish(TIMEOUT_S)
    return perf_counter() - start - TIMEOUT_S


def leave_without_server(access: dict[str, Any], spool: str) -> None:
    """Log when the server has gone, and just leave; in a worker."""
    _until_told(access, spool)


def _until_told(access: dict[str, Any], spool: str) -> Any:
    """Start a run, wait for the parent to take the server away, and log."""
    run = rd.init(spool_directory=spool, **access)
    run.log({"loss": 1.0}, step=0)
    if not run.flush(30):
        raise TimeoutError("the server has not answered")
    say("ready")
    sys.stdin.readline()
    for step in range(1, 1001):
        run.log({"loss": step * 0.37}, step=step)
    return run


def _over_finish(plan: Plan, fault: str) -> float:
    with server(plan) as live:
        child = begin(finish_without_server, access=access(live), spool=str(plan.place("spool")))
        _take_away(live, child, fault)
        return float(ended(child))


def _over_exit(plan: Plan, fault: str) -> tuple[float, bool]:
    """Seconds from the server's end to the process's, and whether its last line says what is left."""
    with server(plan) as live:
        child = begin(leave_without_server, access=access(live), spool=str(plan.place("spool")))
        _take_away(live, child, fault)
        start = perf_counter()
        with child:
            _, stderr = child.communicate(timeout=60)
        seconds = perf_counter() - start
    lines = stderr.splitlines()
    return seconds, bool(lines) and "wait in" in lines[-1] and "rundial sync" in lines[-1]


def _take_away(live: ServerProgram, child: Any, fault: str) -> None:
    """Once the child is ready, kill or stop the server, and tell the child to go on."""
    if not child.stdout.readline():
        raise RuntimeError(child.stderr.read())
    if fault == "dead":
        live.kill()
    else:
        # The program's own handle: what it offers ends the child and waits for that.
        server_child = live._child
        assert server_child is not None
        server_child.send_signal(signal.SIGSTOP)
    child.stdin.write("go\n")
    child.stdin.flush()
