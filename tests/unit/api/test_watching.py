"""The system metrics of a run, from its start to its spool."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rundial.api import session
from rundial.api.run import Run
from rundial.api.watching import Watching
from rundial.errors import ConfigError
from rundial.signals.units import UNITS
from rundial.value import changed
from tests.support import nvml, recorded
from tests.support.recorded import Recorded
from tests.support.scripts import run_script
from tests.support.waiting import wait_until

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]
INTERVAL_S = 0.05


@pytest.fixture
def watched(start: Start) -> Callable[..., Run]:
    """Make a run that is sampled more often than users may, so that a test need not wait."""

    def make(*, is_child: bool = False, rank: int | None = None, **options: Any) -> Run:
        run = start(system_metrics=False)
        parts = session._SESSION.parts
        attached, _ = parts.live[run]
        parts.watching = Watching(parts.pipeline.ring, is_child=is_child)
        often = {"system_metrics": True, "system_metrics_interval_seconds": INTERVAL_S, **options}
        parts.watching.watch(attached, changed(run.settings, **often), rank)
        return run

    return make


def system_points(read: Recorded) -> list[tuple[str, int]]:
    """(name, step) of the system metrics among the points."""
    return [(point.name, point.step) for point in read.points if point.name.startswith("system/")]


def sampled(run: Run, times: int = 1) -> None:
    """Wait until a run was sampled."""
    wait_until(lambda: run.diagnostics().system_samples_collected >= times, 10)


def test_samples_are_points_of_the_run_and_count_in_its_ledger(
    watched: Callable[..., Run], spool_dir: Path
) -> None:
    """System metrics are accounted for like every point, and take none of the run's own steps."""
    run = watched()
    sampled(run, 2)
    for _ in range(3):
        run.log({"loss": 1.0})
    assert run.finish(10)
    found = recorded.read(spool_dir)
    told = run.diagnostics()
    names = {name for name, _ in system_points(found)}

    assert names <= set(UNITS)
    assert {"system/memory.percent", "system/process.rss_mb", "system/rundial.written_mb"} <= names
    steps = [step for name, step in system_points(found) if name == "system/memory.percent"]
    assert steps == list(range(told.system_samples_collected))
    assert [point.step for point in found.points if point.name == "loss"] == [0, 1, 2]
    assert told.ledger.closes
    assert told.ledger.points.recorded == len(found.points)
    assert told.ledger.points.lost == 0


def test_a_run_that_ends_soon_has_no_system_metrics(start: Start, spool_dir: Path) -> None:
    """A short run is what its program logged, and its end waits for no sample."""
    with start() as run:
        run.log({"loss": 1.0})

    assert system_points(recorded.read(spool_dir)) == []
    assert run.diagnostics().system_samples_collected == 0


def test_samples_under_pressure_are_left_out_and_counted(
    watched: Callable[..., Run], spool_dir: Path
) -> None:
    """A recorder that is fuller than the threshold records no samples; diagnostics say how many."""
    run = watched(system_metrics_backpressure_threshold=0.0)
    wait_until(lambda: run.diagnostics().system_samples_skipped_backpressure >= 2, 10)
    assert run.finish(10)

    assert run.diagnostics().system_samples_collected == 0
    assert system_points(recorded.read(spool_dir)) == []


def test_a_full_spool_is_pressure(start: Start, watched: Callable[..., Run]) -> None:
    """While undelivered records take most of the spool's bound, samples do not push them out."""
    run = watched(spool_max_bytes=100, system_metrics_backpressure_threshold=0.9)
    run.log({"loss": 1.0})
    assert run.flush(10)
    wait_until(lambda: run.diagnostics().system_samples_skipped_backpressure >= 1, 10)

    assert run.diagnostics().spool_bytes >= 90


def test_a_provider_takes_the_place_of_ours(watched: Callable[..., Run], spool_dir: Path) -> None:
    """A user's own figures are recorded under their own names, on the sampler's thread."""
    callers: list[str] = []

    def provider() -> Mapping[str, object]:
        callers.append(threading.current_thread().name)
        return {"room.celsius": 21, "rack": {"watts": 900.5}}

    run = watched(system_metrics_provider=provider)
    sampled(run)
    assert run.finish(10)
    found = recorded.read(spool_dir)

    assert {(point.name, point.value) for point in found.points} == {
        ("room.celsius", 21),
        ("rack/watts", 900.5),
    }
    assert set(callers) == {"rundial-sampler"}


def test_a_forked_child_watches_itself_alone(watched: Callable[..., Run], spool_dir: Path) -> None:
    """The machine is not recorded twice, and a child's own figures are not taken for its parent's."""
    run = watched(is_child=True)
    sampled(run)
    assert run.finish(10)
    points = recorded.read(spool_dir).points

    assert {point.name.partition(".")[0] for point in points} == {"system/process", "system/rundial"}
    assert {point.attributes["process.pid"] for point in points} == {str(os.getpid())}


def test_each_rank_has_series_of_its_own(watched: Callable[..., Run], spool_dir: Path) -> None:
    """Under `all` the machines of a job do not overwrite each other's figures."""
    run = watched(rank=3)
    sampled(run)
    assert run.finish(10)

    assert {point.attributes["rundial.rank"] for point in recorded.read(spool_dir).points} == {"3"}


@pytest.mark.parametrize(
    "options",
    [{"system_metrics": False}, {"mode": "disabled"}, {"distributed_rank": 1}],
    ids=["off", "disabled", "silent rank"],
)
def test_where_nothing_is_wanted_no_thread_is_started(start: Start, options: dict[str, Any]) -> None:
    """Switched off, disabled, or another rank's job: nothing is sampled."""
    start(**options)

    assert [thread.name for thread in threading.enumerate() if thread.name == "rundial-sampler"] == []


def test_too_short_an_interval_is_refused(start: Start, spool_dir: Path) -> None:
    """Below two seconds sampling would be a load of its own: the setting is named and nothing started."""
    with pytest.raises(
        ConfigError, match=r"system_metrics_interval_seconds 1\.9 is below its minimum of 2 seconds"
    ):
        start(system_metrics_interval_seconds=1.9)

    assert not spool_dir.exists()


WHOLE = """
    import os, threading
    options = {"project": "digits", "mode": "offline", "system_metrics_interval_seconds": 2}
    run = rd.init(run_id="parent", spool_directory=given["spool"], **options)

    def sampled(run):
        rest = threading.Event()
        for _ in range(1500):
            if run.diagnostics().system_samples_collected:
                return True
            rest.wait(0.01)
        return False

    child = os.fork()
    if child == 0:
        status = 1
        try:
            run.log({"child": 1.0})
            status = 0 if sampled(run) and run.close(10) else 2
        finally:
            os._exit(status)
    has_sample = sampled(run)
    _, status = os.waitpid(child, 0)
    run.finish(10)
    print(json.dumps({"child": status, "sampled": has_sample, "closes": run.diagnostics().ledger.closes}))
"""


@pytest.mark.fault
def test_a_process_and_its_forked_child_are_sampled_by_default(
    spool_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of the shortest interval has the machine, its GPUs and itself on record, and a child itself."""
    nvml.install(tmp_path, monkeypatch)
    done = run_script(WHOLE, spool=str(spool_dir))
    assert done.status == 0, done.stderr
    found = recorded.read(spool_dir)
    parents = {point.name for point in found.points if "process.pid" not in point.attributes}
    children = {point.name for point in found.points if "process.pid" in point.attributes}

    assert json.loads(done.stdout) == {"child": 0, "sampled": True, "closes": True}
    # A container may see no disks.
    expected = set(UNITS) - {"system/disk.read_mb", "system/disk.write_mb"}
    assert {name.replace("gpu.0", "gpu.N") for name in parents} >= expected
    assert children == {name for name in UNITS if name.startswith(("system/process.", "system/rundial."))}


FORKED_AT_A_BAD_MOMENT = """
    import os, threading
    importing, rest = threading.Event(), threading.Event()

    class Slow:
        def find_spec(self, name, path=None, target=None):
            if name == "psutil" and threading.current_thread().name == "rundial-sampler":
                importing.set()
                rest.wait(0.2)

    sys.meta_path.insert(0, Slow())
    run = rd.init(
        project="digits", mode="offline", spool_directory=given["spool"], system_metrics_interval_seconds=2
    )
    assert importing.wait(20)
    child = os.fork()
    if child == 0:
        import psutil
        os._exit(0)
    for _ in range(1000):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        rest.wait(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        status = "the child hangs"
    print(json.dumps(status))
"""


@pytest.mark.fault
def test_a_fork_never_falls_into_the_middle_of_our_import(spool_dir: Path) -> None:
    """A child that is forked while the sampler imports psutil can import it too, and does not hang."""
    done = run_script(FORKED_AT_A_BAD_MOMENT, spool=str(spool_dir))

    assert (done.status, json.loads(done.stdout)) == (0, 0), done.stderr
