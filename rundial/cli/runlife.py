"""`rundial run start|finish|stop|tag|delete`: what is done to a run from outside its program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rundial.cli.failure import CommandError
from rundial.cli.names import run_ids
from rundial.cli.options import Command, placed, words_of
from rundial.cli.output import shown
from rundial.cli.target import Place, Session, session_of
from rundial.cli.targets import keep

if TYPE_CHECKING:
    from rundial.api.client import Client

KINDS = ("training", "agent", "eval")
STATES = ("completed", "failed", "aborted")

run_id = click.argument("run_id", shell_complete=run_ids)


@click.command("start", cls=Command)
@placed
@click.option("--name", metavar="TEXT", help="What people call it.")
@click.option("--kind", type=click.Choice(KINDS), default="training", show_default=True, help="What it does.")
@click.pass_context
def start(
    ctx: click.Context, /, workspace: str | None, project: str | None, name: str | None, kind: str
) -> None:
    """Start a run that others record into, and print its id; keeps the target in the profile.

    The project is made where it does not exist. A program records into the run with RUNDIAL_RUN_ID and
    resume="allow"; `rundial run finish` ends it.
    """
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        target = client.resolve_run_target(
            workspace=session.target.workspace, project=_project(session, client)
        )
        started = client.announce_run(project_id=target["projectId"], run_name=name, kind=kind)
    profile = session.target.profile
    if profile is not None and profile.endpoint == session.target.endpoint:
        keep(session, target["workspaceSlug"], target["projectSlug"])
    found = {
        "runId": started["runId"],
        "kind": started.get("kind", kind),
        "workspace": target["workspaceSlug"],
        "project": target["projectSlug"],
    }
    session.output.result({"run": found}, lambda: [shown(found["runId"])])


@click.command("finish", cls=Command)
@run_id
@placed
@click.option(
    "--state", type=click.Choice(STATES), default="completed", show_default=True, help="How it ended."
)
@click.option("--reason", metavar="TEXT", help="Why, in words.")
@click.option("--finished-at-ms", type=click.IntRange(0), metavar="MS", help="When, in ms since 1970; now.")
@click.pass_context
def finish(
    ctx: click.Context, /, run_id: str, workspace: str | None, project: str | None, **given: Any
) -> None:
    """Say how a run ended that nobody else ends."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        found = client.update_run_status(
            run_id=run_id,
            status=given["state"],
            finished_at_ms=given["finished_at_ms"],
            reason=given["reason"],
            project_id=_project_id(session, client),
        )
    said = f"{shown(found.get('runId'))} is {shown(found.get('status'))}"
    session.output.result({"run": found}, lambda: [said])


@click.command("stop", cls=Command)
@run_id
@placed
@click.option("--reason", metavar="TEXT", help="Why, in words.")
@click.pass_context
def stop(
    ctx: click.Context, /, run_id: str, workspace: str | None, project: str | None, reason: str | None
) -> None:
    """Ask a run to stop; it ends when its program next looks at `run.should_stop`."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.stop_run(run_id=run_id, project_id=_id_of(client, place), reason=reason)
    said = f"asked {shown(found.get('runId'))} to stop; its program decides when"
    session.output.result({"run": found}, lambda: [said])


@click.command("tag", cls=Command)
@run_id
@click.argument("tags", nargs=-1)
@placed
@click.option("--remove", multiple=True, metavar="TAG", help="Take this one away; repeatable, or a,b.")
@click.pass_context
def tag(
    ctx: click.Context,
    /,
    run_id: str,
    tags: tuple[str, ...],
    workspace: str | None,
    project: str | None,
    remove: tuple[str, ...],
) -> None:
    """Add tags to a run, or take some away; without any, print those it has."""
    from rundial.api.calls import paths

    session = session_of(ctx, workspace=workspace, project=project)
    added, removed = words_of(tags), set(words_of(remove))
    with session.client() as client:
        place = session.place(client)
        details = client.get_run_details(
            workspace_slug=place.workspace, project_slug=place.project, run_id=run_id
        )
        before = [str(each) for each in details.get("tags") or []]
        after = [each for each in dict.fromkeys([*before, *added]) if each not in removed]
        if after != before:
            path = f"{paths.project(place.workspace, place.project)}/runs/{paths.part(run_id)}"
            client.caller.patch(path, {"tags": after}, what=f"tagging {run_id}")
    said = ", ".join(map(shown, after)) or f"no tags; add some: rundial run tag {shown(run_id)} TAG"
    session.output.result({"run": {"runId": run_id, "tags": after}}, lambda: [said])


@click.command("delete", cls=Command)
@run_id
@placed
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def delete(
    ctx: click.Context, /, run_id: str, workspace: str | None, project: str | None, *, yes: bool
) -> None:
    """Delete a run with all its points, text and spans, for ever."""
    from rundial.api.calls import paths

    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        details = client.get_run_details(
            workspace_slug=place.workspace, project_slug=place.project, run_id=run_id
        )
        if not yes:
            _confirm(session, f"{shown(run_id)} ({shown(details.get('runName'))}, {details['status']})")
        path = f"{paths.project(place.workspace, place.project)}/runs/{paths.part(run_id)}"
        found = client.caller.delete(path, what=f"deleting {run_id}")
    session.output.result({"run": found}, lambda: [f"{shown(run_id)} is deleted"])


def _confirm(session: Session, what: str) -> None:
    if not session.can_ask:
        raise CommandError(f"{what} was not deleted: nobody confirmed it", "Say so: --yes")
    if not click.confirm(f"Delete {what} for ever?", err=True):
        raise CommandError(f"{what} was not deleted")


def _project(session: Session, client: Client) -> str:
    """Return the project that is named, else the only one that there is."""
    return session.target.project or session.place(client).project


def _project_id(session: Session, client: Client) -> str | None:
    """Return the project's id where one is named; a run's id says enough where none is."""
    if session.target.project is None:
        return None
    return _id_of(client, session.place(client))


def _id_of(client: Client, place: Place) -> str:
    return client.resolve_project_id(workspace_slug=place.workspace, project_slug=place.project)
