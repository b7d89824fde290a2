"""How the published client lost data while a server was away, and what ours does instead."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rundial.api.run import Run
from rundial.api.session import Session
from tests.support import recorded
from tests.support.collector import Answer, Collector, key_required, refused_if, too_large
from tests.support.control import Faulty, control, exports, slow
from tests.support.processes import own_parts
from tests.support.scripts import run_script
from tests.support.shell import rundial
from tests.support.waiting import wait_until

Start = Callable[..., Run]

# The published client gave up after five attempts.
ATTEMPTS = 8


def steps(collector: Collector, name: str = "x") -> list[int | None]:
    """The steps of one series as they arrived."""
    return [point.step for point in collector.points if point.name == name]


def insist(run: Run, faulty: Faulty, attempts: int = ATTEMPTS) -> None:
    """Have the run try until the server has failed it so many times."""
    for _ in range(50 * attempts):
        if faulty.seen >= attempts:
            return
        run.flush(0.1)
    raise AssertionError(f"only {faulty.seen} of {attempts} attempts were made")


@pytest.mark.parametrize("answer", [503, ("429", {"Retry-After": "30"}), "reset", 500, 502, 504, 408])
def test_l1_a_failing_server_loses_nothing(start: Start, collector: Collector, answer: Answer) -> None:
    """However often a server fails, what it has not taken stays on disk and arrives when it recovers."""
    faulty = Faulty(answer)
    collector.rules = [control(), faulty]
    run = start()
    for step in range(1000):
        assert run.log({"x": step}, step=step)

    insist(run, faulty)
    assert recorded.read(Path(run.settings.spool_directory)).values("x") == list(range(1000))
    assert run.diagnostics().health == "degraded"
    faulty.mend()
    assert run.flush(10)

    assert steps(collector) == list(range(1000))
    assert run.diagnostics().ledger.points.lost == 0
    assert run.diagnostics().health == "healthy"


def test_l1_retry_after_is_obeyed(start: Start, collector: Collector) -> None:
    """A server that asks for 30 s is left alone; the first retry of our own would come within 0.5 s."""
    faulty = Faulty((503, {"Retry-After": "30"}))
    collector.rules = [control(), faulty]
    run = start()
    run.log({"x": 1}, step=1)

    assert collector.wait_for(lambda: faulty.seen >= 1)
    assert collector.wait_for(lambda: faulty.seen >= 2, 1.5) is False


def test_l2_an_expired_key_loses_nothing(start: Start, collector: Collector) -> None:
    """Batches that a server answers with 401 wait, and arrive once the key is valid again."""
    faulty = Faulty(401)
    collector.rules = [control(), faulty]
    run = start()
    for step in range(600):
        assert run.log({"x": step}, step=step)
        if step % 200 == 199:
            insist(run, faulty, attempts=faulty.seen + 2)

    assert run.diagnostics().ledger.points.waiting == 600
    assert "401" in str(run.diagnostics().last_error)
    faulty.mend()
    assert run.flush(10)
    assert steps(collector) == list(range(600))


def test_l2_a_run_that_ended_with_an_expired_key_is_delivered_with_a_new_one(
    collector: Collector, spool_dir: Path, start: Start
) -> None:
    """What a process could not deliver for want of a key is delivered by the next one that has one."""
    collector.rules = [control(), key_required("new")]
    with own_parts():
        run = start(api_key="old")
        for step in range(600):
            run.log({"x": step}, step=step)
        assert run.finish(0.5) is False
    assert steps(collector) == []

    start(api_key="new")
    assert collector.wait_for(lambda: len(collector.points) == 600)
    wait_until(lambda: not (spool_dir / run.run_id).exists(), 10)

    assert steps(collector) == list(range(600))


def test_l3_a_body_that_is_too_large_is_split(start: Start, collector: Collector) -> None:
    """A server that takes small bodies only gets small ones, and every point."""
    collector.rules = [control(), too_large(2000)]
    with start() as run:
        for step in range(1000):
            run.log({"x": step}, step=step)
        assert run.flush(15)

    assert sorted(steps(collector)) == list(range(1000))  # type: ignore[type-var]  # all have a step
    assert run.diagnostics().ledger.points.lost == 0


def test_l3_one_bad_point_costs_one_point(start: Start, collector: Collector) -> None:
    """A point that the server refuses for good costs itself alone, counted, and a copy is kept."""
    is_bad: Callable[[Any], bool] = lambda point: getattr(point, "as_double", 0) == 666.0  # noqa: E731 - a rule
    collector.rules = [control(), refused_if(is_bad)]
    run = start()
    for step in range(200):
        run.log({"x": 666.0 if step == 77 else 1.0}, step=step)
    assert run.flush(15)

    assert sorted(steps(collector)) == [step for step in range(200) if step != 77]  # type: ignore[type-var]  # all have a step
    account = run.diagnostics().ledger.points
    assert (account.delivered, account.rejected, account.closes) == (199, 1, True)
    assert run.diagnostics().health == "degraded"
    assert [path for path in Path(run.settings.spool_directory).rglob("rejected/*") if path.stat().st_size]


def test_l4_a_login_page_is_no_acceptance(start: Start, collector: Collector) -> None:
    """200 with HTML is an answer of something else than a server: nothing counts as delivered."""
    faulty = Faulty("html")
    collector.rules = [control(), faulty]
    run = start()
    for step in range(100):
        run.log({"x": step}, step=step)

    insist(run, faulty, attempts=3)
    found = run.diagnostics()
    assert found.ledger.points.delivered == 0
    assert found.ledger.points.waiting == 100
    assert found.health == "degraded"
    faulty.mend()
    assert run.flush(10)
    assert steps(collector) == list(range(100))


def test_l7_a_hung_server_does_not_stop_the_queue(start: Start, collector: Collector) -> None:
    """While a server hangs, records go on from memory to disk: nothing is dropped for want of room."""
    collector.rules = [control(), Faulty("hang", path="/v1/")]
    run = start(request_timeout_seconds=5.0, ring_bytes=1 << 20)
    assert collector.wait_for(lambda: len(exports(collector, "logs")) == 1)
    for burst in range(16):
        for step in range(1000):
            assert run.log({"x": 1.0}, step=1000 * burst + step)
        assert run.flush(0.05) is False

    wait_until(lambda: run.diagnostics().queue_depth == 0, 5)
    account = run.diagnostics().ledger.points
    assert (account.waiting_spool, account.lost) == (16_000, 0)
    collector.release()


def test_l7_a_far_server_does_not_cap_delivery(start: Start, collector: Collector) -> None:
    """With 100 ms to the server a request carries thousands of points, not 200."""
    collector.rules = [control(), slow(0.1)]
    with start() as run:
        for step in range(30_000):
            run.log({"x": 1.0}, step=step)
        assert run.flush(15)

    assert len(collector.points) == 30_000
    assert run.diagnostics().ledger.points.lost == 0
    assert len(exports(collector)) <= 30_000 / 1000


def test_l8_numpy_steps_and_times_are_sent(start: Start, collector: Collector) -> None:
    """A step or a time of a numpy type is sent like any other, and so are its neighbours."""
    with start() as run:
        for step in range(100):
            assert run.log({"x": step}, step=step)
            assert run.log({"y": step}, step=np.int64(step))  # type: ignore[arg-type]  # people do
            assert run.log({"z": 1}, step=step, time_ms=np.int64(1_700_000_000_000 + step))  # type: ignore[arg-type]  # people do
        assert run.flush(10)

    for name in "xyz":
        assert steps(collector, name) == list(range(100))
    times = [point.time_unix_ns // 1_000_000 for point in collector.points if point.name == "z"]
    assert times == list(range(1_700_000_000_000, 1_700_000_000_100))


@pytest.mark.parametrize(
    ("metrics", "step"), [({3: 1.0}, 0), ({("a", "b"): 1.0}, 0), ({"x": 1.0}, 1.5), ({"x": 1.0}, True)]
)
def test_l9_what_cannot_be_kept_is_told(start: Start, metrics: Any, step: Any) -> None:
    """A key or a step that is none is refused at the call, counted and told; it never just vanishes."""
    run = start()
    with pytest.warns(RuntimeWarning):
        assert run.log(metrics, step=step) is False

    found = run.diagnostics()
    assert found.ledger.points.dropped == {"invalid": 1}
    assert found.health == "degraded"


def test_l9_a_float_time_is_kept(start: Start, collector: Collector) -> None:
    """`time.time() * 1000` is a time."""
    with start() as run:
        assert run.log({"x": 1.0}, step=0, time_ms=1_700_000_000_123.456)  # type: ignore[arg-type]  # people do
        assert run.flush(10)

    assert [point.time_unix_ns // 1_000_000 for point in collector.points] == [1_700_000_000_123]


def test_l11_a_spool_goes_to_its_own_server_only(spool_dir: Path, start: Start, collector: Collector) -> None:
    """What was recorded for one server is not sent to another one, nor its key, and stays until asked for."""
    with Collector(rules=[control("srv_a"), Faulty(503, path="/v1/")]) as first, own_parts():
        left = start(endpoint=first.url, api_key="key_a")
        for step in range(150):
            left.log({"x": step}, step=step)
        assert left.finish(0.3) is False

    collector.rules = [control("srv_b")]
    with own_parts():
        run = start(api_key="key_b", run_id="own")
        run.log({"y": 1}, step=0)
        assert run.finish(10)
    # The adopter has ended, and with it every chance that it would send them.
    assert {point.name for point in collector.points} == {"y"}
    assert {request.headers["authorization"] for request in collector.requests} == {"Bearer key_b"}
    assert recorded.read(spool_dir / left.run_id).values("x") == list(range(150))

    first.rules = [control("srv_a"), key_required("key_a")]
    with first, own_parts():
        start(endpoint=first.url, api_key="key_a", run_id="later")
        assert first.wait_for(lambda: len(first.points) == 150)


def test_l12_two_spools_of_one_moment_never_meet(
    session: Session, start: Start, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that share a directory, a name and a moment write to files of their own."""
    monkeypatch.setattr("time.time_ns", lambda: 1_700_000_000_000_000_000)
    runs = [start(mode="offline", run_id="same", resume="allow") for _ in range(4)]
    for step, (number, run) in itertools.product(range(100), enumerate(runs)):
        run.log({f"x{number}": step}, step=step)
    for run in runs:
        assert run.flush(10)

    found = recorded.read(spool_dir)
    assert Counter(point.name for point in found.points) == {f"x{number}": 100 for number in range(4)}
    assert len({point.resource["service.instance.id"] for point in found.points}) == 4
    assert len(list((spool_dir / "same").iterdir())) == 4


def test_l1_nothing_is_lost_while_threads_log_through_an_outage(start: Start, collector: Collector) -> None:
    """Four threads that log while the server comes and goes lose no point."""
    faulty = Faulty(503, times=10)
    collector.rules = [control(), faulty]
    run = start()

    def work(number: int) -> None:
        for step in range(500):
            run.log({f"t{number}": step}, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    insist(run, faulty, attempts=10)
    for thread in threads:
        thread.join(10)
    assert run.flush(10)

    for number in range(4):
        assert steps(collector, f"t{number}") == list(range(500))


BURST = """
    import os, signal
    run = rd.init(project="digits", run_id="burst", endpoint=given["url"], spool_directory=given["spool"],
                  finish_timeout_seconds=10)
    def burst(n):
        for step in range(n):
            assert run.log({"x": step}, step=step)
"""


@pytest.mark.fault
@pytest.mark.parametrize(
    ("leave", "exit_status", "status", "reason"),
    [
        ("burst(2000)", 0, "completed", None),
        ("burst(2000); sys.exit(3)", 3, "failed", "exit status 3"),
        ("burst(2000); raise ValueError('bad')", 1, "failed", "ValueError: bad"),
        ("burst(2000); os.kill(os.getpid(), signal.SIGTERM); signal.pause()", 143, "aborted", "SIGTERM"),
    ],
)
def test_l5_a_program_that_just_ends_loses_nothing(
    collector: Collector, leave: str, exit_status: int, status: str, reason: str | None
) -> None:
    """Without `with` or `finish`, what was logged just before the end arrives, and so does the end."""
    done = run_script(BURST + f"    {leave}\n", url=collector.url, spool="spool")

    assert done.status == exit_status, done.stderr
    assert steps(collector) == list(range(2000))
    (end,) = [event for event in collector.events if event.event_name == "rundial.run.finish"]
    assert (end.body["status"], end.body["reason"]) == (status, reason)
    assert not list(Path("spool").rglob("*.seg"))


@pytest.mark.fault
def test_l5_sigterm_inside_the_block_aborts_the_run(collector: Collector) -> None:
    """A job that is told to leave inside its block delivers what it has and says that it was aborted."""
    leave = "    with run:\n        burst(2000); os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
    done = run_script(BURST + leave, url=collector.url, spool="spool")

    assert done.status == 143, done.stderr
    assert steps(collector) == list(range(2000))
    assert [
        event.body["status"] for event in collector.events if event.event_name == "rundial.run.finish"
    ] == ["aborted"]


@pytest.mark.fault
@pytest.mark.parametrize("points", [100, 2000, 9000])
def test_l6_sigkill_right_after_a_burst_loses_nothing(collector: Collector, points: int) -> None:
    """Every point that `log` accepted before `kill -9` is delivered by the next sync, once."""
    leave = f"    burst({points}); os.kill(os.getpid(), signal.SIGKILL)\n"
    done = run_script(BURST + leave, url=collector.url, spool="spool")
    assert done.status == -9, done.stderr
    synced = rundial("sync", "spool", "--json")

    assert synced.status == 0, synced.stdout + synced.stderr
    # A request that the kill cut off before its answer is sent again, the same to the last byte.
    assert {(point.step, point.value) for point in collector.points} == {(n, n) for n in range(points)}
    assert len({(point.step, point.time_unix_ns) for point in collector.points}) == points


def test_l6_power_durability_syncs_each_frame(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `durability="power"` nothing counts as on disk before the disk itself has it."""
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (synced.append(descriptor), real(descriptor))[1])
    run = start(mode="offline", durability="power")
    before = len(synced)
    for frame in range(5):
        run.log({"x": frame}, step=frame)
        assert run.flush(10)

    assert len(synced) - before >= 5


@pytest.mark.fault
def test_l14_forked_workers_that_log_and_return_lose_nothing(collector: Collector) -> None:
    """Each of eight workers of a fork pool that logs one point and returns delivers it."""
    text = """
    import multiprocessing
    def work(number):
        run.log({"worker": number}, step=number)
    with run:
        processes = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(8)]
        for process in processes: process.start()
        for process in processes: process.join()
    """
    done = run_script(BURST + text, url=collector.url, spool="spool")

    assert done.status == 0, done.stderr
    assert sorted(point.value for point in collector.points) == list(range(8))
    assert len({point.resource["service.instance.id"] for point in collector.points}) == 8
    assert [e.body["status"] for e in collector.events if e.event_name == "rundial.run.finish"] == [
        "completed"
    ]
    assert not list(Path("spool").rglob("*.seg"))


@pytest.mark.fault
def test_l14_a_fork_with_points_queued_sends_nothing_twice(collector: Collector) -> None:
    """What a parent had queued when it forked arrives once, and the child's own points arrive too."""
    text = """
    burst(3000)
    child = os.fork()
    if child == 0:
        for step in range(10):
            run.log({"child": step}, step=step)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    for step in range(3000, 3010):
        run.log({"x": step}, step=step)
    run.finish(10)
    """
    done = run_script(BURST + text, url=collector.url, spool="spool")

    assert done.status == 0, done.stderr
    assert steps(collector) == list(range(3010))
    assert steps(collector, "child") == list(range(10))
    assert len([event for event in collector.events if event.event_name == "rundial.run.finish"]) == 1
