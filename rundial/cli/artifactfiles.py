"""`rundial artifact put` and `get`: files to the server and back, with a bar on a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from rundial.cli.artifact import named
from rundial.cli.failure import CommandError
from rundial.cli.names import artifact_names, run_ids
from rundial.cli.options import Command, placed
from rundial.cli.output import shown, size
from rundial.cli.progress import counted
from rundial.cli.target import session_of

# Between two answers of the server, not for the whole.
ANSWER_S = 120.0
_SUCH_AS = "Such as --metadata '{\"acc\": 0.9}'"


@click.command("put", cls=Command)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@placed
@click.option(
    "--name", metavar="NAME", help="Its name; the path's last part by default.", shell_complete=artifact_names
)
@click.option("--type", "artifact_type", metavar="TYPE", help="Such as model or dataset.")
@click.option("--alias", "aliases", multiple=True, metavar="ALIAS", help="Further name; repeatable.")
@click.option("--metadata", metavar="JSON", help="What is to be known of it, as a JSON object.")
@click.option("--run", "run_id", metavar="RUN_ID", shell_complete=run_ids, help="The run that made it.")
@click.pass_context
def put(
    ctx: click.Context,
    /,
    path: Path,
    workspace: str | None,
    project: str | None,
    metadata: str | None,
    **what: Any,
) -> None:
    """Upload a file or a directory as a version, and wait for it."""
    known = _object(metadata)
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client(timeout_s=ANSWER_S) as client:
        place = session.place(client)
        project_id = client.resolve_project_id(workspace_slug=place.workspace, project_slug=place.project)
        try:
            with counted(session.output, "uploading") as on_bytes:
                found = client.put_artifact(
                    project_id=project_id, path_or_dir=path, metadata=known, on_bytes=on_bytes, **what
                )
        except ValueError as error:
            raise CommandError(str(error)) from error
    said = f"{named(found)} ({shown(', '.join(found.get('aliases') or []))})"
    session.output.result({"artifact": found}, lambda: [said])


@click.command("get", cls=Command)
@click.argument("artifact", shell_complete=artifact_names)
@placed
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("."),
    show_default=True,
    help="Directory to write to.",
)
@click.option("--run", "run_id", metavar="RUN_ID", shell_complete=run_ids, help="The run that uses it.")
@click.pass_context
def get(
    ctx: click.Context,
    /,
    artifact: str,
    workspace: str | None,
    project: str | None,
    to: Path,
    run_id: str | None,
) -> None:
    """Download a version's files and verify each sha256."""
    session = session_of(ctx, workspace=workspace, project=project)
    with session.client(timeout_s=ANSWER_S) as client:
        place = session.place(client)
        known = client.artifact(
            workspace_slug=place.workspace, project_slug=place.project, artifact_ref=artifact, max_files=1
        )
        handle = client.use_artifact(
            project_id=known["projectId"], run_id=run_id, artifact_ref=known["artifactId"]
        )
        came = 0
        with counted(session.output, "downloading") as on_bytes:

            def tell(count: int) -> None:
                nonlocal came
                came += count
                on_bytes(came, known["sizeBytes"])

            where = handle.download(to, on_bytes=tell)
    said = f"{named(known)}: {known['fileCount']} files, {size(known['sizeBytes'])}, in {where}"
    found = {"artifactId": known["artifactId"], "name": named(known), "directory": str(where)}
    session.output.result({"artifact": found}, lambda: [said])


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CommandError(f"--metadata is no JSON: {error}", _SUCH_AS) from error
    if not isinstance(found, dict):
        raise CommandError("--metadata is no JSON object", _SUCH_AS)
    return found
