"""`rundial workspace`: make one."""

from __future__ import annotations

import click

from rundial.cli.options import Group
from rundial.cli.output import shown
from rundial.cli.target import session_of

group = Group("workspace", help="Make workspaces.")


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
