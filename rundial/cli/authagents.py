"""`rundial auth agent`: names that keys belong to, and that end with all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rundial.cli.authkeys import key_lines, key_table, scope_option, wish_of
from rundial.cli.failure import CommandError, nearest
from rundial.cli.names import agent_names
from rundial.cli.options import Group, in_workspace, placed
from rundial.cli.output import shown, table, when
from rundial.cli.target import session_of

if TYPE_CHECKING:
    from rundial.api.client import Client

ID_PREFIX = "agt_"

agents = Group("agent", help="Make, list and end agents of a workspace.")
keys = Group("key", help="Make and list API keys of an agent.")
agents.add_command(keys)

_agent = click.option(
    "--agent", required=True, metavar="AGENT", shell_complete=agent_names, help="Which one, by id or name."
)


def agent_of(client: Client, workspace: str, reference: str) -> str:
    """Return an active agent's id; a reference that begins with `agt_` is one."""
    if reference.startswith(ID_PREFIX):
        return reference
    names = {str(row.get("name")): str(row.get("agentId")) for row in active_agents(client, workspace)}
    if reference not in names:
        close = nearest(reference, names)
        raise CommandError(
            f"there is no active agent {shown(reference)} in {shown(workspace)}",
            f"Did you mean {close}? " if close else "See: rundial auth agent list",
        )
    return names[reference]


def active_agents(client: Client, workspace: str) -> list[Any]:
    """Return a workspace's agents that are not revoked."""
    return list(client.list_agents(workspace_slug=workspace, status="active"))


@agents.command("create")
@in_workspace
@click.option("--name", required=True, metavar="TEXT", help="What it is called.")
@click.pass_context
def create(ctx: click.Context, /, workspace: str | None, name: str) -> None:
    """Make an agent."""
    session = session_of(ctx, workspace=workspace)
    with session.client() as client:
        slug = session.workspace(client)
        found = client.create_agent(workspace_slug=slug, name=name)
    said = f"made agent {shown(found.get('name'))}, {shown(found.get('agentId'))}"
    session.output.result({"workspace": slug, "result": found}, lambda: [said])


@agents.command("list")
@in_workspace
@click.option("--status", type=click.Choice(["active", "revoked"]), help="Only these.")
@click.pass_context
def listing(ctx: click.Context, /, workspace: str | None, status: str | None) -> None:
    """List a workspace's agents."""
    session = session_of(ctx, workspace=workspace)
    with session.client() as client:
        slug = session.workspace(client)
        found = client.list_agents(workspace_slug=slug, status=status)

    def human() -> list[str]:
        if not found:
            return ["no agents yet; make one: rundial auth agent create --name NAME"]
        rows = [
            [
                shown(r.get("agentId")),
                shown(r.get("name")),
                shown(r.get("status")),
                when(r.get("updatedAtMs")),
            ]
            for r in found
        ]
        return table(["agent", "name", "status", "updated"], rows)

    session.output.result({"workspace": slug, "agents": found}, human)


@agents.command("revoke")
@in_workspace
@_agent
@click.pass_context
def revoke(ctx: click.Context, /, workspace: str | None, agent: str) -> None:
    """End an agent with all its keys, at once."""
    session = session_of(ctx, workspace=workspace)
    with session.client() as client:
        slug = session.workspace(client)
        found = client.revoke_agent(workspace_slug=slug, agent_id=agent_of(client, slug, agent))
    said = f"agent {shown(agent)} is revoked, with all its keys"
    session.output.result({"workspace": slug, "result": found}, lambda: [said])


@keys.command("create")
@placed
@_agent
@scope_option
@click.pass_context
def create_key(
    ctx: click.Context, /, workspace: str | None, project: str | None, agent: str, **given: Any
) -> None:
    """Make an API key for an agent and print it, this once."""
    wish = wish_of(given)
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.create_agent_api_key(
            workspace_slug=place.workspace,
            agent_id=agent_of(client, place.workspace, agent),
            project_slug=place.project,
            **wish,
        )
    session.output.result(
        {"workspace": place.workspace, "project": place.project, "result": found}, lambda: key_lines(found)
    )


@keys.command("list")
@in_workspace
@_agent
@click.pass_context
def list_keys(ctx: click.Context, /, workspace: str | None, agent: str) -> None:
    """List an agent's API keys; never the keys themselves."""
    session = session_of(ctx, workspace=workspace)
    with session.client() as client:
        slug = session.workspace(client)
        agent_id = agent_of(client, slug, agent)
        found = client.list_agent_api_keys(workspace_slug=slug, agent_id=agent_id)
    who = shown(agent_id)
    none = f"no keys of {who} yet; make one: rundial auth agent key create --agent {who}"
    session.output.result(
        {"workspace": slug, "agentId": agent_id, "keys": found}, lambda: key_table(found, none=none)
    )
