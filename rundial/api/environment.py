"""A run's environment: commit, command line, Python, packages and host, told once at its start.

Everything passes the one policy for secrets. Variables are not sent, but for a few that say where and
how a job runs. Bounded in size and time; runs on the gathering thread, or for `rundial redact`.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator

from rundial.api.gatherer import Program
from rundial.api.git import Git, directory_of
from rundial.api.packages import installed
from rundial.signals.redaction import redact, redact_argv
from rundial.typed import Any

MAX_ARGUMENT_CHARS = 2_048

VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "OMP_NUM_THREADS",
    "PYTHONHASHSEED", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV", "WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR",
    "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_ARRAY_TASK_ID",
    "KUBERNETES_SERVICE_HOST", "HOSTNAME", "CI",
)  # fmt: skip  # a list of names


def parts(program: Program, *, with_diff: bool) -> Iterator[dict[str, Any]]:
    """Yield the environment part by part, the quickest first, with no secrets in it."""
    yield _facts(program)
    yield {"packages": installed(sys.path)}
    git = Git(directory_of(program.main_file, program.cwd or os.path.sep))
    found = git.facts()
    yield {"git": redact(found) or None}
    if with_diff and found:
        text, is_cut = git.difference()
        yield {"diff": {"text": redact(text), "truncated": is_cut}}


def gathered(program: Program, *, with_diff: bool) -> dict[str, Any]:
    """Return the whole environment as it would be sent."""
    return {name: value for part in parts(program, with_diff=with_diff) for name, value in part.items()}


def _facts(program: Program) -> dict[str, Any]:
    cut = [word[:MAX_ARGUMENT_CHARS] for word in redact_argv(program.argv)]
    system = platform.uname()
    found: dict[str, Any] = {
        "command": cut,
        "cwd": program.cwd,
        "program": program.main_file,
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "executable": sys.executable,
        },
        "host": {
            "name": system.node,
            "os": system.system,
            "os_release": system.release,
            "machine": system.machine,
            "cpus": os.cpu_count(),
        },
        "variables": {name: os.environ[name][:512] for name in VARIABLES if name in os.environ},
    }
    return {**dict(redact(found)), "command": cut}
