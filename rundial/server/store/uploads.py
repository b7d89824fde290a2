"""Uploads: announced, arriving, published as a version, or over. The writer's alone where they change.

The version's number is taken last, with an UPDATE of the artifact's row: of two that are published at once
the second waits, so there is neither a gap nor a clash, also between several server processes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, func, insert, select, update

from rundial.server.blobs.local import STAGING
from rundial.server.blobs.store import Staged, part_size
from rundial.server.manifests import LATEST, Manifest
from rundial.server.problems import Problem
from rundial.server.store.artifact_tables import (
    aliases,
    arrivals,
    artifacts,
    blobs,
    doomed,
    files,
    links,
    references,
    uploads,
    versions,
)
from rundial.server.store.holding import hold_artifact, hold_blobs
from rundial.server.store.places import Project
from rundial.server.store.retention import keep_last, remove_content
from rundial.server.store.skipping import insert_missing

AnyRow = Row[Any]
_T = TypeVar("_T")

OPEN: Final = "open"
FINALIZED: Final = "finalized"
ABORTED: Final = "aborted"
EXPIRED: Final = "expired"
_VALUES_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Published:
    """What an upload became.

    Attributes:
        version: Row id.
        is_deduped: The newest version had the same content already, so there is no further one.
    """

    version: int
    is_deduped: bool


def announce(
    connection: Connection,
    project: Project,
    run: AnyRow | None,
    manifest: Manifest,
    client_key: str | None,
    now_ns: int,
) -> str:
    """Note what is to come and return the upload's id; what a client key names is noted once."""
    once = json.dumps([project.id, run.run_id if run else None, client_key]) if client_key else None
    if once is not None:
        known = connection.execute(select(uploads.c.public_id).where(uploads.c.once == once)).scalar()
        if known is not None:
            return str(known)
    version = _add_version(connection, project, run, manifest, now_ns)
    public_id = f"up_{secrets.token_hex(12)}"
    upload = _added(
        connection,
        insert(uploads).values(
            public_id=public_id,
            version=version,
            state=OPEN,
            aliases=json.dumps(manifest.aliases),
            once=once,
            touched_unix_ns=now_ns,
        ),
    )
    known_blobs = _known_blobs(connection, project.id, {each.sha256 for each in manifest.files})
    rows = [
        {
            "version": version,
            "path": each.path,
            "sha256": each.sha256,
            "size_bytes": each.size_bytes,
            "content_type": each.content_type,
            "blob": known_blobs.get((each.sha256, each.size_bytes)),
        }
        for each in manifest.files
    ]
    for some in _batches(rows):
        connection.execute(insert(files), some)
    for some in _batches(
        {
            "version": version,
            "path": each.path,
            "uri": each.uri,
            "size_bytes": each.size_bytes,
            "sha256": each.sha256,
        }
        for each in manifest.references
    ):
        connection.execute(insert(references), some)
    _expect(connection, upload, project.public_id, [row for row in rows if row["blob"] is None])
    return public_id


def _add_version(
    connection: Connection, project: Project, run: AnyRow | None, manifest: Manifest, now_ns: int
) -> int:
    key = {"project_id": project.id, "name": manifest.name}
    insert_missing(connection, artifacts, [{**key, "next_version": 0, "created_unix_ns": now_ns}])
    artifact = connection.execute(
        select(artifacts.c.id).where(*(artifacts.c[column] == value for column, value in key.items()))
    ).scalar_one()
    return _added(
        connection,
        insert(versions).values(
            public_id=f"art_{secrets.token_hex(12)}",
            artifact=artifact,
            state="uploading",
            run=run.id if run else None,
            type=manifest.type,
            kind=manifest.kind,
            step=manifest.step,
            digest=manifest.digest,
            metadata=manifest.metadata,
            policy=manifest.policy.dump(),
            size_bytes=sum(each.size_bytes for each in manifest.files),
            file_count=len(manifest.files),
            created_unix_ns=now_ns,
            expires_unix_ns=None
            if manifest.policy.ttl_s is None
            else now_ns + manifest.policy.ttl_s * 1_000_000_000,
        ),
    )


def _known_blobs(connection: Connection, project: int, wanted: set[str]) -> dict[tuple[str, int], int]:
    return {(row.sha256, row.size_bytes): row.id for row in hold_blobs(connection, project, wanted)}


def _expect(connection: Connection, upload: int, project: str, rows: Iterable[dict[str, Any]]) -> None:
    """Make a place for each content that is to come, once however many files hold it."""
    token = secrets.token_hex(16)
    by_content: dict[str, dict[str, Any]] = {}
    for row in rows:
        first = by_content.setdefault(row["sha256"], row)
        if first["size_bytes"] != row["size_bytes"]:
            raise Problem(400, f"two files have the sha256 {row['sha256']} and different sizes")
    for some in _batches(
        {
            "upload": upload,
            "sha256": sha256,
            "size_bytes": row["size_bytes"],
            "part_bytes": part_size(row["size_bytes"]),
            "path": row["path"],
            "place": f"{STAGING}/{token}/{number}",
            "lasting": f"{project}/{sha256[:2]}/{sha256}-{token[:16]}",
            "handle": "",
            "has_begun": False,
            "is_kept": False,
        }
        for number, (sha256, row) in enumerate(by_content.items(), start=1)
    ):
        connection.execute(insert(arrivals), some)


def need_upload(connection: Connection, project: int, upload_id: str) -> AnyRow:
    """An upload of a project, with its version's columns.

    Raises:
        Problem: 404, there is none.
    """
    row = connection.execute(
        select(
            uploads,
            versions.c.public_id.label("artifact_id"),
            versions.c.artifact,
            versions.c.run,
            versions.c.digest,
            versions.c.policy,
        )
        .join(versions, versions.c.id == uploads.c.version)
        .join(artifacts, artifacts.c.id == versions.c.artifact)
        .where(uploads.c.public_id == upload_id, artifacts.c.project_id == project)
    ).one_or_none()
    if row is None:
        raise Problem(
            404,
            f"there is no upload {upload_id[:80]!r} in this project",
            "POST /api/v1/artifacts/initiate begins one",
        )
    return row


def check_open(upload: AnyRow) -> None:
    """Refuse an upload that is over without having become anything.

    Raises:
        Problem: 410.
    """
    if upload.state in (ABORTED, EXPIRED):
        raise Problem(
            410,
            f"the upload {upload.public_id} is over: it was {upload.state}",
            "begin another with POST /api/v1/artifacts/initiate",
        )


def awaited(
    connection: Connection, upload: int, *, after: int = 0, limit: int | None = None, path: str | None = None
) -> Sequence[AnyRow]:
    """What has not been kept of an upload yet, in order."""
    query = select(arrivals).where(arrivals.c.upload == upload, ~arrivals.c.is_kept, arrivals.c.id > after)
    if path is not None:
        query = query.where(arrivals.c.path == path)
    return connection.execute(query.order_by(arrivals.c.id).limit(limit)).all()


def staged_of(row: AnyRow) -> Staged:
    """A row of `arrivals` as the store sees it."""
    return Staged(row.place, row.size_bytes, row.sha256, row.part_bytes, row.handle, row.lasting)


def note_begun(connection: Connection, upload: int, handles: dict[int, str], now_ns: int) -> None:
    """Note that the store is ready for some of what is to come, and that the upload lives."""
    nameless = [arrival for arrival, handle in handles.items() if not handle]
    for some in _batches(nameless, _VALUES_AT_ONCE):
        connection.execute(update(arrivals).where(arrivals.c.id.in_(some)).values(has_begun=True))
    for arrival, handle in handles.items():
        if handle:
            begun = {"handle": handle, "has_begun": True}
            connection.execute(update(arrivals).where(arrivals.c.id == arrival).values(begun))
    connection.execute(update(uploads).where(uploads.c.id == upload).values(touched_unix_ns=now_ns))


def note_kept(connection: Connection, project: int, rows: Sequence[AnyRow], now_ns: int) -> None:
    """Note blobs that are there, whole and judged."""
    missing = {
        row.sha256: {
            "project_id": project,
            "sha256": row.sha256,
            "size_bytes": row.size_bytes,
            "place": row.lasting,
            "created_unix_ns": now_ns,
        }
        for row in rows
    }
    places = {row.lasting: row for row in rows}
    # Again, where a sweep took the same content away between the two statements.
    while missing:
        insert_missing(connection, blobs, missing.values())
        for held in hold_blobs(connection, project, missing):
            del missing[held.sha256]
            places.pop(held.place, None)
    # Another upload was faster with the same content.
    if places:
        spare = [{"place": place, "size_bytes": row.size_bytes} for place, row in places.items()]
        connection.execute(insert(doomed), spare)
    for some_ids in _batches([row.id for row in rows], _VALUES_AT_ONCE):
        connection.execute(update(arrivals).where(arrivals.c.id.in_(some_ids)).values(is_kept=True))
    # From this commit on the files hold their blobs: a sweep takes what no file points to.
    for upload in {row.upload for row in rows}:
        version = select(uploads.c.version).where(uploads.c.id == upload).scalar_subquery()
        for digests in _batches([row.sha256 for row in rows if row.upload == upload], _VALUES_AT_ONCE):
            waiting = and_(files.c.version == version, files.c.blob.is_(None), files.c.sha256.in_(digests))
            connection.execute(update(files).where(waiting).values(blob=_blob_of(project)))


def note_refused(connection: Connection, rows: Sequence[AnyRow]) -> None:
    """Note that the store has dropped what came for some blobs: they begin anew."""
    for some in _batches([row.id for row in rows], _VALUES_AT_ONCE):
        connection.execute(update(arrivals).where(arrivals.c.id.in_(some)).values(handle="", has_begun=False))


def publish(connection: Connection, project: int, upload: AnyRow, now_ns: int) -> Published:
    """Make an upload's version one that others see; repeating it changes nothing.

    Raises:
        Problem: 409, not all of it is there; 410, it is over.
    """
    # The lock comes first: what is read below is then nobody else's to change.
    hold_artifact(connection, upload.artifact)
    # And that of the upload: who ends it takes no other.
    now = connection.execute(select(uploads).where(uploads.c.id == upload.id).with_for_update()).one()
    if now.state == FINALIZED:
        return Published(now.result, now.result != upload.version)
    check_open(now)
    _link_blobs(connection, project, upload.version)
    newest = connection.execute(
        select(versions.c.id, versions.c.digest)
        .where(versions.c.artifact == upload.artifact, versions.c.state == FINALIZED)
        .order_by(versions.c.version.desc())
        .limit(1)
    ).one_or_none()
    is_deduped = newest is not None and newest.digest == upload.digest
    if newest is not None and is_deduped:
        result = newest.id
        remove_content(connection, upload.version)
        connection.execute(update(versions).where(versions.c.id == upload.version).values(state="duplicate"))
    else:
        result = upload.version
        _number(connection, upload, now_ns)
    move_aliases(connection, upload.artifact, result, [LATEST, *json.loads(upload.aliases)])
    if upload.run is not None:
        note_link(connection, result, upload.run, "made", now_ns)
    connection.execute(
        update(uploads)
        .where(uploads.c.id == upload.id)
        .values(state=FINALIZED, result=result, touched_unix_ns=now_ns)
    )
    keep_last(connection, upload, now_ns)
    return Published(result, is_deduped)


def _number(connection: Connection, upload: AnyRow, now_ns: int) -> None:
    mine = artifacts.c.id == upload.artifact
    number = connection.execute(select(artifacts.c.next_version).where(mine)).scalar_one()
    connection.execute(update(artifacts).where(mine).values(next_version=number + 1))
    connection.execute(
        update(versions)
        .where(versions.c.id == upload.version)
        .values(version=number, state=FINALIZED, finalized_unix_ns=now_ns)
    )


def _blob_of(project: int) -> Any:
    """The blob of a row of `files`, as a subquery."""
    same = (blobs.c.project_id == project, blobs.c.sha256 == files.c.sha256)
    return select(blobs.c.id).where(*same).scalar_subquery()


def _link_blobs(connection: Connection, project: int, version: int) -> None:
    waiting = and_(files.c.version == version, files.c.blob.is_(None))
    digests = connection.execute(select(files.c.sha256).where(waiting).distinct()).scalars().all()
    hold_blobs(connection, project, digests)
    connection.execute(update(files).where(waiting).values(blob=_blob_of(project)))
    missing = connection.execute(select(files.c.path).where(waiting).limit(100)).scalars().all()
    if missing:
        raise not_there([(path, "missing") for path in missing])


def not_there(wanting: Sequence[tuple[str, str]]) -> Problem:
    """Some files are not what was announced, or not there."""
    return Problem(
        409,
        f"{len(wanting)} files are missing or not what was announced; the first is {wanting[0][0][:200]!r}",
        "POST /api/v1/artifacts/upload gives fresh URLs for them; send them and finalize again",
        details={"files": [{"path": path, "reason": reason} for path, reason in wanting]},
    )


def move_aliases(connection: Connection, artifact: int, version: int, names: Sequence[str]) -> None:
    """Let aliases of an artifact mean a version; each means one."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return
    hold_artifact(connection, artifact)
    connection.execute(aliases.delete().where(aliases.c.artifact == artifact, aliases.c.alias.in_(wanted)))
    rows = [{"artifact": artifact, "alias": alias, "version": version} for alias in wanted]
    connection.execute(insert(aliases), rows)


def note_link(connection: Connection, version: int, run: int, kind: str, now_ns: int) -> None:
    """Note that a run made or used a version; the first time counts."""
    insert_missing(connection, links, [{"version": version, "run": run, "kind": kind, "unix_ns": now_ns}])


def end_upload(connection: Connection, upload: AnyRow, state: str) -> None:
    """End an open upload that becomes nothing; `cleared` drops its bytes afterwards."""
    is_mine = and_(uploads.c.id == upload.id, uploads.c.state == OPEN)
    if connection.execute(update(uploads).where(is_mine).values(state=state, once=None)).rowcount:
        remove_content(connection, upload.version)
        connection.execute(update(versions).where(versions.c.id == upload.version).values(state=state))


def left_behind(connection: Connection, upload: int | None = None) -> list[tuple[Staged, bool]]:
    """What the store still holds of uploads that are over, and whether its lasting place is a blob's."""
    query = (
        select(arrivals, blobs.c.id.label("blob"))
        .join(uploads, uploads.c.id == arrivals.c.upload)
        .join(blobs, blobs.c.place == arrivals.c.lasting, isouter=True)
        .where(uploads.c.state != OPEN)
    )
    if upload is not None:
        query = query.where(uploads.c.id == upload)
    return [(staged_of(row), row.blob is not None) for row in connection.execute(query.limit(20_000))]


def forget_arrivals(connection: Connection, places: Sequence[str]) -> None:
    """Note that the store holds nothing more at some staging places."""
    for some in _batches(places, _VALUES_AT_ONCE):
        connection.execute(arrivals.delete().where(arrivals.c.place.in_(some)))


def stale(what: ColumnElement[Any] | Table, project: int | None, before_ns: int) -> Select[Any]:
    """A column, or all, of open uploads that nobody has touched since."""
    query = select(what).where(uploads.c.state == OPEN, uploads.c.touched_unix_ns < before_ns)
    if project is not None:
        query = (
            query.join(versions, versions.c.id == uploads.c.version)
            .join(artifacts, artifacts.c.id == versions.c.artifact)
            .where(artifacts.c.project_id == project)
        )
    return query


def stale_uploads(connection: Connection, project: int | None, before_ns: int) -> Sequence[AnyRow]:
    """Open uploads that nobody has touched since, some at a time."""
    return connection.execute(stale(uploads, project, before_ns).limit(1_000)).all()


def waiting_bytes(connection: Connection, upload: int) -> int:
    """How many bytes of an upload are still to be kept."""
    query = select(func.sum(arrivals.c.size_bytes)).where(arrivals.c.upload == upload, ~arrivals.c.is_kept)
    return int(connection.execute(query).scalar() or 0)


def _added(connection: Connection, statement: Any) -> int:
    key = connection.execute(statement).inserted_primary_key
    assert key is not None
    return int(key[0])


def _batches(values: Iterable[_T], size: int = 1_000) -> Iterator[list[_T]]:
    waiting = iter(values)
    while some := list(islice(waiting, size)):
        yield some
