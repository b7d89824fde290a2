"""Media rows: POST /api/v1/ingest/media of the published client, and the run's media as they are shown."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from sqlalchemy import Connection, Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.answers import Answer
from rundial.server.arguments import of_body, of_query, page
from rundial.server.blobs.store import Download
from rundial.server.keys import ARTIFACTS_WRITE, METRICS_WRITE, PROJECT_READ
from rundial.server.problems import invalid
from rundial.server.resources import is_id
from rundial.server.routes.workspaces import need_project, need_project_by_id
from rundial.server.security import REQUEST_ID
from rundial.server.services import Services, principal_of, services_of
from rundial.server.store.history import need_run
from rundial.server.store.library import run_named
from rundial.server.store.media import (
    MediaFilter,
    Shown,
    blobs_by_content,
    keep_media,
    media_keys,
    page_of_media,
    said_of,
    shown_of,
)

AnyRow = Row[Any]
MAX_ITEMS: Final = 10_000
_MS: Final = 1_000_000
_AT: Final = "/api/v1/workspaces/{workspace}/projects/{project}/runs/{run_id}/media"
# The published client's names, and ours.
_NAMES: Final = {
    "mediaKey": "media_key",
    "mediaType": "media_type",
    "artifactPath": "artifact_path",
    "artifactSha256": "sha256",
    "step": "step",
    "caption": "caption",
    "width": "width",
    "height": "height",
    "tableRows": "rows",
    "tableColumns": "columns",
    "metadata": "metadata",
    "artifactId": "artifact_id",
    "artifactVersion": "artifact_version",
    "contentType": "content_type",
    "sizeBytes": "size_bytes",
}


async def ingest(request: Request) -> Answer:
    """Take rows; one that cannot be kept is named, and the others are stored."""
    principal = principal_of(request, ARTIFACTS_WRITE, METRICS_WRITE)
    services = services_of(request)
    arguments = await of_body(request)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    if not is_id(run_id):
        raise invalid(f"runId {run_id[:80]!r} is not 1 to 128 letters, digits, '.', '_' or '-'")
    now_ns = services.clock.time_unix_ns()
    read = [_row(item, now_ns) for item in arguments.mappings("items", MAX_ITEMS)]
    rows = [each for each in read if isinstance(each, Shown)]
    reasons = list(dict.fromkeys(each for each in read if isinstance(each, str)))

    def change(connection: Connection) -> None:
        project = need_project_by_id(connection, principal, project_id)
        keep_media(connection, run_named(connection, project.id, run_id, now_ns).id, rows)

    await services.write(change, weight=1 + len(rows))
    answer: dict[str, object] = {"accepted": len(rows), "requestId": request.scope[REQUEST_ID]}
    if reasons:
        answer |= {"rejected": len(read) - len(rows), "reasons": reasons[:5]}
    return Answer(answer)


def _row(item: Mapping[str, Any], now_ns: int) -> Shown | str:
    body = {ours: item[theirs] for theirs, ours in _NAMES.items() if item.get(theirs) is not None}
    when = item.get("timestampMs")
    if when is not None:
        if not isinstance(when, int) or isinstance(when, bool):
            return "timestampMs is not a whole number"
        body["time_unix_nano"] = when * _MS
    return shown_of(body, now_ns)


async def listing(request: Request) -> Answer:
    """List a run's media by step, each with a URL once its bytes are here."""
    principal = principal_of(request, PROJECT_READ)
    services = services_of(request)
    arguments = of_query(request)
    wanted = MediaFilter(
        arguments.optional_text("key"),
        arguments.whole("step"),
        arguments.whole("startStep"),
        arguments.whole("endStep"),
        arguments.one_of("order", ("asc", "desc")) == "desc",
    )
    limit, cursor = arguments.limit(100), arguments.cursor(int, int)
    place = request.path_params

    def read(connection: Connection) -> tuple[list[AnyRow], Mapping[str, AnyRow], list[int] | None]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        run = need_run(connection, project.id, place["run_id"])
        after = (cursor[0], cursor[1]) if cursor else None
        found = page_of_media(connection, run.id, wanted=wanted, after=after, limit=limit + 1)
        rows = list(found[:limit])
        last = [rows[-1].step, rows[-1].id] if len(found) > limit else None
        return rows, blobs_by_content(connection, project.id, [row.sha256 for row in rows]), last

    rows, blobs, last = await services.read(read)
    base_url = str(request.base_url).rstrip("/")
    shown = await services.settling.call(
        lambda: [_shown(services, row, blobs.get(row.sha256), base_url) for row in rows]
    )
    return Answer({"media": shown, "page": page(last)})


def _shown(services: Services, row: AnyRow, blob: AnyRow | None, base_url: str) -> dict[str, object]:
    said = said_of(row)
    kind = said.get("content_type") or mimetypes.guess_type(row.path)[0] or "application/octet-stream"
    url = None
    if blob is not None:
        download = Download(blob.place, str(kind), PurePosixPath(row.path).name)
        url = services.blobs.sign_get(download, base_url=base_url, life_s=services.url_life_s).url
    return {
        "mediaKey": row.key,
        "mediaType": row.type,
        "step": row.step,
        "timestampMs": row.time_unix_ns // _MS,
        "path": row.path,
        "sha256": row.sha256,
        "sizeBytes": said.get("size_bytes") if blob is None else blob.size_bytes,
        "contentType": kind,
        "caption": said.get("caption"),
        "width": said.get("width"),
        "height": said.get("height"),
        "rows": said.get("rows"),
        "columns": said.get("columns"),
        "metadata": said.get("metadata") or {},
        "artifactId": said.get("artifact_id"),
        "artifactName": said.get("artifact_name"),
        "state": "pending" if blob is None else "stored",
        "url": url,
    }


async def keys(request: Request) -> Response:
    """List the keys of a run's media."""
    principal = principal_of(request, PROJECT_READ)
    place = request.path_params

    def read(connection: Connection) -> dict[str, object]:
        project = need_project(connection, principal, place["workspace"], place["project"])
        run = need_run(connection, project.id, place["run_id"])
        rows = media_keys(connection, run.id)
        return {
            "keys": [
                {
                    "mediaKey": row.key,
                    "mediaType": row.type,
                    "count": row.count,
                    "firstStep": row.first_step,
                    "lastStep": row.last_step,
                }
                for row in rows
            ]
        }

    return await services_of(request).answer(read)


ROUTES: Final = [
    Route("/api/v1/ingest/media", ingest, methods=["POST"]),
    Route(_AT, listing, methods=["GET"]),
    Route(_AT + "/keys", keys, methods=["GET"]),
]
