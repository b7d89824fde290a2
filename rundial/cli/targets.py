"""`rundial target`: the workspace and project that commands mean when they name none."""

from __future__ import annotations

from typing import Any

import click

from rundial.cli.config import name_of
from rundial.cli.failure import CommandError
from rundial.cli.options import Group, in_workspace, placed
from rundial.cli.output import shown, table
from rundial.cli.target import Session, session_of

group = Group("target", help="Choose the workspace and project that commands mean.")


@group.command("ls")
@in_workspace
@click.pass_context
def listing(ctx: click.Context, /, workspace: str | None) -> None:
    """List what can be chosen: every project of every workspace, or of one."""
    session = session_of(ctx)
    with session.client() as client:
        if workspace is not None:
            projects = client.list_projects(workspace_slug=workspace)
            found: dict[str, Any] = {"workspace": workspace, "projects": projects}
            rows = [[workspace, shown(each.get("projectSlug")), shown(each.get("name"))] for each in projects]
        else:
            workspaces = client.list_workspaces()
            rows = [
                [shown(each.get("workspaceSlug")), shown(row.get("projectSlug")), shown(row.get("name"))]
                for each in workspaces
                for row in client.list_projects(workspace_slug=str(each.get("workspaceSlug")))
            ]
            found = {"workspaces": workspaces, "targets": rows}

    def human() -> list[str]:
        if not rows:
            return ["there are no projects yet; log a run, or: rundial run start --project NAME"]
        return table(["workspace", "project", "name"], rows)

    session.output.result(found, human)


@group.command("use")
@placed
@click.pass_context
def use(ctx: click.Context, /, workspace: str | None, project: str | None) -> None:
    """Keep a workspace and project in the profile; asks for what is not given."""
    session = session_of(ctx, workspace=workspace, project=project, makes_profile=True)
    with session.client() as client:
        workspaces = [str(each.get("workspaceSlug")) for each in client.list_workspaces()]
        chosen = workspace or _asked(session, "workspace", workspaces)
        if chosen not in workspaces:
            raise CommandError(
                f"there is no workspace {shown(chosen)} that this key can see", "See: rundial workspace ls"
            )
        projects = [str(each.get("projectSlug")) for each in client.list_projects(workspace_slug=chosen)]
        wanted = project or _asked(session, "project", projects)
        if wanted not in projects:
            raise CommandError(
                f"there is no project {shown(wanted)} in {shown(chosen)}",
                f"See: rundial project ls --workspace {chosen}; a run that is logged there makes it",
            )
    profile = keep(session, chosen, wanted)
    said = f"profile {profile} now means {shown(chosen)}/{shown(wanted)}"
    found = {"message": said, "profile": profile, "workspace": chosen, "project": wanted}
    session.output.result(found, lambda: [said])


def keep(session: Session, workspace: str, project: str) -> str:
    """Store a target in the profile of this invocation and return the profile's name."""
    from rundial import profilechanges

    name = name_of(session)
    profilechanges.write_fields(
        name, {"endpoint": session.target.endpoint, "workspace": workspace, "project": project}
    )
    return name


def _asked(session: Session, what: str, known: list[str]) -> str:
    """Return the only one there is, or the one that a person types."""
    if len(known) == 1:
        return known[0]
    if not known:
        raise CommandError(f"there is no {what} that this key can see", "Log a run first, then choose it")
    if not session.can_ask:
        raise CommandError(
            f"no {what} was named; there are {', '.join(known[:8])}", f"Name it: --{what} NAME"
        )
    text: str = click.prompt(what.capitalize(), type=click.Choice(known), err=True)
    return text
