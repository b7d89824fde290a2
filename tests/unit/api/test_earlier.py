"""Attaching to a run again where no server can be asked: what the spool directory knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rundial.api.run import Run
from rundial.errors import ConfigError
from tests.support import recorded
from tests.support.recorded import Recorded
from tests.support.scripts import run_script

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]

KILLED = """
    import os, signal
    run = rd.init(project="digits", mode="offline", run_id="r", ring_bytes=1 << 20, **given)
    for step in range(50):
        assert run.log({"x": float(step)})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def attempts(found: Recorded) -> list[tuple[int, int | None]]:
    """(attempt, step) of every point."""
    return [(point.resource["rundial.run.attempt"], point.step) for point in found.points]


def test_never_refuses_an_id_that_is_there(start: Start) -> None:
    """Offline too, a run is never continued by accident."""
    start(run_id="r").finish()

    with pytest.raises(ConfigError, match=r"'r' exists already.*resume='allow'"):
        start(run_id="r")


def test_allow_makes_a_run_that_is_not_there(start: Start, read: Read) -> None:
    """The same script starts a run and resumes it."""
    run = start(run_id="r", resume="allow")
    run.log({"x": 1})

    assert attempts(read(run)) == [(1, 0)]


def test_allow_leaves_a_run_that_has_ended_as_it_is(start: Start) -> None:
    """An ended run is opened again only by who says that it must be."""
    start(run_id="r").fail("nan")

    with pytest.raises(ConfigError, match=r"has ended, as failed.*resume='must'"):
        start(run_id="r", resume="allow")


def test_must_opens_a_run_that_has_ended_and_goes_on_counting(start: Start, spool_dir: Path) -> None:
    """A resumed run is the next attempt, and its steps go on behind the highest one."""
    first = start(run_id="r")
    for _ in range(3):
        first.log({"x": 1})
    first.log({"x": 1}, step=40)
    first.finish()

    second = start(run_id="r", resume="must")
    second.log({"x": 2})
    second.log({"x": 2}, step=7)
    second.finish()

    assert attempts(recorded.read(spool_dir)) in (
        [(1, 0), (1, 1), (1, 2), (1, 40), (2, 41), (2, 7)],
        [(2, 41), (2, 7), (1, 0), (1, 1), (1, 2), (1, 40)],
    )


def test_must_refuses_what_it_cannot_confirm(start: Start, spool_dir: Path) -> None:
    """A typing mistake in a run id makes no new run, offline neither."""
    with pytest.raises(ConfigError, match="no run 'r'"):
        start(run_id="r", resume="must")

    assert not (spool_dir / "r").exists()


def test_must_needs_an_id(start: Start) -> None:
    """Without a run id there is nothing that must be continued."""
    with pytest.raises(ConfigError, match="needs the run_id"):
        start(resume="must")


@pytest.mark.fault
def test_a_killed_run_goes_on_behind_its_last_step(start: Start, spool_dir: Path) -> None:
    """After `kill -9` the steps in its ring count too, and the run has not ended."""
    done = run_script(KILLED, spool_directory=str(spool_dir))
    assert done.status == -9, done.stderr

    run = start(run_id="r", resume="allow")
    run.log({"x": 50.0})
    run.finish()

    steps = sorted(step or 0 for _, step in attempts(recorded.read(spool_dir)))
    assert steps == list(range(51))


def test_system_metrics_go_on_counting_their_samples(start: Start, spool_dir: Path) -> None:
    """Samples of a resumed run do not fall onto those of the earlier attempt."""
    first = start(run_id="r")
    first.log({"system/cpu.percent": 1.0}, step=9)
    first.finish()
    second = start(run_id="r", resume="must")
    second.finish()

    assert second.identity["first_step"] == 0
    assert second.identity["first_system_step"] == 10


def test_ranks_of_a_launch_are_one_attempt(
    start: Start, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, ranks that share a spool directory join one attempt, and a restart is the next one."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    runs = [start(run_id="r", distributed="all", distributed_rank=rank) for rank in (1, 0)]
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    runs += [start(run_id="r", distributed="all", distributed_rank=rank, resume="allow") for rank in (0, 1)]

    assert [run.identity["attempt"] for run in runs] == [1, 1, 2, 2]


def test_a_rank_that_is_there_already_is_another_start(start: Start) -> None:
    """Where nothing names the launch, one launch has each rank once."""
    start(run_id="r", distributed="all", distributed_rank=0)
    start(run_id="r", distributed="all", distributed_rank=1)

    with pytest.raises(ConfigError, match="exists already"):
        start(run_id="r", distributed="all", distributed_rank=1)
