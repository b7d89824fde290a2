"""The one bounded conversation with the server at the start of a run.

A wrong key, an unknown target or a stale server build raises, because waiting would not help. A
server that cannot be reached or fails does not: the run is recorded and announced later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rundial.api.client import Client
from rundial.api.earlier import Steps, following
from rundial.errors import RundialRequestError
from rundial.settings import Settings

logger = logging.getLogger("rundial")


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the run tells the server about itself."""

    run_id: str
    kind: str
    name: str | None
    group: str | None
    job_type: str | None
    tags: Sequence[str]
    config: Mapping[str, object]
    instance_id: str
    rank: int | None
    started_unix_ns: int
    launch: str
    resume: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server told.

    Attributes:
        workspace: The workspace's slug; None where only the project's id was asked for.
        project_id: The project's id.
        server_id: The server's own id, made at its first start; None from an older build.
        attempt: Which attempt of the run this is, from 1.
        steps: Where it goes on counting.
    """

    workspace: str | None
    project_id: str
    server_id: str | None
    attempt: int
    steps: Steps


def announce(settings: Settings, run: Announcement) -> Answer | None:
    """Resolve the target and start the run, within `init_timeout_seconds` in all.

    Returns:
        The server's answer; None when it could not be had, which is said once in a warning.

    Raises:
        RundialRequestError: The server refuses: the key, the target, or the run id. Or it cannot be had,
            and the run must be there.
    """
    half = max(0.1, settings.init_timeout_seconds / 2)
    with Client(settings.endpoint, api_key=settings.api_key, request_timeout_seconds=half) as client:
        try:
            target = client.resolve_run_target(workspace=settings.workspace, project=settings.project)
            started = client.announce_run(
                project_id=target["projectId"],
                run_id=run.run_id,
                kind=run.kind,
                run_name=run.name,
                group=run.group,
                job_type=run.job_type,
                tags=list(run.tags),
                config=run.config,
                instance_id=run.instance_id,
                rank=run.rank,
                # Our own clock: what the program writes later must not look older than its start.
                started_at_ns=run.started_unix_ns,
                launch=run.launch or None,
                resume=run.resume,
            )
        except RundialRequestError as error:
            if not _may_pass(error):
                raise
            if run.resume == "must":
                raise RundialRequestError(
                    f"the run {run.run_id!r} could not be confirmed, as resume='must' asks; nothing was "
                    f"started ({error})",
                    error.status_code,
                ) from error
            logger.warning(
                "run %s: %s. The run is recorded in %s and announced when the server answers.",
                run.run_id,
                error,
                settings.spool_directory,
            )
            return None
    attempt = started.get("attempt")
    return Answer(
        target["workspaceSlug"],
        target["projectId"],
        target.get("serverId"),
        attempt if isinstance(attempt, int) else 1,
        steps_of(started),
    )


def steps_of(started: Mapping[str, object]) -> Steps:
    """Return where a run goes on counting, from the answer to its announcement."""
    return Steps(_following(started.get("highestStep")), _following(started.get("highestSystemStep")))


def _following(highest: object) -> int:
    return following(highest) if isinstance(highest, int) else 0


def _may_pass(error: RundialRequestError) -> bool:
    status = error.status_code
    return status is None or status >= 500 or status in (408, 429)
