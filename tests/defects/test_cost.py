"""What the published client spent: requests, connections, threads, files, wake-ups, directory listings.

Counted, never timed: a busy machine makes these numbers smaller, not larger.
"""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rundial.api.run import Run
from rundial.api.session import Session
from tests.support.collector import Collector
from tests.support.control import Faulty, control, exports
from tests.support.scripts import run_script

Start = Callable[..., Run]

INTERVAL_S = 0.25


def test_p1_steady_points_are_batched(start: Start, collector: Collector, session: Session) -> None:
    """A point now and then costs a request a quarter of a second, and neither a connection nor a thread."""
    run = start(capture_environment=False)
    run.log({"x": 0}, step=0)
    assert run.flush(10)
    requests, connections, threads = len(exports(collector)), collector.connections, threading.active_count()
    began, pause = time.monotonic(), threading.Event()
    for step in range(1, 151):
        run.log({"x": step}, step=step)
        pause.wait(0.01)  # the pace of a fast training loop is what is tested
    intervals = (time.monotonic() - began) / INTERVAL_S

    assert run.flush(10)
    assert len(collector.points) == 151
    assert len(exports(collector)) - requests <= intervals + 2
    assert collector.connections == connections
    assert threading.active_count() == threads
    assert run.diagnostics().spool_segments <= 4, "one segment file a lane"


def test_p2_alternating_records_share_requests(start: Start, collector: Collector) -> None:
    """Points, lines and spans by turns are sent in a request a kind, not in one each."""
    run = start()
    assert run.flush(10)
    before = len(collector.requests)
    for step in range(200):
        run.log({"x": step}, step=step)
        run.log_text(f"line {step}")
        with run.trace("span"):
            pass
    assert run.flush(10)

    assert (len(collector.points), len(collector.lines), len(collector.spans)) == (200, 200, 200)
    assert len(collector.requests) - before <= 30


def test_p3_a_backlog_drains_while_points_keep_arriving(
    start: Start, collector: Collector, session: Session
) -> None:
    """200 batches that waited for a server are all delivered while a loop logs without a pause."""
    faulty = Faulty(503, path="/v1/")
    collector.rules = [control(), faulty]
    run = start()
    for batch in range(200):
        run.log({"old": batch}, step=batch)
        assert session.parts.pipeline.encoder.seal(10)
    assert run.diagnostics().pending_spooled_batches >= 200
    over, fresh = threading.Event(), [0]

    def keep_logging() -> None:
        while not over.wait(0.002):
            fresh[0] += run.log({"new": fresh[0]}, step=fresh[0])

    loop = threading.Thread(target=keep_logging)
    loop.start()
    faulty.mend()
    has_drained = run.flush(15)
    over.set()
    loop.join(10)

    assert has_drained
    assert [point.step for point in collector.points if point.name == "old"] == list(range(200))
    assert run.flush(10)
    assert [point.step for point in collector.points if point.name == "new"] == list(range(fresh[0]))


IDLE = """
    import os, resource, threading
    runs = []
    os.environ |= {"RUNDIAL_ENDPOINT": given["url"], "RUNDIAL_MODE": given["mode"]}
    def begin(count):
        for _ in range(count):
            runs.append(rd.init(project="digits", ring_bytes=1 << 20))
        for run in runs:
            run.log({"x": 1.0}, step=len(runs))
            run.flush(10)
    def used(seconds):
        before = resource.getrusage(resource.RUSAGE_SELF)
        threading.Event().wait(seconds)
        after = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "wakeups": after.ru_nvcsw - before.ru_nvcsw,
            "threads": threading.active_count(),
        }
    begin(1)
    one = used(2)
    begin(9)
    print(json.dumps([one, used(2)]))
"""


@pytest.mark.fault
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_p4_an_idle_run_sleeps(collector: Collector, mode: str) -> None:
    """An idle run wakes a few times a second, not hundreds, and ten of them no more often than one."""
    done = run_script(IDLE, url=collector.url, mode=mode)
    assert done.status == 0, done.stderr
    one, ten = json.loads(done.stdout)

    # The published client woke up 392 times a second.
    assert one["wakeups"] <= 2 * 20
    assert ten["wakeups"] <= 2 * 20
    assert ten["threads"] == one["threads"]


LISTING = """
    import os
    listings = []
    def hook(name, arguments):
        if name in ("os.listdir", "os.scandir", "glob.glob"):
            listings.append(name)
    # What a run gathers once at its start lists directories too.
    run = rd.init(project="digits", endpoint=given["url"], ring_bytes=1 << 20, capture_environment=False)
    encoder = rd.api.session._SESSION.parts.pipeline.encoder
    def batches(count):
        for step in range(count):
            run.log({"x": step}, step=step)
            encoder.seal(10)
    batches(given["backlog"])
    run.flush(0.1)
    sys.addaudithook(hook)
    batches(50)
    run.flush(0.1)
    print(json.dumps({"listings": len(listings), "waiting": run.diagnostics().pending_spooled_batches}))
    run.finish(0)
"""


@pytest.mark.fault
def test_p5_batches_list_no_directory(collector: Collector) -> None:
    """A batch costs the same whatever waits on disk: no directory is listed once a run goes on."""
    collector.rules = [control(), Faulty(503, path="/v1/")]
    done = run_script(LISTING, url=collector.url, backlog=300)
    assert done.status == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["waiting"] >= 350
    assert found["listings"] == 0


def test_p5_a_large_backlog_is_a_few_files(start: Start, collector: Collector, session: Session) -> None:
    """What waits for a server shares segment files of megabytes: hundreds of batches are one file a lane."""
    collector.rules = [control(), Faulty(503, path="/v1/")]
    run = start()
    for batch in range(300):
        run.log({"x": batch}, step=batch)
        assert session.parts.pipeline.encoder.seal(10)

    assert run.diagnostics().pending_spooled_batches >= 300
    assert len(list(Path(run.settings.spool_directory).rglob("*.seg"))) <= 4


TOUCHING = """
    import threading
    run = rd.init(project="digits", endpoint=given["url"])
    def burst():
        for step in range(1000):
            run.log({"x": 1.0}, step=step)
            run.log_text("line")
    burst()
    mine, touched = threading.get_ident(), []
    def hook(name, arguments):
        if threading.get_ident() == mine and name.split(".")[0] in ("open", "os", "socket", "shutil"):
            touched.append(name)
    sys.addaudithook(hook)
    burst()
    print(json.dumps(touched))
"""


@pytest.mark.fault
def test_p1_logging_costs_the_caller_no_request(collector: Collector) -> None:
    """On the thread that logs no file is opened, no socket is used and nothing is asked of the system."""
    done = run_script(TOUCHING, url=collector.url)

    assert done.status == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_p6_a_captured_line_costs_what_a_logged_one_does(start: Start, tmp_path: Path) -> None:
    """Printing under capture costs a line what `log_text` costs it, not a hundred times as much."""
    lines = [f"{number:079d}" for number in range(2_000)]
    text = "\n".join(lines) + "\n"
    captured, logged, long = [], [], []
    with (tmp_path / "out").open("w") as out, contextlib.redirect_stdout(out):
        run = start(mode="offline", capture_console=True)
        for _ in range(5):
            logged.append(_seconds(lambda: [run.log_text(line) for line in lines]))
            captured.append(_seconds(lambda: sys.stdout.write(text)))
            long.append(_seconds(lambda: sys.stdout.write("x" * 1_000_000 + "\n")))
        run.finish(10)

    assert min(captured) < 4 * min(logged)
    assert min(long) < 4 * min(logged)
    assert run.diagnostics().ledger.lines.lost == 0


def test_p6_a_config_of_512_entries_costs_little_more_than_its_copy(start: Start) -> None:
    """A large config is looked at once, entry by entry, and not for tens of milliseconds."""
    config = {f"layer{number}.weight_decay": number * 0.001 for number in range(512)}
    run = start(mode="offline")
    changed, copied = [], []
    for _ in range(10):
        copied.append(_seconds(lambda: json.loads(json.dumps(copy.deepcopy(config)))))
        changed.append(_seconds(lambda: run.update_config(config)))

    # The published client took some 150 times as long as the copy.
    assert min(changed) < 30 * min(copied)
    assert run.config == config


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
