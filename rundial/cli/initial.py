"""`rundial init`: from nothing to a first run: the server, a key, a target, and a run in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rundial.cli.auth import Login, keep, log_in, name_in
from rundial.cli.failure import CommandError
from rundial.cli.options import Command, placed
from rundial.cli.output import shown
from rundial.cli.target import Session, session_of

if TYPE_CHECKING:
    from rundial.api.calls.shapes import RunTarget
    from rundial.api.client import Client

DEFAULT_PROJECT = "first-flight"


@click.command("init", cls=Command)
@click.option("--api-key", metavar="KEY", help="The key; - reads it from stdin, which no other program sees.")
@click.option("--credentials", is_flag=True, help="Log in with e-mail and password.")
@click.option("--email", metavar="TEXT", help="Whose credentials.")
@placed
@click.option("--name", default="first-run", show_default=True, help="Name of the first run.")
@click.option("--skip-run-start", is_flag=True, help="Make no run.")
@click.pass_context
def init(ctx: click.Context, /, workspace: str | None, project: str | None, **given: Any) -> None:
    """Set up this account: check the server, log in, choose a target, make a first run.

    In a terminal it asks for what is not given. Elsewhere it takes RUNDIAL_* variables, then what a server of
    this machine has stored, then the only workspace there is; without a project it takes `first-flight`.
    """
    session = session_of(ctx, workspace=workspace, project=project, makes_profile=True)
    _need_server(session)
    login = log_in(session, given["api_key"], with_credentials=given["credentials"], email=given["email"])
    with _client(session, login) as client:
        place = session.workspace(client)
        wanted = session.target.project or _asked(session)
        target = client.resolve_run_target(workspace=place, project=wanted)
        run = None if given["skip_run_start"] else _first_run(client, target, given["name"])
    chosen: dict[str, str | None] = {
        "workspace": target["workspaceSlug"],
        "project": target["projectSlug"],
    }
    profile, store = keep(session, login, chosen)
    endpoint = session.target.endpoint
    found: dict[str, Any] = {
        "endpoint": endpoint,
        "profile": profile,
        "login": {"authMode": login.mode, "whoami": login.whoami, "secretStore": store},
        "target": chosen,
        "run": run,
    }
    session.output.result(found, lambda: _lines(found, endpoint, name_in(login.whoami)))


def _need_server(session: Session) -> None:
    """Find the server first: where there is none, it is no key that is wanted.

    Raises:
        RundialRequestError: It does not answer.
    """
    from rundial.api.client import Client

    with Client(session.target.endpoint, request_timeout_seconds=10.0) as client:
        client.health()


def _client(session: Session, login: Login) -> Client:
    if login.secret is None:
        return session.client()
    from rundial.api.client import Client

    shown_ones = {"api_key" if login.kind == "api_key" else "session_token": login.secret}
    return Client(session.target.endpoint, request_timeout_seconds=10.0, **shown_ones)  # type: ignore[arg-type]  # two of its names


def _asked(session: Session) -> str:
    if not session.can_ask:
        return DEFAULT_PROJECT
    text = str(click.prompt("Project", default=DEFAULT_PROJECT, err=True)).strip()
    if not text:
        raise CommandError("the project has no name", "Name it: --project NAME")
    return text


def _first_run(client: Client, target: RunTarget, name: str) -> dict[str, Any]:
    """Make a run and end it: nothing records into it, and one that goes on would be taken for crashed."""
    started = client.announce_run(project_id=target["projectId"], run_name=name)
    run_id = started["runId"]
    ended = client.update_run_status(run_id=run_id, status="completed", project_id=target["projectId"])
    return {
        "runId": run_id,
        "kind": started.get("kind"),
        "name": name,
        "status": ended.get("status"),
        "workspace": target["workspaceSlug"],
        "project": target["projectSlug"],
    }


def _lines(found: dict[str, Any], endpoint: str, who: str) -> list[str]:
    target, run = found["target"], found["run"]
    lines = [
        f"{endpoint} answers, and lets {who} in",
        f"profile {found['profile']} means {shown(target['workspace'])}/{shown(target['project'])}",
    ]
    if run is not None:
        made = shown(run["runId"])
        lines.append(f"made the run {made}; see it: rundial run list, or {endpoint} in a browser")
    lines.append(f'next, in a program: run = rundial.init(project="{shown(target["project"])}")')
    return lines
