"""What the ranks of a launch derive by themselves, alike and unlike any other launch's."""

from __future__ import annotations

import pytest

from rundial.api.launch import launch_of, shared_run_id, world_size
from rundial.errors import ConfigError

SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "abc", "MASTER_ADDR": "node1", "MASTER_PORT": "29500", "WORLD_SIZE": "4"}
ONE_MACHINE = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}


def run_id(environ: dict[str, str], *, resume: str = "never", number: int = 0, project: str = "p") -> str:
    """The run id that a rank of this environment derives."""
    return shared_run_id(launch_of(environ), project=project, number=number, resume=resume)


@pytest.mark.parametrize("environ", [SLURM, TORCHRUN, ONE_MACHINE, {"PMIX_NAMESPACE": "ns"}])
def test_ranks_of_a_launch_derive_one_id(environ: dict[str, str]) -> None:
    """Every rank comes to the same run, whatever its own number is."""
    ranks = [environ | {"RANK": str(rank), "SLURM_PROCID": str(rank)} for rank in range(4)]

    assert len({run_id(rank) for rank in ranks}) == 1


@pytest.mark.parametrize(
    "other",
    [
        SLURM | {"SLURM_JOB_ID": "8"},
        SLURM | {"SLURM_STEP_ID": "1"},
        SLURM | {"SLURM_RESTART_COUNT": "1"},
        TORCHRUN,
        TORCHRUN | {"MASTER_PORT": "29501"},
        TORCHRUN | {"TORCHELASTIC_RESTART_COUNT": "1"},
    ],
)
def test_each_launch_has_a_run_of_its_own(other: dict[str, str]) -> None:
    """A second job, step or restart is not taken for the first."""
    first = TORCHRUN if "WORLD_SIZE" in other and other != TORCHRUN else SLURM

    assert run_id(other) != run_id(first)


def test_a_restarted_job_goes_on_in_its_run_where_it_may() -> None:
    """With resume, a job that was preempted and queued again continues its run."""
    requeued = SLURM | {"SLURM_RESTART_COUNT": "2"}

    assert run_id(requeued, resume="allow") == run_id(SLURM, resume="allow")
    assert launch_of(requeued).start != launch_of(SLURM).start


def test_several_runs_of_a_job_are_told_apart() -> None:
    """A program that makes one run after another, or runs of two projects, gets as many."""
    assert len({run_id(SLURM), run_id(SLURM, number=1), run_id(SLURM, project="q")}) == 3


@pytest.mark.parametrize("environ", [{}, {"RANK": "1"}, {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4"}])
def test_a_launch_that_nothing_names_asks_for_an_id(environ: dict[str, str]) -> None:
    """Ranks never split silently into runs of their own: init says how to name the run."""
    with pytest.raises(ConfigError, match="RUNDIAL_RUN_ID"):
        run_id(environ)


@pytest.mark.parametrize(
    ("environ", "size"),
    [({}, None), ({"WORLD_SIZE": "x"}, None), ({"SLURM_NTASKS": "4"}, 4), ({"OMPI_COMM_WORLD_SIZE": "2"}, 2)],
)
def test_the_number_of_processes_is_the_launchers(environ: dict[str, str], size: int | None) -> None:
    """A job of one process needs no shared id."""
    assert world_size(environ) == size
