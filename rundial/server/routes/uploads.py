"""Uploads of artifacts: announced, sent by signed URLs, finalized or aborted.

The bytes never pass through these routes: they go to the URLs that `initiate` and `upload` answer. The
latter is resume and renewal in one: what is still missing, with fresh URLs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row
from starlette.requests import Request
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import Arguments, of_body, page
from rundial.server.blobs.store import Signed, Staged
from rundial.server.keys import ARTIFACTS_WRITE, Principal
from rundial.server.manifests import Manifest, manifest_of
from rundial.server.problems import Problem, invalid
from rundial.server.resources import is_id
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.services import Services, principal_of, services_of
from rundial.server.store import uploads
from rundial.server.store.library import aliases_of, run_named, version_by_row
from rundial.server.store.places import Project

AnyRow = Row[Any]
MAX_MANIFEST_BYTES: Final = 64 * 2**20
MAX_FILES_AT_ONCE: Final = 10_000


async def initiate(request: Request) -> Answer:
    """Announce an artifact's files; answer where to send those whose bytes are not here."""
    principal = principal_of(request, ARTIFACTS_WRITE)
    services = services_of(request)
    arguments = await of_body(request, max_bytes=MAX_MANIFEST_BYTES)
    manifest = await services.decode(lambda: manifest_of(arguments))
    upload_id = await _announce(services, principal, arguments, manifest)
    project, upload = await _find(services, principal, arguments, upload_id)
    waiting = await services.read(lambda connection: uploads.waiting_bytes(connection, upload.id))
    if waiting:
        await services.settling.call(lambda: services.blobs.check_room(waiting))
    found = await _wanted(request, services, upload, Arguments({}))
    return Answer(
        {
            "artifactId": upload.artifact_id,
            "uploadId": upload.public_id,
            "projectId": project.public_id,
            "deduped": not found["files"],
            **found,
        }
    )


async def _announce(
    services: Services, principal: Principal, arguments: Arguments, manifest: Manifest
) -> str:
    project_id, run_id = arguments.text("projectId"), arguments.optional_text("runId")
    client_key = arguments.optional_text("clientKey")
    if run_id and not is_id(run_id):
        raise invalid(f"runId {run_id[:80]!r} is not 1 to 128 letters, digits, '.', '_' or '-'")
    now_ns = services.clock.time_unix_ns()

    def change(connection: Connection) -> str:
        project = need_project_by_id(connection, principal, project_id)
        run = run_named(connection, project.id, run_id, now_ns) if run_id else None
        return uploads.announce(connection, project, run, manifest, client_key, now_ns)

    return await services.write(change, weight=1 + len(manifest.files))


async def renew(request: Request) -> Answer:
    """Answer what is still missing of an upload, with fresh URLs."""
    principal = principal_of(request, ARTIFACTS_WRITE)
    services = services_of(request)
    arguments = await of_body(request)
    _, upload = await _find(services, principal, arguments, arguments.text("uploadId"))
    uploads.check_open(upload)
    found = await _wanted(request, services, upload, arguments)
    return Answer({"artifactId": upload.artifact_id, "uploadId": upload.public_id, **found})


async def finalize(request: Request) -> Answer:
    """Judge what was sent and make it a version; repeating it answers the same."""
    principal = principal_of(request, ARTIFACTS_WRITE)
    services = services_of(request)
    arguments = await of_body(request, max_bytes=MAX_MANIFEST_BYTES)
    project, upload = await _find(services, principal, arguments, arguments.text("uploadId"))
    uploads.check_open(upload)
    published = await services.settling.finalize(services, project.id, upload)

    def read(connection: Connection) -> dict[str, object]:
        version = version_by_row(connection, project.id, published.version)
        names = aliases_of(connection, [version.id])[version.id]
        return {
            "artifactId": version.public_id,
            "name": version.name,
            "version": version.version,
            "versionName": f"v{version.version}",
            "digest": version.digest,
            "aliases": names,
        }

    return Answer({"artifact": await services.read(read), "deduped": published.is_deduped})


async def abort(request: Request) -> Answer:
    """Give an upload up and drop what came of it; one that is finalized stays."""
    principal = principal_of(request, ARTIFACTS_WRITE)
    services = services_of(request)
    arguments = await of_body(request)
    _, upload = await _find(services, principal, arguments, arguments.text("uploadId"))
    if upload.state == uploads.FINALIZED:
        raise Problem(
            409, "this upload is finalized", "DELETE the artifact instead, if it is not wanted any more"
        )
    await services.write(lambda connection: uploads.end_upload(connection, upload, uploads.ABORTED))
    await services.settling.clear(services, upload.id)
    return Answer({"uploadId": upload.public_id, "state": uploads.ABORTED})


async def _find(
    services: Services, principal: Principal, arguments: Arguments, upload_id: str
) -> tuple[Project, AnyRow]:
    project_id = arguments.text("projectId")
    artifact_id = arguments.optional_text("artifactId")

    def read(connection: Connection) -> tuple[Project, AnyRow]:
        project = need_project_by_id(connection, principal, project_id)
        return project, uploads.need_upload(connection, project.id, upload_id)

    project, upload = await services.read(read)
    if artifact_id and artifact_id != upload.artifact_id:
        raise Problem(404, f"the upload {upload_id[:80]!r} is not one of the artifact {artifact_id[:80]!r}")
    return project, upload


async def _wanted(
    request: Request, services: Services, upload: AnyRow, arguments: Arguments
) -> dict[str, object]:
    """A page of what is to be sent, the store made ready for each."""
    limit = arguments.limit(MAX_FILES_AT_ONCE, greatest=MAX_FILES_AT_ONCE)
    cursor, path = arguments.cursor(int), arguments.optional_text("path")
    after = cursor[0] if cursor else 0
    rows = await services.read(
        lambda connection: uploads.awaited(connection, upload.id, after=after, limit=limit + 1, path=path)
    )
    base_url = str(request.base_url).rstrip("/")
    some = rows[:limit]
    shown, handles = await services.settling.call(lambda: _signed(services, some, base_url))
    now_ns = services.clock.time_unix_ns()
    await services.write(
        lambda connection: uploads.note_begun(connection, upload.id, handles, now_ns), weight=1 + len(handles)
    )
    return {"files": shown, "page": page([some[-1].id] if len(rows) > limit else None)}


def _signed(
    services: Services, rows: Sequence[AnyRow], base_url: str
) -> tuple[list[dict[str, object]], dict[int, str]]:
    shown, handles = [], {}
    for row in rows:
        staged = uploads.staged_of(row)
        if not row.has_begun:
            handle = handles[row.id] = services.blobs.begin(staged)
            staged = Staged(row.place, row.size_bytes, row.sha256, row.part_bytes, handle, row.lasting)
            found = _file(services, staged, row.path, base_url, {})
        else:
            arrived = services.blobs.arrived(staged)
            if arrived is None or (arrived and not row.part_bytes):
                continue  # all of it is there; `finalize` judges it
            found = _file(services, staged, row.path, base_url, {each.number: each for each in arrived})
        shown.append(found)
    return shown, handles


def _file(
    services: Services, staged: Staged, path: str, base_url: str, have: dict[int, Any]
) -> dict[str, object]:
    life_s = services.url_life_s
    if not staged.part_bytes:
        signed = services.blobs.sign_put(staged, base_url=base_url, life_s=life_s)
        return {"path": path, "uploadStrategy": "single", **_url(signed), "parts": []}
    parts = [
        {
            "partNumber": part.number,
            "offsetBytes": part.offset_bytes,
            "sizeBytes": part.size_bytes,
            **_url(services.blobs.sign_part(staged, part, base_url=base_url, life_s=life_s)),
        }
        for part in staged.parts()
        if part.number not in have
    ]
    return {
        "path": path,
        "uploadStrategy": "multipart",
        "url": "",
        "requiredHeaders": {},
        "parts": parts,
        "have": [
            {"partNumber": each.number, "etag": each.etag, "sizeBytes": each.size_bytes}
            for each in have.values()
        ],
    }


def _url(signed: Signed) -> dict[str, object]:
    return {"url": signed.url, "requiredHeaders": signed.headers}


ROUTES: Final = [
    Route("/api/v1/artifacts/initiate", initiate, methods=["POST"]),
    Route("/api/v1/artifacts/upload", renew, methods=["POST"]),
    Route("/api/v1/artifacts/finalize", finalize, methods=["POST"]),
    Route("/api/v1/artifacts/abort", abort, methods=["POST"]),
]
