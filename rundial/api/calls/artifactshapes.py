"""What calls about artifacts answer; as `rundial.api.calls.shapes`."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from rundial.api.calls.shapes import Page


class _ArtifactBrief(TypedDict):
    artifactId: str
    name: str
    version: int


class ArtifactBrief(_ArtifactBrief, total=False):
    """One version of an artifact."""

    versionName: str
    type: str
    kind: str
    aliases: list[str]
    pinned: bool
    sizeBytes: int
    fileCount: int
    digest: str
    step: int | None
    createdAtMs: int
    runId: str | None
    state: str


class _ArtifactPage(TypedDict):
    artifacts: list[ArtifactBrief]


class ArtifactPage(_ArtifactPage, total=False):
    """One page of a project's versions."""

    page: Page


class ArtifactFile(TypedDict):
    """One file of a version."""

    path: str
    sizeBytes: int
    sha256: str
    contentType: str | None


class ArtifactReference(TypedDict):
    """Something that a version points to."""

    path: str
    uri: str
    sizeBytes: int | None
    sha256: str | None


class ArtifactDetails(ArtifactBrief, total=False):
    """One version with its files."""

    projectId: str
    metadata: dict[str, Any]
    retentionPolicy: dict[str, Any]
    expiresAtMs: int | None
    files: list[ArtifactFile]
    references: list[ArtifactReference]


class Damaged(TypedDict):
    """A file whose bytes are not what they were."""

    path: str
    reason: str


class Verified(TypedDict):
    """What the server found when it read a version's bytes again."""

    artifactId: str
    intact: bool
    checked: dict[str, int]
    damaged: list[Damaged]


class Collected(TypedDict):
    """What a collection dropped, or would drop."""

    dryRun: bool
    uploadsExpired: int
    versionsExpired: int
    blobsDeleted: int
    bytesFreed: int


class _LineageNode(TypedDict):
    id: str
    kind: Literal["run", "artifact"]


class LineageNode(_LineageNode, total=False):
    """A run, or a version of an artifact."""

    name: str
    runKind: str
    status: str
    type: str
    version: int
    versionName: str
    state: str
    sizeBytes: int


# `from` is a word of Python's own.
LineageEdge = TypedDict("LineageEdge", {"from": str, "to": str, "kind": str})


class Lineage(TypedDict):
    """Who made and used what."""

    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool


class _MediaRow(TypedDict):
    mediaKey: str
    mediaType: str
    step: int


class MediaRow(_MediaRow, total=False):
    """One picture or table that a run showed; `url` is None until its bytes are at the server."""

    timestampMs: int
    path: str
    sha256: str
    sizeBytes: int | None
    contentType: str
    caption: str | None
    width: int | None
    height: int | None
    rows: int | None
    columns: int | None
    metadata: dict[str, Any]
    artifactId: str | None
    artifactName: str | None
    state: str
    url: str | None


class _MediaPage(TypedDict):
    media: list[MediaRow]


class MediaPage(_MediaPage, total=False):
    """One page of a run's media."""

    page: Page
