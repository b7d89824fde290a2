"""One upload while its caller waits: for the command line, where there is no run whose worker could do it."""

from __future__ import annotations

import random
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rundial.artifacts import shipment
from rundial.artifacts.manifest import digest
from rundial.artifacts.preparation import Preparation
from rundial.artifacts.shipment import Changed, Delivered
from rundial.artifacts.snapshot import Budget, Gone
from rundial.artifacts.uploads import facts_of
from rundial.artifacts.wire import Wire
from rundial.errors import ArtifactError
from rundial.export.backoff import schedule
from rundial.export.outcome import Retry
from rundial.export.policy import Policy

WIDTH = 4
POLICY = Policy(max_attempts=10)


def put(wire: Wire, project_id: str, run_id: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Upload what a job names, and return what the server made of it.

    Args:
        wire: How.
        project_id: Whose.
        run_id: The run that made it; empty for none.
        job: From `rundial.api.jobs.artifact`.

    Raises:
        ArtifactError: It cannot be read, or the server refuses it or does not take it.
    """
    never, rng = threading.Event(), random.Random()
    with tempfile.TemporaryDirectory(prefix="rundial-put-") as place:
        # Nobody goes on with the file meanwhile who did not start this: it is sent from where it is.
        preparation = Preparation(Path(place), Budget(0))
        for attempt in range(1, (POLICY.max_attempts or 1) + 1):
            try:
                manifest = preparation.prepare(job, None)
            except Gone as error:
                raise ArtifactError(
                    f"{job.get('path')!r} cannot be read ({error}); nothing is stored"
                ) from error
            key = f"{job['token']}-{digest(manifest.files)[:16]}"
            request = shipment.Request(project_id, run_id, key, facts_of(job, manifest))
            result = shipment.send(wire, request, manifest, is_resumed=attempt > 1, width=WIDTH)
            if isinstance(result, Delivered):
                return dict(result.artifact)
            if isinstance(result, Changed):
                preparation.again(job)
                why = f"{result.path!r} changed while it was sent"
                continue
            why = result.why
            if not isinstance(result, Retry):
                break
            never.wait(min(schedule(attempt, result.after_s, rng), 60.0))
    raise ArtifactError(f"{job['name']!r} is not stored: {why}")
