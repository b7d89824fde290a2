"""Putting an artifact there at once, from a shell or a launcher: no run, no journal, an answer at the end.

A training program logs artifacts with `run.log_artifact`, which never waits. This waits.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rundial.errors import ArtifactError

if TYPE_CHECKING:
    from rundial.api.client import Client

TRIES = 6
WIDTH = 4
LOOK_S = 0.2


def put_artifact(  # noqa: PLR0913 - what an artifact may have
    self: Client,
    *,
    project_id: str,
    path_or_dir: str | os.PathLike[str],
    name: str | None = None,
    artifact_type: str | None = None,
    metadata: Mapping[str, object] | None = None,
    aliases: Sequence[str] = (),
    retention_policy: Mapping[str, object] | None = None,
    run_id: str | None = None,
    on_bytes: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Upload a file or a directory and return what it became: `{"artifactId", "name", "version", …}`.

    Args:
        project_id: The project's id.
        path_or_dir: What; files are sent from where they are, a URI is kept as a reference.
        name: The artifact's name; None is the path's last part.
        artifact_type: Such as `model` or `dataset`.
        metadata: What is to be known of it.
        aliases: Further names of the version.
        retention_policy: As in `Run.log_artifact`.
        run_id: The run that made it; None for none.
        on_bytes: Told now and then how many bytes of how many are sent.

    Raises:
        ValueError: There is nothing at the path, or an argument is wrong; nothing was sent.
        TypeError: As above.
        ArtifactError: It could not be read, or the server did not take it; nothing half-sent counts.
    """
    from rundial.api import jobs
    from rundial.artifacts.preparation import Preparation
    from rundial.artifacts.shipment import Changed, Delivered, Request, send
    from rundial.artifacts.snapshot import Budget, Gone
    from rundial.artifacts.uploads import facts_of
    from rundial.artifacts.wire import Endpoint, Wire
    from rundial.export.backoff import schedule
    from rundial.export.outcome import Retry

    job = jobs.artifact(
        path_or_dir,
        name=name,
        type=artifact_type,
        metadata=metadata,
        aliases=aliases or None,
        retention=retention_policy,
        references=None,
    )
    job["at"] = time.time_ns()
    path = job.get("path", job["name"])
    with (
        closing(Wire(Endpoint(self.endpoint, self.key.headers))) as wire,
        tempfile.TemporaryDirectory(prefix="rundial-put-") as place,
    ):
        try:
            manifest = Preparation(Path(place), Budget(0)).prepare(job, None)
        except (Gone, OSError) as error:
            raise ArtifactError(f"{path} cannot be read: {error}; nothing was sent") from error
        if manifest.facts.get("left_out"):
            left_out = "; ".join(manifest.facts["left_out"][:3])
            raise ArtifactError(f"{path} holds what cannot be sent: {left_out}; nothing was sent")
        request = Request(project_id, run_id or "", job["token"], facts_of(job, manifest))
        total = manifest.size
        found: Any = None
        for number in range(1, TRIES + 1):
            with _watched(lambda: wire.sent, total, on_bytes):
                found = send(wire, request, manifest, is_resumed=number > 1, width=WIDTH)
            if not isinstance(found, Retry) or number == TRIES:
                break
            threading.Event().wait(schedule(number, found.after_s, random.Random()))
    if isinstance(found, Delivered):
        return dict(found.artifact)
    if isinstance(found, Changed):
        raise ArtifactError(f"{found.path} changed while it was sent; put it again when it stands still")
    raise ArtifactError(f"{job['name']} was not taken: {found.why}")


class _watched:  # noqa: N801 - read as what it does
    """Tells how far it is, now and then, as long as the context lasts."""

    def __init__(
        self, sent: Callable[[], int], total: int, on_bytes: Callable[[int, int], object] | None
    ) -> None:
        self._sent, self._total, self._on_bytes = sent, total, on_bytes
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="rundial-put", daemon=True)

    def __enter__(self) -> None:
        if self._on_bytes is not None:
            self._thread.start()

    def __exit__(self, *raised: object) -> None:
        self._is_over.set()
        if self._on_bytes is not None:
            self._thread.join()
            self._on_bytes(self._sent(), self._total)

    def _tell(self) -> None:
        assert self._on_bytes is not None
        while not self._is_over.wait(LOOK_S):
            self._on_bytes(self._sent(), self._total)
