"""`rundial auth key`: a project's API keys."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from rundial.cli.names import agent_names
from rundial.cli.options import Group, placed, words_of
from rundial.cli.output import shown, table, when
from rundial.cli.target import session_of
from rundial.cli.times import Span

# What the published client calls them.
ALIASES = {
    "ingest:metrics": "metrics:write",
    "ingest:logs": "logs:write",
    "ingest:traces": "traces:write",
    "ingest:evals": "evals:write",
    "ingest:artifacts": "artifacts:write",
    "query:read": "project:read",
}
_NONE = "no keys of this project yet; make one: rundial auth key create"
DEFAULT_SCOPES = ("metrics:write", "project:read", "stream:read")

keys = Group("key", help="Make, list and end API keys of a project.")


def scope_option(command: Any) -> Any:
    """Give a command `--scope`, `--label` and when the key ends."""
    for option in (
        click.option("--expires-in", type=Span(), metavar="TIME", help="When it ends, such as 30d."),
        click.option(
            "--expires-at-ms", type=click.IntRange(1), metavar="MS", help="When it ends, in ms since 1970."
        ),
        click.option("--label", metavar="TEXT", help="What people call it."),
        click.option(
            "--scope", "--scopes", "scopes", multiple=True, help="What it may do; repeatable, or a,b."
        ),
    ):
        command = option(command)
    return command


def wish_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return scopes, label and end of a key as the API takes them."""
    ends = given["expires_at_ms"]
    if ends is not None and given["expires_in"] is not None:
        raise click.UsageError("--expires-in and --expires-at-ms say the same thing; give one of them")
    if given["expires_in"] is not None:
        ends = time.time_ns() // 1_000_000 + given["expires_in"]
    scopes = [ALIASES.get(word, word) for word in words_of(given["scopes"])]
    return {"scopes": scopes or None, "label": given["label"], "expires_at_ms": ends}


def key_lines(found: Mapping[str, Any]) -> list[str]:
    """Return a new key for a person; it is shown this once."""
    end = when(found["expiresAtMs"]) if found.get("expiresAtMs") else "never"
    scopes = ", ".join(map(shown, found.get("scopes") or []))
    return [
        shown(found.get("key")),
        f"  id {shown(found.get('keyId'))}; may {scopes}; ends {end}",
        "  it is not shown again",
    ]


def key_table(found: list[Any], *, none: str) -> list[str]:
    """Return keys as a table; `none` is what stands there when there are none."""
    if not found:
        return [none]
    rows = [
        [
            shown(row.get("keyId")),
            shown(row.get("label")),
            ", ".join(map(shown, row.get("scopes") or [])),
            when(row.get("lastUsedAtMs")),
            "revoked" if row.get("revokedAtMs") else "active",
        ]
        for row in found
    ]
    return table(["key", "label", "scopes", "last used", "status"], rows)


@keys.command("create")
@placed
@click.option(
    "--agent",
    metavar="AGENT",
    shell_complete=agent_names,
    help="The agent that it belongs to, by id or name.",
)
@scope_option
@click.pass_context
def create(
    ctx: click.Context, /, workspace: str | None, project: str | None, agent: str | None, **given: Any
) -> None:
    """Make an API key and print it, this once.

    Without --scope it may write metrics, read its project and follow streams; an agent's key may do
    what the server gives agents.
    """
    from rundial.cli.authagents import agent_of

    wish = wish_of(given)
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        if agent is not None:
            agent_id = agent_of(client, place.workspace, agent)
            found: Mapping[str, Any] = client.create_agent_api_key(
                workspace_slug=place.workspace, agent_id=agent_id, project_slug=place.project, **wish
            )
        else:
            wish["scopes"] = wish["scopes"] or list(DEFAULT_SCOPES)
            found = client.create_api_key(workspace_slug=place.workspace, project_slug=place.project, **wish)
    session.output.result({"result": found}, lambda: key_lines(found))


@keys.command("list")
@placed
@click.pass_context
def listing(ctx: click.Context, /, workspace: str | None, project: str | None) -> None:
    """List a project's API keys; never the keys themselves."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.list_api_keys(workspace_slug=place.workspace, project_slug=place.project)
    session.output.result(
        {"workspace": place.workspace, "project": place.project, "keys": found},
        lambda: key_table(found, none=_NONE),
    )


@keys.command("revoke")
@click.option("--key-id", required=True, metavar="ID", help="Which one, as listed.")
@placed
@click.pass_context
def revoke(ctx: click.Context, /, key_id: str, workspace: str | None, project: str | None) -> None:
    """End an API key at once."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.revoke_api_key(
            workspace_slug=place.workspace, project_slug=place.project, key_id=key_id
        )
    session.output.result({"result": found}, lambda: [f"key {shown(key_id)} is revoked"])
