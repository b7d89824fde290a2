"""Artifacts as the server has them: listed, shown, renamed, deleted, verified; and what came of what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from rundial.api.caller import Json, given
from rundial.api.calls import paging, paths

if TYPE_CHECKING:
    from rundial.api.calls.artifactshapes import (
        ArtifactBrief,
        ArtifactDetails,
        ArtifactPage,
        Collected,
        Lineage,
        MediaPage,
        Verified,
    )
    from rundial.api.client import Client


def list_artifacts(  # noqa: PLR0913 - what a listing is narrowed by
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    type: str | None = None,
    name: str | None = None,
    run_id: str | None = None,
    kind: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> ArtifactPage:
    """Return one page `{"artifacts": [...], "page": {...}}` of a project's versions, the newest first.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        type: Only of this type.
        name: Only of this name.
        run_id: Only what this run made.
        kind: artifact, media or evidence; None is all of them.
        limit: Rows of a page.
        cursor: `page.nextCursor` of the page before.
    """
    query = given(type=type, name=name, runId=run_id, kind=kind, limit=limit, cursor=cursor)
    path = f"{paths.project(workspace_slug, project_slug)}/artifacts"
    what = f"listing the artifacts of {workspace_slug}/{project_slug}"
    found = self.caller.get(path, query=query, what=what)
    paging.rows_of(found, "artifacts", self.endpoint)
    return cast("ArtifactPage", found)


def iter_artifacts(  # noqa: PLR0913 - what a listing is narrowed by
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    type: str | None = None,
    name: str | None = None,
    run_id: str | None = None,
    kind: str | None = None,
    page_size: int = 200,
) -> Iterator[ArtifactBrief]:
    """Yield every version of a project, asking for `page_size` at a time; as `list_artifacts`."""

    def fetch(cursor: str | None) -> Mapping[str, object]:
        return self.list_artifacts(
            workspace_slug=workspace_slug,
            project_slug=project_slug,
            type=type,
            name=name,
            run_id=run_id,
            kind=kind,
            limit=page_size,
            cursor=cursor,
        )

    for page in paging.pages(fetch):
        yield from cast("ArtifactPage", page)["artifacts"]


def artifact(
    self: Client, *, workspace_slug: str, project_slug: str, artifact_ref: str, max_files: int | None = None
) -> ArtifactDetails:
    """Return one version with its files; looking at it is not using it.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        artifact_ref: `name`, `name:alias`, `name:v3`, or an id.
        max_files: Only the first of them, 1 to 10,000; `fileCount` says how many there are. None is all.

    Raises:
        RundialRequestError: 404 where there is none.
    """
    path = _place(self, workspace_slug, project_slug, artifact_ref)
    what = f"reading the artifact {artifact_ref}"

    def fetch(cursor: str | None) -> Json:
        limit = 10_000 if max_files is None else max_files
        return self.caller.get(path, query=given(limit=limit, cursor=cursor), what=what)

    pages = list(paging.pages(fetch)) if max_files is None else [fetch(None)]
    files = [row for page in pages for row in paging.rows_of(page, "files", self.endpoint)]
    whole = {name: value for name, value in pages[0].items() if name != "page"} | {"files": files}
    return cast("ArtifactDetails", whole)


def note_artifact_use(
    self: Client, *, workspace_slug: str, project_slug: str, artifact_ref: str, run_id: str
) -> ArtifactDetails:
    """Note that a run uses a version, and return the version; `use_artifact` is for the program that does.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        artifact_ref: Which version.
        run_id: The run.
    """
    known = self.artifact(
        workspace_slug=workspace_slug, project_slug=project_slug, artifact_ref=artifact_ref, max_files=1
    )
    body = {"projectId": known["projectId"], "runId": run_id, "artifactRef": known["artifactId"]}
    what = f"using {artifact_ref}"
    found = self.caller.post("/api/v1/artifacts/use", body, what=what)
    return cast("ArtifactDetails", {**known, **self.caller.need(found, "artifact", what=what)["artifact"]})


def update_artifact_aliases(
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    artifact_ref: str,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> list[str]:
    """Add aliases to a version, taking them from others of its name, remove some, and return what it has."""
    path = f"{_place(self, workspace_slug, project_slug, artifact_ref)}/aliases"
    body = {"add": list(add), "remove": list(remove)}
    found = self.caller.post(path, body, what=f"changing the aliases of {artifact_ref}")
    return cast("list[str]", found.get("aliases") or [])


def delete_artifact(
    self: Client, *, workspace_slug: str, project_slug: str, artifact_ref: str, force: bool = False
) -> None:
    """Delete a version; its bytes go with the next collection, where nothing else needs them.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        artifact_ref: Which one.
        force: Also when an alias of a user's own means it.

    Raises:
        RundialRequestError: 409 where an alias holds it.
    """
    path = _place(self, workspace_slug, project_slug, artifact_ref)
    self.caller.delete(path, query={"force": "true"} if force else None, what=f"deleting {artifact_ref}")


def verify_artifact(self: Client, *, workspace_slug: str, project_slug: str, artifact_ref: str) -> Verified:
    """Let the server read a version's bytes again and compare their sha256.

    Returns:
        `{"intact", "checked": {"blobs", "sizeBytes"}, "damaged": [{"path", "reason"}]}`.
    """
    path = f"{_place(self, workspace_slug, project_slug, artifact_ref)}/verify"
    return cast("Verified", self.caller.post(path, {}, what=f"verifying {artifact_ref}"))


def collect_artifacts(
    self: Client, *, workspace_slug: str, project_slug: str, dry_run: bool = False
) -> Collected:
    """Drop what nothing needs any more: stale uploads, expired versions, blobs without a version.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        dry_run: Only count what would go now.
    """
    path = f"{paths.project(workspace_slug, project_slug)}/artifacts/gc"
    what = f"collecting the artifacts of {workspace_slug}/{project_slug}"
    return cast("Collected", self.caller.post(path, {"dryRun": dry_run}, what=what))


def lineage(
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    run_id: str | None = None,
    artifact_ref: str | None = None,
    depth: int = 3,
) -> Lineage:
    """Return the graph of who made and used what: `{"nodes": [...], "edges": [{"from", "to", "kind"}]}`.

    An edge leads the way of the data: `made` from a run to an artifact, `used` from an artifact to a run.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        run_id: Where to start; this or `artifact_ref`.
        artifact_ref: Where to start.
        depth: Edges away from there, 1 to 10.
    """
    query = given(runId=run_id, artifactId=artifact_ref, depth=depth)
    path = f"{paths.project(workspace_slug, project_slug)}/lineage"
    found = self.caller.get(path, query=query, what=f"reading the lineage of {run_id or artifact_ref}")
    paging.rows_of(found, "edges", self.endpoint)
    return cast("Lineage", found)


def list_media(  # noqa: PLR0913 - what a listing is narrowed by
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    run_id: str,
    key: str | None = None,
    step: int | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> MediaPage:
    """Return one page `{"media": [...], "page": {...}}` of a run's images and tables, by step.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        run_id: The run.
        key: Only this key's.
        step: Only this step's.
        limit: Rows of a page.
        cursor: `page.nextCursor` of the page before.
    """
    path = f"{paths.project(workspace_slug, project_slug)}/runs/{paths.part(run_id)}/media"
    query = given(key=key, step=step, limit=limit, cursor=cursor)
    found = self.caller.get(path, query=query, what=f"listing the media of {run_id}")
    paging.rows_of(found, "media", self.endpoint)
    return cast("MediaPage", found)


def _place(self: Client, workspace_slug: str, project_slug: str, reference: str) -> str:
    """Where a version is; a name with a slash is no part of a path, so its id is asked for first."""
    if "/" in reference:
        path = f"{paths.project(workspace_slug, project_slug)}/artifacts"
        found = self.caller.get(path, query={"ref": reference}, what=f"finding the artifact {reference}")
        reference = str(paging.rows_of(found, "artifacts", self.endpoint)[0]["artifactId"])
    return paths.artifact(workspace_slug, project_slug, reference)
