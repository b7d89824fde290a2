"""`rundial artifact`: list, show, use, remove, collect and verify what runs have kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.failure import CommandError
from rundial.cli.lazily import LazyCommands, Source
from rundial.cli.names import artifact_names, run_ids
from rundial.cli.options import Group, placed
from rundial.cli.output import facts, shown, size, some, table, when
from rundial.cli.progress import tracked
from rundial.cli.target import Place, session_of

if TYPE_CHECKING:
    from rundial.api.client import Client

MAX_FILES = 50
# Reading a large artifact again at the server takes as long as its disk needs.
VERIFY_S = 3_600.0

group = Group(
    "artifact",
    help="List, show, use, remove, collect and verify artifacts.",
    commands=LazyCommands(
        {
            "put": Source(
                "rundial.cli.artifactfiles:put", "Upload a file or a directory as a version, and wait for it."
            ),
            "get": Source(
                "rundial.cli.artifactfiles:get", "Download a version's files and verify each sha256."
            ),
        }
    ),
)


@group.command("ls")
@placed
@click.option("--type", metavar="TYPE", help="Only of this type, such as checkpoint.")
@click.option("--name", metavar="NAME", help="Only of this name.", shell_complete=artifact_names)
@click.option("--run", "run_id", metavar="RUN_ID", shell_complete=run_ids, help="Only what this run made.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most to print.")
@click.pass_context
def list_artifacts(ctx: click.Context, /, workspace: str | None, project: str | None, **query: Any) -> None:
    """List versions, the newest first."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.list_artifacts(**place.slugs(), **query)
    session.output.result({"result": found}, lambda: artifacts_of(place, found))


@group.command("show")
@click.argument("artifact", shell_complete=artifact_names)
@placed
@click.option("--lineage", "with_lineage", is_flag=True, help="Also what it came from and who uses it.")
@click.option(
    "--depth", type=click.IntRange(1, 10), default=3, show_default=True, help="Steps of the lineage."
)
@click.pass_context
def show(
    ctx: click.Context,
    /,
    artifact: str,
    workspace: str | None,
    project: str | None,
    with_lineage: bool,
    depth: int,
) -> None:
    """Show one version and its files: NAME, NAME:ALIAS, NAME:v3 or an id."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found: dict[str, Any] = {**client.artifact(**place.slugs(), artifact_ref=artifact)}
        if with_lineage:
            found["lineage"] = client.lineage(**place.slugs(), artifact_ref=found["artifactId"], depth=depth)
    session.output.result({"artifact": found}, lambda: details_of(found))


@group.command("use")
@click.argument("artifact", shell_complete=artifact_names)
@placed
@click.option(
    "--run", "run_id", metavar="RUN_ID", shell_complete=run_ids, required=True, help="The run that uses it."
)
@click.pass_context
def use(
    ctx: click.Context, /, artifact: str, workspace: str | None, project: str | None, run_id: str
) -> None:
    """Note that a run uses a version, for its lineage."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        found = client.note_artifact_use(**place.slugs(), artifact_ref=artifact, run_id=run_id)
    said = f"noted: {shown(run_id)} uses {named(found)}"
    session.output.result({"artifact": found}, lambda: [said])


@group.command("rm")
@click.argument("artifacts", nargs=-1, required=True, shell_complete=artifact_names)
@placed
@click.option("--force", is_flag=True, help="Also what an alias holds.")
@click.pass_context
def remove(
    ctx: click.Context,
    /,
    artifacts: tuple[str, ...],
    workspace: str | None,
    project: str | None,
    force: bool,
) -> None:
    """Delete versions; `gc` then frees their bytes."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client() as client:
        place = session.place(client)
        # All are looked up before the first is deleted: `model` means another version afterwards.
        found = [client.artifact(**place.slugs(), artifact_ref=each, max_files=1) for each in artifacts]
        for each in found:
            client.delete_artifact(**place.slugs(), artifact_ref=each["artifactId"], force=force)
    deleted = [{"artifactId": each["artifactId"], "name": named(each)} for each in found]
    session.output.result({"deleted": deleted}, lambda: [f"deleted {each['name']}" for each in deleted])


@group.command("gc")
@placed
@click.option("--dry-run", is_flag=True, help="Only say what would go now.")
@click.pass_context
def collect(ctx: click.Context, /, workspace: str | None, project: str | None, dry_run: bool) -> None:
    """Free what nothing needs: expired versions, stale uploads, bytes without a version."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client(timeout_s=VERIFY_S) as client:
        found = client.collect_artifacts(**session.place(client).slugs(), dry_run=dry_run)
    verb = "would free" if dry_run else "freed"
    said = f"{verb} {size(found.get('bytesFreed'))} in {some(found.get('blobsDeleted'), 'file')}"
    versions = some(found.get("versionsExpired"), "version")
    ended = f"expired: {versions}, {some(found.get('uploadsExpired'), 'upload')}"
    session.output.result({"result": found}, lambda: [said] if dry_run else [said, ended])


@group.command("verify")
@click.argument("artifacts", nargs=-1, shell_complete=artifact_names)
@placed
@click.option("--all", "is_all", is_flag=True, help="Every version of the project.")
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    artifacts: tuple[str, ...],
    workspace: str | None,
    project: str | None,
    is_all: bool,
) -> int:
    """Let the server read versions again and compare every sha256; exit 1 when one is damaged."""
    if is_all == bool(artifacts):
        raise CommandError("nothing to verify, or too much", "Name artifacts, or give --all")
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client(timeout_s=VERIFY_S) as client:
        place = session.place(client)
        wanted = _wanted(client, place, artifacts)
        results = [
            {**client.verify_artifact(**place.slugs(), artifact_ref=each["artifactId"]), "name": named(each)}
            for each in tracked(session.output, "verifying", wanted, lambda each: int(each["sizeBytes"]))
        ]
    is_intact = all(each["intact"] for each in results)
    found = {"intact": is_intact, "artifacts": results}
    session.output.result(found, lambda: [line for each in results for line in verdict(each)])
    return 0 if is_intact else 1


def _wanted(client: Client, place: Place, artifacts: Sequence[str]) -> list[Mapping[str, Any]]:
    if artifacts:
        return [client.artifact(**place.slugs(), artifact_ref=each, max_files=1) for each in artifacts]
    return list(client.iter_artifacts(**place.slugs()))


def artifacts_of(place: Place, found: Mapping[str, Any]) -> list[str]:
    """Return a page of versions as a table for a person."""
    rows = [row for row in found.get("artifacts") or [] if isinstance(row, dict)]
    if not rows:
        where = f"{shown(place.workspace)}/{shown(place.project)}"
        return [f"no artifacts in {where}; upload one: rundial artifact put PATH"]
    cells = [
        [
            named(row),
            shown(row.get("type")),
            shown(", ".join(row.get("aliases") or [])),
            size(row.get("sizeBytes")),
            shown(row.get("fileCount")),
            when(row.get("createdAtMs")),
            shown(row.get("runId")),
        ]
        for row in rows
    ]
    header = ["artifact", "type", "aliases", "size", "files", "created", "run"]
    lines = table(header, cells, right=frozenset({3, 4}))
    page = found.get("page")
    if isinstance(page, dict) and page.get("hasMore"):
        lines.append(f"{len(rows)} shown; there are more: raise --limit")
    return lines


def details_of(found: Mapping[str, Any]) -> list[str]:
    """Return one version as lines for a person."""
    lines = facts(
        [
            ("artifact", named(found)),
            ("id", shown(found.get("artifactId"))),
            ("type", shown(found.get("type"))),
            ("aliases", shown(", ".join(found.get("aliases") or []) or None)),
            ("run", shown(found.get("runId"))),
            ("created", when(found.get("createdAtMs"))),
            ("expires", when(found.get("expiresAtMs"))),
            ("digest", shown(found.get("digest"))),
            ("size", f"{size(found.get('sizeBytes'))} in {some(found.get('fileCount'), 'file')}"),
            *((f"  {shown(key)}", shown(value)) for key, value in (found.get("metadata") or {}).items()),
        ]
    )
    files = found.get("files") or []
    if files:
        cells = [[shown(each["path"]), size(each["sizeBytes"]), each["sha256"][:12]] for each in files]
        lines += ["", *table(["file", "size", "sha256"], cells[:MAX_FILES], right=frozenset({1}))]
        if len(files) > MAX_FILES:
            lines.append(f"{len(files) - MAX_FILES:,} more; --json prints all of them")
    references = found.get("references") or []
    if references:
        cells = [[shown(each["path"]), shown(each["uri"])] for each in references]
        lines += ["", *table(["reference", "uri"], cells[:MAX_FILES])]
    return lines + (lineage_of(found["lineage"]) if "lineage" in found else [])


def lineage_of(found: Mapping[str, Any]) -> list[str]:
    """Return a graph as lines, one an edge, in the way of the data."""
    said = {
        node["id"]: f"run {shown(node['id'])}" if node["kind"] == "run" else named(node)
        for node in found.get("nodes") or []
    }
    ways = {"made": "made", "used": "used by"}
    rows = [[said[edge["from"]], ways[edge["kind"]], said[edge["to"]]] for edge in found.get("edges") or []]
    return ["", *table(["from", "", "to"], rows)]


def verdict(result: Mapping[str, Any]) -> list[str]:
    """Return what was found of one version."""
    if result["intact"]:
        return [f"{result['name']}: intact"]
    return [f"{result['name']}: damaged"] + [
        f"  {shown(each['path'])}: {shown(each['reason'])}" for each in result["damaged"]
    ]


def named(row: Mapping[str, Any]) -> str:
    """Return a version as a reference, marked when it is gone."""
    gone = "" if row.get("state") in (None, "finalized") else f" ({shown(row.get('state'))})"
    return f"{shown(row.get('name'))}:v{shown(row.get('version'))}{gone}"
