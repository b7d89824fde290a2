"""`rundial auth audit`: what was done in a workspace, and by whom."""

from __future__ import annotations

import click

from rundial.cli.authagents import agent_of
from rundial.cli.names import agent_names
from rundial.cli.options import Group, in_workspace
from rundial.cli.output import shown, table, when
from rundial.cli.target import session_of

ACTORS = ("user", "api_key", "agent", "system")
PAGE = 50

audit = Group("audit", help="See what was done in a workspace.")


@audit.command("list")
@in_workspace
@click.option(
    "--agent", metavar="AGENT", shell_complete=agent_names, help="Only what this agent did, by id or name."
)
@click.option("--actor-kind", type=click.Choice(ACTORS), help="Only what such did.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=PAGE, show_default=True, help="Most events.")
@click.pass_context
def listing(
    ctx: click.Context, /, workspace: str | None, agent: str | None, actor_kind: str | None, limit: int
) -> None:
    """List changes, the newest first."""
    session = session_of(ctx, workspace=workspace)
    with session.client() as client:
        slug = session.workspace(client)
        page = min(limit, PAGE)
        found = client.list_audit_events(
            workspace_slug=slug,
            agent_id=agent_of(client, slug, agent) if agent else None,
            actor_kind=actor_kind,
            limit=page,
            max_pages=-(-limit // page),
        )[:limit]

    def human() -> list[str]:
        if not found:
            return ["nothing was done that matches"]
        rows = [
            [
                when(row.get("createdAtMs")),
                shown(row.get("actorKind")),
                shown(row.get("actorId")),
                shown(row.get("action")),
                f"{shown(row.get('targetKind'))} {shown(row.get('targetId'))}",
            ]
            for row in found
        ]
        return table(["time", "by", "who", "did", "to"], rows)

    session.output.result({"workspace": slug, "events": found}, human)
