"""Who may do what: API keys, agents and their keys, and the record of what was done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from rundial.api.caller import given
from rundial.api.calls import paging, paths

if TYPE_CHECKING:
    from rundial.api.calls.shapes import Agent, ApiKey, AuditEvent, CreatedApiKey, Revoked
    from rundial.api.client import Client


def create_api_key(
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    scopes: Sequence[str],
    label: str | None = None,
    expires_at_ms: int | None = None,
) -> CreatedApiKey:
    """Make an API key for a project; the answer is the only place that shows it.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        scopes: What it may do, such as `metrics:write` and `project:read`.
        label: What people call it.
        expires_at_ms: When it ends, in milliseconds since 1970; None is never.
    """
    body = given(scopes=list(scopes), label=label, expiresAtMs=expires_at_ms)
    path = f"{paths.project(workspace_slug, project_slug)}/api-keys"
    return cast("CreatedApiKey", self.caller.post(path, body, what="making an API key"))


def list_api_keys(self: Client, *, workspace_slug: str, project_slug: str) -> list[ApiKey]:
    """Return a project's API keys, revoked ones too; never the keys themselves."""
    path = f"{paths.project(workspace_slug, project_slug)}/api-keys"
    found = self.caller.get(path, what="listing API keys")
    return cast("list[ApiKey]", paging.rows_of(found, "keys", self.endpoint))


def revoke_api_key(self: Client, *, workspace_slug: str, project_slug: str, key_id: str) -> Revoked:
    """End an API key at once; `key_id` is its public half."""
    path = f"{paths.project(workspace_slug, project_slug)}/api-keys/{paths.part(key_id)}/revoke"
    return cast("Revoked", self.caller.post(path, {}, what=f"revoking API key {key_id}"))


def create_agent(self: Client, *, workspace_slug: str, name: str) -> Agent:
    """Make an agent: a name that keys belong to, and that is revoked with all of them."""
    path = f"{paths.workspace(workspace_slug)}/agents"
    return cast("Agent", self.caller.post(path, {"name": name}, what=f"making agent {name}"))


def list_agents(
    self: Client, *, workspace_slug: str, status: str | None = None, limit: int = 100, max_pages: int = 10
) -> list[Agent]:
    """Return a workspace's agents, at most `limit * max_pages`; `status` is `active` or `revoked`."""
    path = f"{paths.workspace(workspace_slug)}/agents"
    found = self.caller.pages(path, "agents", limit=limit, max_pages=max_pages, query={"status": status})
    return cast("list[Agent]", found)


def revoke_agent(self: Client, *, workspace_slug: str, agent_id: str) -> Revoked:
    """End an agent with all its keys, at once."""
    path = f"{paths.workspace(workspace_slug)}/agents/{paths.part(agent_id)}/revoke"
    return cast("Revoked", self.caller.post(path, {}, what=f"revoking agent {agent_id}"))


def create_agent_api_key(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    workspace_slug: str,
    agent_id: str,
    project_slug: str,
    scopes: Sequence[str] | None = None,
    label: str | None = None,
    expires_at_ms: int | None = None,
) -> CreatedApiKey:
    """Make an API key for an agent; the answer is the only place that shows it.

    Args:
        workspace_slug: Workspace.
        agent_id: The agent.
        project_slug: The project that the key is for.
        scopes: What it may do; None leaves it to the server.
        label: What people call it.
        expires_at_ms: When it ends, in milliseconds since 1970; None is never.
    """
    body = given(
        projectSlug=project_slug,
        scopes=None if scopes is None else list(scopes),
        label=label,
        expiresAtMs=expires_at_ms,
    )
    path = f"{paths.workspace(workspace_slug)}/agents/{paths.part(agent_id)}/api-keys"
    return cast("CreatedApiKey", self.caller.post(path, body, what=f"making an API key for {agent_id}"))


def list_agent_api_keys(
    self: Client, *, workspace_slug: str, agent_id: str, limit: int = 100, max_pages: int = 10
) -> list[ApiKey]:
    """Return an agent's API keys, at most `limit * max_pages`; never the keys themselves."""
    path = f"{paths.workspace(workspace_slug)}/agents/{paths.part(agent_id)}/api-keys"
    return cast("list[ApiKey]", self.caller.pages(path, "keys", limit=limit, max_pages=max_pages))


def list_audit_events(
    self: Client,
    *,
    workspace_slug: str,
    agent_id: str | None = None,
    actor_kind: str | None = None,
    limit: int = 50,
    max_pages: int = 1,
) -> list[AuditEvent]:
    """Return what was done in a workspace, at most `limit * max_pages`, as the server orders it.

    Args:
        workspace_slug: Workspace.
        agent_id: Only what this agent did.
        actor_kind: Only what was done by a `user`, `api_key`, `agent` or `system`.
        limit: Rows of a page.
        max_pages: Pages that are asked for at most.
    """
    found = self.caller.pages(
        f"{paths.workspace(workspace_slug)}/audit",
        "events",
        limit=limit,
        max_pages=max_pages,
        query={"agentId": agent_id, "actorKind": actor_kind},
    )
    return cast("list[AuditEvent]", found)
