"""What programs do to themselves: many runs, moving clocks, storms, signals and finalisers that log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rundial.api.adopt import sync
from rundial.api.client import Client
from tests.support import recorded
from tests.support.collector import Collector
from tests.support.control import control
from tests.support.program import ServerProgram
from tests.support.rounds import rounds
from tests.support.scripts import run_script
from tests.support.stored import read

PROJECT = "process"

pytestmark = pytest.mark.fault


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Arguments of an offline run."""
    return {
        "project": PROJECT,
        "mode": "offline",
        "spool_directory": str(tmp_path / "spool"),
        "ring_bytes": 1 << 20,
    }


MANY_RUNS = """
    import os, threading
    from rundial.api import session

    def held():
        # That there are 128 slots in a ring and more runs than that says that slots come back.
        parts = session._SESSION.parts
        return [len(threading.enumerate()), len(os.listdir("/proc/self/fd")), len(parts.live),
                len(parts.pipeline.attached)]

    seen = []
    for number in range(given["runs"]):
        run = rd.init(**given["options"], run_id=f"one-of-many-{number}")
        for step in range(20):
            assert run.log({f"x{number % 7}": float(step)}, step=step)
        with run.trace("span"):
            assert run.log_text(f"line {number}")
        assert run.finish(20), number
        assert run.diagnostics().ledger.closes
        seen.append(held())
    print(json.dumps({"early": seen[5], "late": seen[-1]}))
"""


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_runs_in_sequence_hold_on_to_nothing(options: dict[str, Any], tmp_path: Path, mode: str) -> None:
    """200 runs one after another in a process leave no thread, file descriptor, slot or ring behind."""
    runs = rounds(200)
    with Collector(rules=[control()]) as collector:
        # The environment's thread may outlive its run by a moment.
        given = {**options, "mode": mode, "endpoint": collector.url, "capture_environment": False}
        done = run_script(MANY_RUNS, options=given, runs=runs, timeout_s=100)
    assert done.status == 0, done.stderr

    assert done.found["early"] == done.found["late"]
    files = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    if mode == "online":
        assert len(collector.points) == runs * 20
        assert len(collector.lines) == len(collector.spans) == runs
        assert files == []
    else:
        assert len(recorded.read(tmp_path / "spool").points) == runs * 20
        assert [path for path in files if path.suffix == ".ring"] == []


CLOCK = """
    import time
    real, jump = time.time_ns, [0]
    # Before anything of Rundial reads the clock: what a person or NTP does to the whole machine.
    time.time_ns = lambda: real() + jump[0]
    run = rd.init(**given)
    step = 0
    for seconds in (0, -86400, 3600, -10**9, 10**8, 0):
        jump[0] = seconds * 10**9
        for step in range(step + 1, step + 101):
            assert run.log({"x": float(step)}, step=step)
        assert run.log_text(f"line {step}")
        with run.trace(f"span {step}"):
            pass
        assert run.flush(10)
    assert run.finish(10)
    print(json.dumps([run.run_id, run.diagnostics().ledger.closes]))
"""


def test_a_clock_that_jumps_back_and_forward_loses_and_doubles_nothing(
    server: ServerProgram, options: dict[str, Any]
) -> None:
    """However the machine's clock is set in mid-run, each point is stored once and the ledger closes."""
    given = {**options, "mode": "online", "endpoint": server.url, "api_key": server.key}
    done = run_script(CLOCK, **given)
    assert done.status == 0, done.stderr
    run_id, closes = json.loads(done.stdout)

    assert closes
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        found = read(client, PROJECT, run_id)
    assert sorted(step for _, step, _ in found.points) == list(range(1, 601))
    assert sorted(found.lines) == sorted(f"line {step}" for step in range(100, 601, 100))
    assert len(found.spans) == 6
    assert found.details["ledger"]["complete"], found.details["ledger"]
    assert found.details["status"] == "completed"


STORM = """
    import threading
    from rundial.api import session
    sys.setswitchinterval(1e-4)
    run = rd.init(**given)
    encoder = session._SESSION.parts.pipeline.encoder
    stop, is_refused = threading.Event(), threading.Event()

    def storm():
        while not stop.is_set():
            if not run.log_text("storm " * 100):
                is_refused.set()
            with run.trace("storm"):
                pass

    threads = [threading.Thread(target=storm) for _ in range(3)]
    kept = []
    # As on a disk that hangs: nothing leaves the ring, so lines and spans have filled their share
    # however slow the program or fast the disk.
    with encoder.pass_lock:
        for thread in threads:
            thread.start()
        assert is_refused.wait(30)
        for step in range(100):
            kept.append(run.log({"loss": float(step)}, step=step))
    # And while the disk takes what it can.
    for step in range(100, 200):
        stop.wait(0.005)
        kept.append(run.log({"loss": float(step)}, step=step))
    stop.set()
    for thread in threads:
        thread.join()
    assert run.finish(30)
    ledger = run.diagnostics().ledger
    print(json.dumps({"kept": all(kept), "closes": ledger.closes, "refused": ledger.lines.dropped,
                      "lines": ledger.lines.recorded, "spans": ledger.spans.recorded}))
"""


def test_a_log_storm_costs_no_metric(options: dict[str, Any], tmp_path: Path) -> None:
    """While three threads log text and spans as fast as they can, every sparse metric is accepted."""
    done = run_script(STORM, **options)
    assert done.status == 0, done.stderr
    found = done.found

    on_disk = recorded.read(tmp_path / "spool")
    assert found["refused"].get("queue_full", 0) > 0
    assert found["kept"]
    assert found["closes"]
    assert on_disk.values("loss") == [float(step) for step in range(200)]
    assert len(on_disk.lines) == found["lines"]
    assert len(on_disk.spans) == found["spans"]


INSIDE = """
    import gc, itertools, logging, signal, threading
    run = rd.init(**given)
    # Lists, because they grow in one step: a counter would lose what is logged while it is added to.
    kept = {"handler": [], "finaliser": [], "logging": [], "main": []}

    def on_alarm(number, frame):
        logging.getLogger("program").warning("alarm")
        kept["handler"].append(run.log({"handler": 1.0}))
        # One shot after another: on a slow machine a steady beat would leave no time for the program.
        signal.setitimer(signal.ITIMER_REAL, 0.0007)

    class Handler(logging.Handler):
        def emit(self, record):
            kept["logging"].append(run.log_text("from logging"))

    class Dying:
        def __init__(self):
            self.me = self
        def __del__(self):
            kept["finaliser"].append(run.log({"finaliser": 1.0}))

    logging.getLogger("program").addHandler(Handler())
    logging.getLogger("program").propagate = False
    gc.set_threshold(50)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    stop = threading.Event()
    for step in itertools.count():
        kept["main"].append(run.log({"main": float(step), "again": 1.0}, step=step))
        if step % 5 == 0:
            Dying()
        if step % 7 == 0:
            with run.trace("span"):
                run.log_text("main")
        if step % 500 == 0:
            stop.wait(0.01)
            if min(len(calls) for calls in kept.values()) >= given_calls:
                break
    # The handler would set the timer again.
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    gc.set_threshold(700)
    gc.collect()
    assert run.finish(30)
    counts = {name: sum(calls) for name, calls in kept.items()}
    print(json.dumps({"counts": counts, "closes": run.diagnostics().ledger.closes}))
"""


def test_signal_handlers_finalisers_and_logging_handlers_may_log_inside_log(
    options: dict[str, Any], tmp_path: Path
) -> None:
    """What logs while its own thread is inside `log` hangs nowhere, and what is accepted is there once."""
    done = run_script(INSIDE.replace("given_calls", str(rounds(500))), **options)
    assert done.status == 0, done.stderr
    counts = done.found["counts"]

    on_disk = recorded.read(tmp_path / "spool")
    assert done.found["closes"]
    assert min(counts.values()) >= 1, counts
    for name in ("main", "handler", "finaliser"):
        assert len(on_disk.values(name)) == counts[name]
    assert sum(line.body == "from logging" for line in on_disk.lines) == counts["logging"]


ENDING = """
    import signal, threading
    from rundial.api import session
    run = rd.init(**given["options"])
    encoder, ring = session._SESSION.parts.pipeline.encoder, session._SESSION.parts.pipeline.ring
    said = {}

    def on_signal(number, frame):
        said["before"] = run.log({"x": 2.0}, step=2)
        # Now the encoder waits for the call that is interrupted, and holds what a ledger is read under.
        encoder.wake()
        while encoder.pass_lock.acquire(blocking=False):
            encoder.pass_lock.release()
            threading.Event().wait(0.001)
        said["flushed"] = run.flush(None)
        said["finished"] = run.finish(10**6)
        said["health"] = run.diagnostics().health
        said["after"] = run.log({"x": 3.0}, step=3)

    def strike(frame, event, argument):
        if frame.f_code.co_filename.endswith("recorder/ring.py"):
            frame.f_trace_opcodes = True
            # Not the flag alone, which the encoder sets as well.
            if ring.is_inside and not said:
                signal.raise_signal(signal.SIGUSR1)
        return strike

    signal.signal(signal.SIGUSR1, on_signal)
    assert run.log({"x": 0.0}, step=0)
    sys._getframe().f_trace_opcodes = True
    sys.settrace(strike)
    said["inside"] = run.log({"x": 1.0}, step=1)
    sys.settrace(None)
    if given["again"]:
        said["again"] = run.finish(20)
        said["closes"] = run.diagnostics().ledger.closes
    print(json.dumps(said))
"""


@pytest.mark.parametrize("again", [False, True], ids=["exit", "finish again"])
def test_a_handler_that_ends_the_run_inside_log_waits_for_nothing_and_loses_nothing(
    options: dict[str, Any], tmp_path: Path, *, again: bool
) -> None:
    """`finish`, `flush` and `diagnostics` inside a handler inside `log` return; the run ends whole later."""
    done = run_script(ENDING, options=options, again=again)
    assert done.status == 0, done.stderr
    said = done.found

    on_disk = recorded.read(tmp_path / "spool")
    assert not said["flushed"]
    assert not said["finished"]
    assert said["before"]
    assert not said["after"]
    assert sorted(on_disk.values("x")) == [0.0, 1.0, 2.0]
    assert [event.event_name for event in on_disk.events].count("rundial.run.finish") == 1
    assert said.get("again", True)
    assert said.get("closes", True)
    assert list((tmp_path / "spool").glob("*.ring")) == []


RAISING = """
    import signal, threading
    class Interrupt(Exception):
        pass
    def on_alarm(number, frame):
        raise Interrupt
    run = rd.init(**given)
    signal.signal(signal.SIGALRM, on_alarm)
    step = interrupted = 0
    accepted = []
    doubtful = []
    stop = threading.Event()
    while interrupted < given_interrupts:
        is_kept = None
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + (interrupted % 97) * 3e-6)
            for _ in range(1000):
                step += 1
                is_kept = None
                is_kept = run.log({"x": float(step), "y": -float(step)}, step=step)
                if is_kept:
                    accepted.append(step)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupt:
            interrupted += 1
            doubtful.append(step)
            if interrupted % 20 == 0:
                stop.wait(0.005)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert run.finish(30)
    ledger = run.diagnostics().ledger
    print(json.dumps({"accepted": accepted, "doubtful": doubtful, "closes": ledger.closes,
                      "recorded": ledger.points.recorded, "refused": ledger.points.dropped}))
"""


def test_exceptions_raised_into_log_lose_and_double_nothing(options: dict[str, Any], tmp_path: Path) -> None:
    """An exception from a signal handler passes through `log` untouched, and the books stay right."""
    script = RAISING.replace("given_interrupts", str(rounds(500)))
    done = run_script(script, **options)
    assert done.status == 0, done.stderr
    said = done.found

    on_disk = recorded.read(tmp_path / "spool")
    steps = [point.step for point in on_disk.points if point.name == "x"]
    assert len(steps) == len(set(steps))
    assert set(said["accepted"]) <= set(steps) <= set(said["accepted"]) | set(said["doubtful"])
    assert len(on_disk.points) == 2 * len(steps) == said["recorded"]
    assert said["closes"]


LEAVING = """
    import time
    run = rd.init(**given["options"])
    for step in range(2000):
        run.log({"x": float(step)}, step=step)
    begun = time.monotonic()
    is_done = run.finish(given["seconds"])
    took = time.monotonic() - begun
    print(json.dumps({"done": is_done, "took": took, "waiting": run.diagnostics().ledger.points.waiting}))
"""


def leave(options: dict[str, Any], spool: Path, *, how: str, seconds: float) -> float:
    """Finish a run whose server is away, check that sync delivers all; return the seconds that it took."""
    with Collector(rules=[control()]) as collector:
        given = {**options, "mode": "online", "endpoint": collector.url, "api_key": "rdk_test"}
        given["finish_timeout_seconds"] = 0.2
        if how == "down":
            given["init_timeout_seconds"] = 0.5
            given["endpoint"] = "http://127.0.0.1:9"
        else:
            collector.rules = [control(), lambda request: how if request.path.startswith("/v1/") else None]
        done = run_script(LEAVING, options=given, seconds=seconds)
        collector.rules = [control()]
        collector.release()
        report = sync([spool], to=collector.url, api_key="rdk_test", timeout_s=20)

    assert done.status == 0, done.stderr
    assert not done.found["done"]
    assert done.found["waiting"] == 2000
    assert "rundial sync" in done.stderr
    assert [result.why for result in report.results] == [""]
    assert sorted(point.step or 0 for point in collector.points) == list(range(2000))
    return float(done.found["took"])


@pytest.mark.parametrize("how", ["hang", "trickle", "down"])
def test_a_finish_that_gives_up_leaves_everything_to_sync(
    options: dict[str, Any], tmp_path: Path, how: str
) -> None:
    """`finish(t)` returns whatever the server does, says where the rest is, and sync delivers it."""
    leave(options, tmp_path / "spool", how=how, seconds=0.5)


@pytest.mark.stress  # it holds a program to a time, which a busy machine may break
@pytest.mark.parametrize("seconds", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("how", ["hang", "trickle", "down"])
def test_finish_keeps_its_time_whatever_the_server_does(
    options: dict[str, Any], tmp_path: Path, how: str, seconds: float
) -> None:
    """`finish(t)` returns within t + 0.3 s by the program's own clock."""
    assert leave(options, tmp_path / "spool", how=how, seconds=seconds) <= seconds + 0.3
