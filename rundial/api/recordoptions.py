"""How a client records: its options, checked when the client is made and before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from rundial.api.ranks import rank_of
from rundial.errors import ConfigError
from rundial.settings import resolve

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
        spool_enabled: Whether the spool directory is used; if not, the temporary directory is.
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
    ) -> RecordOptions:
        """Return the options, if they can be.

        Raises:
            ConfigError: One of them is wrong or unknown, or two contradict each other.
        """
        given = {name: value for name, value in values.items() if value is not None}
        for name, why in _SEAMS.items():
            if name in given:
                raise ConfigError(
                    f"{name} cannot be injected: {why}; nothing was started. See the page on migration"
                )
        if given:
            rank_of(distributed_rank, distributed, {})
            settings = resolve({**given, "project": "checked"}, environ=os.environ, profile={})
            if settings.mode == "offline" and not spool_enabled:
                raise ConfigError(
                    "mode='offline' needs the spool: leave spool_enabled as it is; nothing was started"
                )
        elif distributed != "rank0" or distributed_rank is not None:
            rank_of(distributed_rank, distributed, {})
        return cls(given, distributed, distributed_rank, spool_enabled)
