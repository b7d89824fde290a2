"""Where runs live: workspaces, projects, and the ids behind their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rundial.api.caller import given
from rundial.api.calls import paths

if TYPE_CHECKING:
    from rundial.api.calls.shapes import Project, RunTarget, Workspace
    from rundial.api.client import Client


def list_workspaces(self: Client, *, limit: int = 100, max_pages: int = 10) -> list[Workspace]:
    """Return the workspaces that the key may see, at most `limit * max_pages`."""
    found = self.caller.pages("/api/v1/workspaces", "workspaces", limit=limit, max_pages=max_pages)
    return cast("list[Workspace]", found)


def list_projects(
    self: Client, *, workspace_slug: str, limit: int = 100, max_pages: int = 10
) -> list[Project]:
    """Return a workspace's projects, at most `limit * max_pages`."""
    path = f"{paths.workspace(workspace_slug)}/projects"
    found = cast("list[Project]", self.caller.pages(path, "projects", limit=limit, max_pages=max_pages))
    for project in found:
        if project.get("projectId") and project.get("projectSlug"):
            self.known_places[project["projectId"]] = (workspace_slug, project["projectSlug"])
    return found


def resolve_run_target(self: Client, *, workspace: str | None = None, project: str) -> RunTarget:
    """Return the ids behind a workspace and a project, making the project where the key may.

    Args:
        workspace: Slug; None means the key's only workspace.
        project: Slug.

    Raises:
        RundialRequestError: Also when the server is too old to know the route.
    """
    what = f"resolving {workspace}/{project}" if workspace else f"resolving the project {project}"
    found = self.caller.post(
        "/api/v1/runs/resolve-target",
        given(workspace=workspace, project=project),
        what=what,
        stale_advice="This server build is older than the client; upgrade and restart the server",
    )
    names = ("orgId", "workspaceSlug", "workspaceName", "projectSlug", "projectName", "projectId")
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    target = cast("RunTarget", self.caller.need(texts, *names, what=what))
    self.known_places[target["projectId"]] = (target["workspaceSlug"], target["projectSlug"])
    return target


def resolve_project_id(self: Client, *, workspace_slug: str, project_slug: str) -> str:
    """Return a project's id, making the project where the key may."""
    return self.resolve_run_target(workspace=workspace_slug, project=project_slug)["projectId"]
