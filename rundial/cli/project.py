"""`rundial project`: what a workspace holds."""

from __future__ import annotations

import click

from rundial.cli.options import Group, in_workspace
from rundial.cli.output import shown, table
from rundial.cli.target import session_of

group = Group("project", help="List projects.")


@group.command("ls")
@in_workspace
@click.pass_context
def listing(ctx: click.Context, /, workspace: str | None) -> None:
    """List a workspace's projects with the number of their runs."""
    session = session_of(ctx, workspace=workspace)
    with session.client() as client:
        slug = session.workspace(client)
        found = client.list_projects(workspace_slug=slug)

    def human() -> list[str]:
        if not found:
            return [f"no projects in {shown(slug)} yet; log a run, or: rundial run start --project NAME"]
        rows = [[shown(r.get("projectSlug")), shown(r.get("name")), shown(r.get("runCount"))] for r in found]
        return table(["project", "name", "runs"], rows, right=frozenset({2}))

    session.output.result({"workspace": slug, "projects": found}, human)
