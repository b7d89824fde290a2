"""Recording for a while without a server, apart from everything else that the process records."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rundial.api import leaving, session
from rundial.api.session import Session
from rundial.testing.recorded import Recorded

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.id_generator import IdGenerator

# The least that there can be; tests make many.
RING_BYTES = 1 << 20
PROJECT = "testing"


@contextmanager
def recording(
    directory: Path | str | None = None, *, strict: bool = True, ids: IdGenerator | None = None
) -> Iterator[Recorded]:
    """Let every run that begins inside record into a directory of its own, whatever it asks for.

    Runs are offline: no request is made, and profiles, keys and endpoints are not looked at. A run that is
    asked to be disabled is. The environment, system metrics and the handling of SIGTERM are left alone.
    Runs that are still open at the end are finished. Not for several threads at once: it is the process's
    runs that it keeps apart.

    Args:
        directory: Where to record; None takes a temporary one that is removed at the end.
        strict: Raise whatever is dropped, refused or wrong, as an error of the call that caused it.
        ids: Makes trace and span ids; None makes random ones.

    Yields:
        What has been recorded so far, whenever it is read.
    """
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="rundial-") as place:
            with recording(place, strict=strict, ids=ids) as recorded:
                yield recorded
            return
    mine = Session()
    mine.catches_sigterm = True
    mine.id_generator = ids
    mine.overrides = {
        "mode": "offline",
        "spool_directory": Path(directory),
        "strict": strict,
        "ring_bytes": RING_BYTES,
        "system_metrics": False,
        "capture_environment": False,
        "project": os.environ.get("RUNDIAL_PROJECT") or PROJECT,
    }
    before = session.exchange(mine)
    try:
        yield Recorded(Path(directory), mine)
    finally:
        session.exchange(before)
        leaving.at_exit(mine, tells=False)
