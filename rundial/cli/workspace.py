"""`rundial workspace`: list them, make one."""

from __future__ import annotations

import click

from rundial.cli.options import Group
from rundial.cli.output import shown, table
from rundial.cli.target import session_of

group = Group("workspace", help="List and make workspaces.")


@group.command("create")
@click.argument("name")
@click.pass_context
def create(ctx: click.Context, /, name: str) -> None:
    """Make a workspace; its slug, which paths and options take, is the name's nearest."""
    session = session_of(ctx)
    with session.client() as client:
        found = client.caller.post("/api/v1/workspaces", {"name": name}, what=f"making workspace {name}")
    session.output.result(
        {"workspace": found}, lambda: [f"made workspace {shown(found.get('workspaceSlug'))}"]
    )


@group.command("ls")
@click.pass_context
def listing(ctx: click.Context, /) -> None:
    """List the workspaces that the key may see, and the role in each."""
    session = session_of(ctx)
    with session.client() as client:
        found = client.list_workspaces()

    def human() -> list[str]:
        if not found:
            return ["this key sees no workspace; see: rundial auth whoami"]
        rows = [[shown(r.get("workspaceSlug")), shown(r.get("name")), shown(r.get("role"))] for r in found]
        return table(["workspace", "name", "role"], rows)

    session.output.result({"workspaces": found}, human)
