"""Announcing a start to a server that could not be asked at the time: offline, unreachable, or left behind.

Such a start is never refused, for its data exists. What `resume` would have forbidden is told as a
conflict, and the server keeps the data as an attempt of its own.

Threads: the sender's, just before the first request, so that the server knows the attempt before it
gets the records. It may wait as long as a request may.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

from rundial.api.target import Target
from rundial.errors import RundialError, RundialRequestError
from rundial.spool.meta import Meta

logger = logging.getLogger("rundial")


class LateAnnouncement:
    """One instance's start, to be told until it has been heard.

    Args:
        meta: The instance.
        target: Where its records go.
        timeout_s: What one request may take.
        on_conflict: Told why the start would have been refused, and what became of it.
        on_attempt: Told the attempt that the server made of it.
    """

    def __init__(
        self,
        meta: Meta,
        target: Target,
        *,
        timeout_s: float,
        on_conflict: Callable[[str], None] | None = None,
        on_attempt: Callable[[int], None] | None = None,
    ) -> None:
        self._meta = meta
        self._target = target
        self._timeout_s = timeout_s
        self._on_conflict = on_conflict or self._warn
        self._on_attempt = on_attempt
        self._is_done = meta.extra.get("announced") is not False
        # Telemetry and files each have a sender, and whichever comes first tells the start.
        self._lock = Lock()

    def tell(self) -> None:
        """Tell the start unless it has been heard; never raises."""
        if self._is_done:
            return
        with self._lock:
            if not self._is_done:
                self._tell_once()

    def _tell_once(self) -> None:
        try:
            self._tell()
        except RundialRequestError as error:
            # No control API there: a Collector, or an older build. The records say it all themselves.
            self._is_done = error.status_code in (400, 404, 405, 409)
        except (RundialError, ValueError, TypeError) as error:
            self._is_done = True
            logger.warning("the start of run %s could not be told", self._meta.run_id, exc_info=error)

    def _tell(self) -> None:
        # HTTP is imported only now.
        from rundial.api.client import Client

        meta, target = self._meta, self._target
        with Client(
            target.endpoint, api_key=target.key.value, request_timeout_seconds=self._timeout_s
        ) as client:
            found = client.resolve_run_target(workspace=meta.workspace, project=meta.project)
            started = client.announce_run(
                project_id=found["projectId"],
                run_id=meta.run_id,
                kind=meta.kind,
                resume=str(meta.extra.get("resume") or "allow"),
                run_name=meta.run_name,
                instance_id=meta.instance_id,
                rank=meta.extra.get("rank"),
                launch=meta.extra.get("launch") or None,
                attempt=meta.attempt,
                started_at_ns=meta.created_unix_ns,
                is_late=True,
            )
        self._is_done = True
        attempt, conflict = started.get("attempt"), started.get("conflict")
        if self._on_attempt is not None and isinstance(attempt, int):
            self._on_attempt(attempt)
        if isinstance(conflict, str) and conflict:
            self._on_conflict(f"{conflict}; its data is kept as attempt {attempt}")

    def _warn(self, conflict: str) -> None:
        logger.warning("run %s: %s", self._meta.run_id, conflict)
