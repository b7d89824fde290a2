"""How a client records: its options, checked when the client is made and before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from rundial.api.ranks import rank_of
from rundial.errors import ConfigError
from rundial.settings import OPTIONS, POLICIES, resolve

# What each run has of its own, and what the client itself is given.
_OF_A_RUN = frozenset(
    {"project", "workspace", "run_id", "name", "kind", "resume", "group", "job_type", "tags", "config"}
)
OF_A_RUN_VARIABLES = frozenset(option.env for option in OPTIONS if option.name in _OF_A_RUN)
MIN_CALL_S = 0.1
_SEAMS = {
    "transport": "records travel as OTLP over HTTP: set the endpoint to whatever shall receive them",
    "artifact_transport": "files travel over the server's artifact routes",
}


class RecordOptions(NamedTuple):
    """What a client was told about recording.

    Attributes:
        values: Settings that were given, by name.
        distributed: `rank0` or `all`.
        distributed_rank: This process's rank; None leaves it to the launcher's environment.
        spool_enabled: Whether what is not sent is kept on disk, beyond the client's life.
    """

    values: Mapping[str, object]
    distributed: str
    distributed_rank: int | None
    spool_enabled: bool

    @classmethod
    def checked(
        cls,
        values: Mapping[str, object],
        *,
        distributed: str,
        distributed_rank: int | None,
        spool_enabled: bool,
        request_timeout_seconds: float | None = None,
    ) -> RecordOptions:
        """Return the options, if they can be.

        Raises:
            ConfigError: One of them is wrong or unknown, or two contradict each other.
        """
        given = {name: value for name, value in values.items() if value is not None}
        rank_of(distributed_rank, {})
        if distributed not in POLICIES:
            raise ConfigError(
                f"distributed must be {' or '.join(POLICIES)}, not {distributed!r}; nothing was started"
            )
        if given:
            _refuse_unknown(given)
            settings = resolve({**given, "project": "checked"}, environ=os.environ, profile={})
            if settings.mode == "offline" and not spool_enabled:
                raise ConfigError(
                    "mode='offline' needs the spool: leave spool_enabled as it is; nothing was started"
                )
        if request_timeout_seconds is not None:
            # Not among what is checked: a client that only asks needs no settings at all.
            given["request_timeout_seconds"] = max(MIN_CALL_S, request_timeout_seconds)
        return cls(given, distributed, distributed_rank, spool_enabled)


def _refuse_unknown(given: Mapping[str, object]) -> None:
    known = [name for option in OPTIONS if option.name not in _OF_A_RUN for name in option.names]
    for name in given:
        if name in _SEAMS:
            raise ConfigError(
                f"{name} cannot be injected: {_SEAMS[name]}; nothing was started. See the page on migration"
            )
        if name in _OF_A_RUN:
            raise ConfigError(f"{name} belongs to a run, not to a client: pass it where the run starts")
        if name not in known:
            from difflib import get_close_matches  # a client without a mistake never pays for it

            near = get_close_matches(name, known, 1, 0.6)
            hint = f"; did you mean {near[0]}?" if near else f"; known options: {', '.join(known)}"
            raise ConfigError(f"Client() has no option {name!r}{hint}")
