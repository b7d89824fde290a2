"""Artifacts as they are found and used again: use, download, listing, details, aliases, deletion, lineage.

`{artifact}` in a path is an id or another reference. A reference whose name has a slash is no part of a path:
the listing's `ref` turns any reference into its version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from sqlalchemy import Connection, Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import of_body, of_query, page
from rundial.server.blobs.store import Download
from rundial.server.keys import ARTIFACTS_WRITE, PROJECT_READ
from rundial.server.lineage import graph
from rundial.server.manifests import KINDS, LATEST, checked_aliases
from rundial.server.problems import Problem, invalid
from rundial.server.routes.workspaces import need_project, need_project_by_id
from rundial.server.services import Services, principal_of, services_of
from rundial.server.store.artifact_tables import aliases
from rundial.server.store.audit import Deed, record
from rundial.server.store.history import need_run
from rundial.server.store.holding import hold_version
from rundial.server.store.library import (
    ArtifactFilter,
    aliases_of,
    blobs_of,
    files_of,
    need_file,
    need_version,
    page_of_versions,
    references_of,
    run_named,
)
from rundial.server.store.retention import delete_version, own_aliases
from rundial.server.store.uploads import move_aliases, note_link

AnyRow = Row[Any]
_MS: Final = 1_000_000
_MAX_FILES: Final = 10_000
_MAX_DEPTH: Final = 10
_AT: Final = "/api/v1/workspaces/{workspace}/projects/{project}/artifacts"


async def use(request: Request) -> Answer:
    """Resolve a reference, and note that a run uses what it means."""
    principal = principal_of(request, PROJECT_READ, ARTIFACTS_WRITE)
    services = services_of(request)
    arguments = await of_body(request)
    project_id, run_id = arguments.text("projectId"), arguments.optional_text("runId")
    reference = arguments.text("artifactRef")
    now_ns = services.clock.time_unix_ns()

    def find(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        version = need_version(connection, project.id, reference)
        names = aliases_of(connection, [version.id])[version.id]
        found = files_of(connection, version.id)
        return {
            **_brief(version, names),
            "metadata": json.loads(version.metadata),
            "files": [_file(row) for row in found],
            "references": [_reference(row) for row in references_of(connection, version.id)],
        }

    def note(connection: Connection) -> dict[str, object]:
        project = need_project_by_id(connection, principal, project_id)
        if not writer.sees(project.workspace.id, project.id):
            return find(connection)
        version = hold_version(connection, project.id, reference)
        run = run_named(connection, project.id, run_id or "", now_ns)
        note_link(connection, version.id, run.id, "used", now_ns)
        return find(connection)

    # Who may only read is told what it asks for; what it does with it is then nobody's record.
    writer = principal.within(ARTIFACTS_WRITE)
    is_noted = run_id and principal.may(ARTIFACTS_WRITE)
    return Answer({"artifact": await (services.write(note) if is_noted else services.read(find))})


async def download(request: Request) -> Answer:
    """Answer a URL for one file."""
    principal = principal_of(request, PROJECT_READ, ARTIFACTS_WRITE)
    services = services_of(request)
    arguments = await of_body(request)
    project_id, reference = arguments.text("projectId"), arguments.text("artifactId")
    path = arguments.text("path")

    def find(connection: Connection) -> AnyRow:
        project = need_project_by_id(connection, principal, project_id)
        return need_file(connection, need_version(connection, project.id, reference).id, path)

    row = await services.read(find)
    return Answer(await services.settling.call(lambda: handed_out(request, services, row)))


def handed_out(request: Request, services: Services, row: AnyRow) -> dict[str, object]:
    """A URL for a file's blob, as JSON."""
    wanted = Download(row.place, row.content_type, PurePosixPath(row.path).name)
    base_url = str(request.base_url).rstrip("/")
    signed = services.blobs.sign_get(wanted, base_url=base_url, life_s=services.url_life_s)
    return {
        "url": signed.url,
        "expiresAtMs": services.clock.time_unix_ns() // _MS + services.url_life_s * 1_000,
        "sizeBytes": row.size_bytes,
        "sha256": row.sha256,
    }


async def listing(request: Request) -> Response:
    """List a project's versions, the newest first."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, cursor = arguments.limit(50), arguments.cursor(int)
    place, run_id = request.path_params, arguments.optional_text("runId")
    reference = arguments.optional_text("ref")
    kind = arguments.optional_text("kind")
    if kind is not None and kind not in KINDS:
        raise invalid(f"kind is {kind[:80]!r}; it must be one of {', '.join(KINDS)}")

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        if reference:
            version = need_version(connection, project.id, reference)
            names = aliases_of(connection, [version.id])
            return {"artifacts": [_brief(version, names[version.id])], "page": page(None)}
        wanted = ArtifactFilter(
            type=arguments.optional_text("type"),
            name=arguments.optional_text("name"),
            run=need_run(connection, project.id, run_id).id if run_id else None,
            kind=kind,
        )
        after = cursor[0] if cursor else None
        rows = page_of_versions(connection, project.id, wanted, after=after, limit=limit + 1)
        names = aliases_of(connection, [row.id for row in rows])
        last = [rows[limit - 1].id] if len(rows) > limit else None
        return {"artifacts": [_brief(row, names[row.id]) for row in rows[:limit]], "page": page(last)}

    return await services_of(request).answer(read)


async def details(request: Request) -> Response:
    """Show one version with a page of its files."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    limit, cursor = arguments.limit(1_000, greatest=_MAX_FILES), arguments.cursor(str)
    place = request.path_params

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        version = need_version(connection, project.id, place["artifact"])
        rows = files_of(connection, version.id, after=cursor[0] if cursor else None, limit=limit + 1)
        names = aliases_of(connection, [version.id])[version.id]
        return {
            **_brief(version, names),
            "projectId": project.public_id,
            "metadata": json.loads(version.metadata),
            "retentionPolicy": json.loads(version.policy),
            "expiresAtMs": None if version.expires_unix_ns is None else version.expires_unix_ns // _MS,
            "files": [_file(row) for row in rows[:limit]],
            "references": [_reference(row) for row in references_of(connection, version.id)],
            "page": page([rows[limit - 1].path] if len(rows) > limit else None),
        }

    return await services_of(request).answer(read)


async def rename(request: Request) -> Answer:
    """Add aliases to a version, taking them from others, and remove some of its own."""
    principal = principal_of(request, ARTIFACTS_WRITE)
    arguments = await of_body(request)
    add, remove = checked_aliases(arguments.texts("add")), arguments.texts("remove")
    if LATEST in remove:
        raise invalid("`latest` cannot be removed", "it always means the newest version")
    place, now_ns = request.path_params, services_of(request).clock.time_unix_ns()

    def change(connection: Connection) -> list[str]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        version = hold_version(connection, project.id, place["artifact"])
        # Removing first: an alias that is in both lists stays.
        drop_aliases(connection, version, remove)
        move_aliases(connection, version.artifact, version.id, add)
        deed = Deed(
            "artifact.alias",
            "artifact",
            version.public_id,
            details={"add": list(add), "remove": list(remove)},
        )
        record(connection, project.workspace.id, principal.doer, deed, now_unix_ns=now_ns)
        return list(aliases_of(connection, [version.id])[version.id])

    names = await services_of(request).write(change)
    return Answer({"artifactId": place["artifact"], "aliases": names})


async def delete(request: Request) -> Answer:
    """Delete a version; one that a user's alias means only with `force=true`."""
    principal = principal_of(request, ARTIFACTS_WRITE)
    services = services_of(request)
    is_forced = request.query_params.get("force", "") == "true"
    place, now_ns = request.path_params, services.clock.time_unix_ns()

    def change(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        version = hold_version(connection, project.id, place["artifact"])
        held = own_aliases(connection, version.id)
        if held and not is_forced:
            raise Problem(
                409,
                f"{version.name}:v{version.version} is held by the alias {held[0]!r}",
                "remove its aliases first, or delete it with force=true",
            )
        delete_version(connection, version.id)
        details = {"name": version.name, "version": version.version, "forced": is_forced}
        deed = Deed("artifact.delete", "artifact", version.public_id, details=details)
        record(connection, project.workspace.id, principal.doer, deed, now_unix_ns=now_ns)
        return {"artifactId": version.public_id, "name": version.name, "version": version.version}

    deleted = await services.write(change)
    return Answer({"deleted": deleted})


async def gc(request: Request) -> Answer:
    """Drop what nothing needs any more in a project: expired versions, blobs without a file."""
    principal = principal_of(request, ARTIFACTS_WRITE)
    services = services_of(request)
    arguments = await of_body(request)
    is_dry = arguments.flag("dryRun")
    place = request.path_params
    project = await services.read(
        lambda connection: need_project(connection, principal, place["workspace"], place["project"])
    )
    swept = await services.sweeper.sweep(services, project.id, is_dry=is_dry)
    return Answer({"dryRun": is_dry, **swept.shown()})


async def verify(request: Request) -> Answer:
    """Read every blob of a version at the server and compare its size and sha256."""
    principal = principal_of(request, PROJECT_READ)
    services = services_of(request)
    place = request.path_params

    def read(connection: Connection) -> tuple[AnyRow, Sequence[AnyRow]]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        version = need_version(connection, project.id, place["artifact"])
        return version, blobs_of(connection, version.id)

    version, rows = await services.read(read)
    damaged = []
    for row in rows:
        found = await services.settling.reread(row.place)
        if found != (row.size_bytes, row.sha256):
            reason = "missing" if found is None else "size" if found[0] != row.size_bytes else "sha256"
            damaged.append({"path": row.path, "reason": reason})
    checked = {"blobs": len(rows), "sizeBytes": sum(row.size_bytes for row in rows)}
    return Answer(
        {"artifactId": version.public_id, "intact": not damaged, "checked": checked, "damaged": damaged}
    )


async def lineage(request: Request) -> Response:
    """Show which runs made and used what, around a run or an artifact."""
    principal = principal_of(request, PROJECT_READ)
    arguments = of_query(request)
    run_id, reference = arguments.optional_text("runId"), arguments.optional_text("artifactId")
    depth = arguments.whole("depth")
    depth = 3 if depth is None else depth
    if not 1 <= depth <= _MAX_DEPTH:
        raise invalid(f"depth is {depth}; it must be 1 to {_MAX_DEPTH}")
    if (run_id is None) == (reference is None):
        raise invalid("name what to look around", "send runId or artifactId, and not both")
    place = request.path_params

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        runs = [need_run(connection, project.id, run_id).id] if run_id else []
        versions = [need_version(connection, project.id, reference).id] if reference else []
        return graph(connection, project.id, runs, versions, depth=depth)

    return await services_of(request).answer(read)


def drop_aliases(connection: Connection, version: AnyRow, names: Sequence[str]) -> None:
    """Remove aliases that mean a version; those that mean another one stay."""
    mine = (aliases.c.version == version.id) & aliases.c.alias.in_(names)
    connection.execute(aliases.delete().where(mine))


def _brief(row: AnyRow, names: Sequence[str]) -> dict[str, object]:
    return {
        "artifactId": row.public_id,
        "name": row.name,
        "type": row.type,
        "kind": row.kind,
        "version": row.version,
        "versionName": f"v{row.version}",
        "aliases": list(names),
        "pinned": any(name != LATEST for name in names),
        "sizeBytes": row.size_bytes,
        "fileCount": row.file_count,
        "digest": row.digest,
        "step": row.step,
        "createdAtMs": (row.finalized_unix_ns or row.created_unix_ns) // _MS,
        "runId": row.run_id,
        "state": row.state,
    }


def _file(row: AnyRow) -> dict[str, object]:
    return {
        "path": row.path,
        "sizeBytes": row.size_bytes,
        "sha256": row.sha256,
        "contentType": row.content_type or None,
    }


def _reference(row: AnyRow) -> dict[str, object]:
    return {"path": row.path, "uri": row.uri, "sizeBytes": row.size_bytes, "sha256": row.sha256}


ROUTES: Final = [
    Route("/api/v1/artifacts/use", use, methods=["POST"]),
    Route("/api/v1/artifacts/download", download, methods=["POST"]),
    Route(_AT, listing, methods=["GET"]),
    Route(_AT + "/gc", gc, methods=["POST"]),
    Route(_AT + "/{artifact}/aliases", rename, methods=["POST"]),
    Route(_AT + "/{artifact}/verify", verify, methods=["POST"]),
    Route(_AT + "/{artifact}", details, methods=["GET"]),
    Route(_AT + "/{artifact}", delete, methods=["DELETE"]),
    Route(_AT.removesuffix("/artifacts") + "/lineage", lineage, methods=["GET"]),
]
