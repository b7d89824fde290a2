"""Artifacts and media through a client: into runs that it joins, and back from the server."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.artifacts.handle import ArtifactDownloadHandle


def log_artifact(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    run_id: str,
    path_or_dir: str | os.PathLike[str] | None,
    name: str | None = None,
    artifact_type: str | None = None,
    metadata: Mapping[str, object] | None = None,
    aliases: Sequence[str] | None = None,
    retention_policy: Mapping[str, object] | None = None,
) -> bool:
    """Have a file or a directory delivered as a run's; see `Run.log_artifact`.

    Raises:
        ValueError: There is nothing at the path, or an argument is wrong; nothing was logged.
    """
    run = self.recording.joined(project_id, run_id, "artifacts")
    return run is not None and run.log_artifact(
        path_or_dir,
        name=name,
        type=artifact_type,
        metadata=metadata,
        aliases=aliases,
        retention_policy=retention_policy,
    )


def put_artifact(  # noqa: PLR0913 - what an artifact is described by
    self: Client,
    *,
    project_id: str,
    path_or_dir: str | os.PathLike[str] | None,
    run_id: str | None = None,
    name: str | None = None,
    artifact_type: str | None = None,
    metadata: Mapping[str, object] | None = None,
    aliases: Sequence[str] | None = None,
    retention_policy: Mapping[str, object] | None = None,
    references: Sequence[str] | Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Upload a file or a directory now, and wait until the server has it; no run is needed.

    Args:
        project_id: Its project.
        path_or_dir, name, artifact_type, metadata, aliases, retention_policy, references: As for
            `Run.log_artifact`.
        run_id: The run that made it; None for none.

    Returns:
        The version that the server made of it.

    Raises:
        ValueError: There is nothing at the path, or an argument is wrong.
        ArtifactError: It cannot be read, or the server refuses it.
    """
    from rundial.api import jobs
    from rundial.artifacts.put import put
    from rundial.artifacts.wire import Endpoint, Wire

    job = jobs.artifact(
        path_or_dir,
        name=name,
        type=artifact_type,
        metadata=metadata,
        aliases=aliases,
        retention=retention_policy,
        references=references,
    )
    wire = Wire(Endpoint(self.endpoint, self.key.headers))
    try:
        return put(wire, project_id, run_id or "", job)
    finally:
        wire.close()


def log_media(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    run_id: str,
    media_key: str,
    value: object,
    step: int,
    timestamp_ms: int,
) -> bool:
    """Log one image, table, histogram or figure into a run; see `Run.log`."""
    run = self.recording.joined(project_id, run_id, "artifacts")
    return run is not None and run.log({media_key: value}, step=step, time_ms=timestamp_ms)


def use_artifact(
    self: Client, *, project_id: str, run_id: str | None = None, artifact_ref: str
) -> ArtifactDownloadHandle:
    """Ask for an artifact, and have it noted that a run uses it.

    Args:
        project_id: The project's id.
        run_id: The run that uses it; None notes nothing.
        artifact_ref: `name`, `name:alias`, `name:v3` or an artifact's id.

    Raises:
        RundialRequestError: The server does not know it, or refuses.
    """
    from rundial.artifacts.handle import ArtifactDownloadHandle
    from rundial.artifacts.wire import Endpoint, Wire

    asked: dict[str, Any] = {"projectId": project_id, "artifactRef": artifact_ref}
    if run_id is not None:
        asked["runId"] = run_id
    what = f"using artifact {artifact_ref}"
    found = self.caller.post("/api/v1/artifacts/use", asked, what=what)
    artifact = self.caller.need(found, "artifact", what=what)["artifact"]
    wire = Wire(Endpoint(self.endpoint, self.key.headers))
    producer = str(artifact.get("runId") or run_id or "")
    return ArtifactDownloadHandle(project_id, producer, artifact, wire)
