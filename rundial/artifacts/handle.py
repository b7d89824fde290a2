"""What `use_artifact` returns: an artifact that can be downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rundial.artifacts.cache import Cache
from rundial.artifacts.download import Download
from rundial.artifacts.wire import Wire


class ArtifactDownloadHandle:
    """One version of an artifact.

    Args:
        project_id: Its project.
        run_id: The run that made it.
        artifact: What the server says of it.
        transport: How its files come.

    Attributes:
        project_id, run_id, artifact: As given.
    """

    def __init__(self, project_id: str, run_id: str, artifact: Mapping[str, Any], transport: Wire) -> None:
        self.project_id = project_id
        self.run_id = run_id
        self.artifact = artifact
        self._wire = transport

    def __repr__(self) -> str:
        return f"ArtifactDownloadHandle({self.name!r}, {self.version!r})"

    @property
    def name(self) -> str:
        """The artifact's name."""
        return str(self.artifact.get("name"))

    @property
    def version(self) -> str:
        """Its version, such as `v3`."""
        version = self.artifact.get("versionName") or self.artifact.get("version")
        return f"v{version}" if isinstance(version, int) else str(version)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What is known of it."""
        return self.artifact.get("metadata") or {}

    @property
    def references(self) -> list[Mapping[str, Any]]:
        """Files that stay where they are: `path` and `uri` of each; they are not downloaded."""
        return list(self.artifact.get("references") or [])

    def download(
        self,
        directory: str | os.PathLike[str],
        *,
        cache: Cache | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Path:
        """Write all files below a directory; those that are there already are left as they are.

        Args:
            directory: Made when missing. Nothing is ever written outside of it.
            cache: Where bytes are kept; the user's own when None.
            on_bytes: Told how many bytes have come, as they come.

        Returns:
            The directory.

        Raises:
            ArtifactError: A file cannot be had, is not what was recorded, or has a name that leads out of
                the directory; then nothing of it was written.
            OSError: The directory or the cache cannot be written.
        """
        ids = {
            "projectId": self.project_id,
            "runId": self.run_id,
            "artifactId": self.artifact.get("artifactId"),
        }
        files = self.artifact.get("files") or []
        path = Path(directory)
        Download(self._wire, ids, files, cache or Cache(), on_bytes).into(path)
        return path
