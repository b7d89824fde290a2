"""Online runs against the small artifact server, and what they say of their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rundial as rd
from rundial.api.run import Run
from rundial.diagnostics import SignalLedger
from tests.support.artifactserver import ArtifactServer

Start = Callable[..., Run]


def starter(server: ArtifactServer, spool_dir: Path) -> Start:
    """Return what makes a run at a server, which waits briefly at its end."""

    def make(**arguments: Any) -> Run:
        settings = {
            "endpoint": server.url,
            "api_key": "rdk_test",
            "spool_directory": spool_dir,
            "ring_bytes": 1 << 20,
            "finish_timeout_seconds": 0.5,
            "capture_environment": False,
            "retry_base_delay_seconds": 0.01,
        }
        return rd.init(**{"project": "digits", **settings, **arguments})

    return make


def account(run: Run) -> SignalLedger:
    """Return the account of a run's files, which closes."""
    found = run.diagnostics().ledger
    assert found.closes, found
    return found.artifacts
