"""Waiting between two looks at a run that is still going on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rundial.cli.target import Place

if TYPE_CHECKING:
    from rundial.api.client import Client

OVER = frozenset({"completed", "failed", "aborted", "crashed"})


def looks(
    client: Client, place: Place, run_id: str, *, interval_s: float, is_following: bool
) -> Iterator[str]:
    """Yield the run's project id once for each look that is due.

    The first comes at once. While following, further ones come every `interval_s` seconds until the
    run is over, and one after that, so that its last records are seen; Ctrl-C ends it as well.
    """
    wait = threading.Event()
    while True:
        details = client.get_run_details(
            workspace_slug=place.workspace, project_slug=place.project, run_id=run_id
        )
        yield str(details.get("projectId", ""))
        # The status was read before the look: a run that was over then has nothing new after it.
        if not is_following or details.get("status") in OVER:
            return
        try:
            wait.wait(interval_s)
        except KeyboardInterrupt:
            return
