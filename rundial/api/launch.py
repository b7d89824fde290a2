"""What the processes of one distributed launch have in common, and no other launch has.

Ranks start apart and never talk to each other through us. So that they record into one run, and so that
a second launch is not taken for the first, its launcher's variables are read: SLURM's job and step,
torchrun's run id, PMIx's namespace; for a launcher of one machine that names nothing, the process that
all ranks are children of.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from rundial.errors import ConfigError

_WORLD_VARIABLES = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
_RESTART_VARIABLES = ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")
# What torchrun calls a run that nobody gave an id.
_NO_ID = "none"


class Launch(NamedTuple):
    """One launch of a job, as its variables name it; both are empty when they name none.

    Attributes:
        job: Stays the same when the launcher restarts the job, as after a preemption.
        start: Is another one for each restart.
    """

    job: str
    start: str


def world_size(environ: Mapping[str, str]) -> int | None:
    """Return how many processes the launcher started, None where nothing says."""
    for variable in _WORLD_VARIABLES:
        text = environ.get(variable, "").strip()
        if text.isascii() and text.isdigit() and int(text) > 0:
            return int(text)
    return None


def launch_of(environ: Mapping[str, str]) -> Launch:
    """Return the launch that this process belongs to."""
    names = [
        f"{variable}={environ[variable]}"
        for variable in ("SLURM_JOB_ID", "SLURM_STEP_ID", "TORCHELASTIC_RUN_ID", "PMIX_NAMESPACE")
        if environ.get(variable, _NO_ID) not in ("", _NO_ID)
    ]
    if not names and _is_on_one_machine(environ):
        names = [f"parent={_parent()}"]
    if not names:
        return Launch("", "")
    restarts = [f"{variable}={environ.get(variable, '0')}" for variable in _RESTART_VARIABLES]
    # torchrun takes a free port for each rendezvous, so it tells apart launches that share a run id.
    master = [f"{variable}={environ.get(variable, '')}" for variable in ("MASTER_ADDR", "MASTER_PORT")]
    return Launch(_digest(names), _digest(names + restarts + master))


def shared_run_id(launch: Launch, *, project: str, number: int, resume: str) -> str:
    """Return the run id that every rank of a launch derives by itself.

    Args:
        launch: The launch.
        project: The run's project.
        number: Which run of the process this is, from 0; ranks run the same program.
        resume: Under `never` each restart of a job is a run of its own; else all of them continue one.

    Raises:
        ConfigError: Nothing names the launch.
    """
    name = launch.start if resume == "never" else launch.job
    if not name:
        raise ConfigError(
            "distributed='all' needs one run id for all ranks, and no launcher's variable names this job; "
            "set RUNDIAL_RUN_ID to the same new id for every rank, or give torchrun an --rdzv-id; "
            "nothing was started"
        )
    return f"run_{_digest([name, project, str(number)])}"


def _is_on_one_machine(environ: Mapping[str, str]) -> bool:
    size = environ.get("WORLD_SIZE", "").strip()
    return bool(size) and size == environ.get("LOCAL_WORLD_SIZE", "").strip()


def _parent() -> str:
    """Name the parent process, also against one that has its number later."""
    import socket

    parent = os.getppid()
    try:
        with open(f"/proc/{parent}/stat", encoding="ascii", errors="replace") as file:
            begun = file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        begun = ""
    return f"{socket.gethostname()}:{parent}:{begun}"


def _digest(parts: list[str]) -> str:
    import hashlib

    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
