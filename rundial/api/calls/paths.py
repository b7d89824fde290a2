"""The API's paths, escaped: a name is never more than one part of a path."""

from __future__ import annotations

from urllib.parse import quote


def part(text: str) -> str:
    """Escape one part of a path."""
    # A lone dot would be folded away by URL handling on the way, escaped or not.
    return quote(text, safe="").replace(".", "%2E") if text in {".", ".."} else quote(text, safe="")


def workspace(slug: str) -> str:
    """Where a workspace is."""
    return f"/api/v1/workspaces/{part(slug)}"


def project(workspace_slug: str, slug: str) -> str:
    """Where a project is."""
    return f"{workspace(workspace_slug)}/projects/{part(slug)}"


def artifact(workspace_slug: str, project_slug: str, reference: str) -> str:
    """Where a version of an artifact is."""
    return f"{project(workspace_slug, project_slug)}/artifacts/{part(reference)}"


def run(run_id: str) -> str:
    """Where a run is changed."""
    return f"/api/v1/runs/{part(run_id)}"
