"""Which process of a distributed job this is."""

from __future__ import annotations

from collections.abc import Mapping

from rundial.errors import ConfigError

# The first that holds a whole number ≥ 0 wins.
RANK_VARIABLES = (
    "RUNDIAL_RANK",
    "RANK",
    "LOCAL_RANK",
    "SLURM_PROCID",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
)


def rank_of(given: int | None, environ: Mapping[str, str]) -> int | None:
    """Return this process's rank, None where nothing says that there is one.

    Raises:
        ConfigError: The given rank is wrong.
    """
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, int) or given < 0:
            raise ConfigError(
                f"distributed_rank must be a whole number from 0, not {given!r}; nothing was started"
            )
        return given
    for variable in RANK_VARIABLES:
        text = environ.get(variable, "").strip()
        if text.isascii() and text.isdigit():
            return int(text)
    return None
