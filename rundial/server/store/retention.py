"""What goes, and when: versions beyond their policy, uploads that nobody continues, blobs without a file.

A blob goes in two steps. The change that finds it unreferenced moves it to `doomed`; after the commit the
store drops it, and then the row goes too. Killed in between, the next sweep goes on. A new upload of the same
content gets a place of its own meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, exists, func, insert, select, update

from rundial.server.manifests import LATEST, Policy
from rundial.server.store.artifact_tables import (
    aliases,
    artifacts,
    blobs,
    doomed,
    files,
    references,
    versions,
)
from rundial.server.store.holding import hold_artifact

AnyRow = Row[Any]
_AT_ONCE: Final = 500


def keep_last(connection: Connection, upload: AnyRow, now_ns: int) -> int:
    """Apply the policy of what was just published to its run's earlier versions of the name.

    Versions with an alias of the user's own stay, and so do those that were logged without such a policy.

    Returns:
        How many versions went.
    """
    policy = Policy.load(upload.policy)
    if policy.keep_last is None or upload.run is None:
        return 0
    older = connection.execute(
        select(versions.c.id, versions.c.policy)
        .where(
            versions.c.artifact == upload.artifact,
            versions.c.run == upload.run,
            versions.c.state == "finalized",
        )
        .order_by(versions.c.version.desc())
        .offset(policy.keep_last)
    ).all()
    going = [row.id for row in older if Policy.load(row.policy).keep_last is not None]
    going = [version for version in going if not own_aliases(connection, version)]
    for version in going:
        delete_version(connection, version)
    return len(going)


def expired(project: int | None, now_ns: int) -> Select[Any]:
    """The row ids of versions whose time to live is over, unless an alias of the user's own holds them."""
    query = (
        select(versions.c.id)
        .join(artifacts, artifacts.c.id == versions.c.artifact)
        .where(versions.c.state == "finalized", versions.c.expires_unix_ns <= now_ns)
    )
    if project is not None:
        query = query.where(artifacts.c.project_id == project)
    return query.where(~exists().where(aliases.c.version == versions.c.id, aliases.c.alias != LATEST))


def expire_versions(connection: Connection, project: int | None, now_ns: int) -> int:
    """Delete some versions whose time to live is over; return how many."""
    gone = 0
    found = connection.execute(expired(project, now_ns).limit(_AT_ONCE)).scalars().all()
    owners = select(versions.c.id, versions.c.artifact).where(versions.c.id.in_(found))
    # In the order of the artifacts: two servers that sweep at once never wait for each other in a ring.
    for row in connection.execute(owners.order_by(versions.c.artifact, versions.c.id)).all():
        hold_artifact(connection, row.artifact)
        # Somebody may have given it an alias, or deleted it, in the meantime.
        if connection.execute(expired(project, now_ns).where(versions.c.id == row.id)).first() is not None:
            delete_version(connection, row.id)
            gone += 1
    return gone


def own_aliases(connection: Connection, version: int) -> list[str]:
    """Aliases of a version that a user gave it."""
    query = select(aliases.c.alias).where(aliases.c.version == version, aliases.c.alias != LATEST)
    return list(connection.execute(query.order_by(aliases.c.alias)).scalars())


def delete_version(connection: Connection, version: int) -> None:
    """Delete a version: its number is not used again, and who made and used it stays known.

    The caller holds its artifact.
    """
    artifact = connection.execute(select(versions.c.artifact).where(versions.c.id == version)).scalar_one()
    connection.execute(update(versions).where(versions.c.id == version).values(state="deleted"))
    remove_content(connection, version)
    was_latest = connection.execute(
        select(aliases.c.version).where(aliases.c.version == version, aliases.c.alias == LATEST)
    ).first()
    connection.execute(delete(aliases).where(aliases.c.version == version))
    if was_latest is None:
        return
    newest = connection.execute(
        select(versions.c.id)
        .where(versions.c.artifact == artifact, versions.c.state == "finalized")
        .order_by(versions.c.version.desc())
        .limit(1)
    ).scalar()
    if newest is not None:
        connection.execute(insert(aliases).values(artifact=artifact, alias=LATEST, version=newest))


def remove_content(connection: Connection, version: int) -> None:
    """Let go of what a version holds."""
    connection.execute(delete(files).where(files.c.version == version))
    connection.execute(delete(references).where(references.c.version == version))


def _unreferenced(project: int | None) -> Select[Any]:
    """Blobs that no file of any version points to, some at a time."""
    query = select(blobs).where(~exists().where(files.c.blob == blobs.c.id))
    if project is not None:
        query = query.where(blobs.c.project_id == project)
    return query.order_by(blobs.c.id).limit(_AT_ONCE)


def would_doom(connection: Connection, project: int | None, going: Sequence[Select[Any]]) -> tuple[int, int]:
    """How many blobs nothing would point to, and their bytes, once some versions have gone."""
    stays = [files.c.version.not_in(each) for each in going]
    query = select(func.count(), func.coalesce(func.sum(blobs.c.size_bytes), 0))
    query = query.where(~exists().where(files.c.blob == blobs.c.id, *stays))
    if project is not None:
        query = query.where(blobs.c.project_id == project)
    count, size_bytes = connection.execute(query).one()
    return count, int(size_bytes)


def doom(connection: Connection, project: int | None) -> Sequence[AnyRow]:
    """Take some unreferenced blobs out of use and return them."""
    # Those that somebody is about to refer to are left alone, and nobody gets to those that are held here.
    held = [row.id for row in connection.execute(_unreferenced(project).with_for_update(skip_locked=True))]
    rows = connection.execute(_unreferenced(project).where(blobs.c.id.in_(held))).all() if held else []
    if rows:
        going = [{"place": row.place, "size_bytes": row.size_bytes} for row in rows]
        connection.execute(insert(doomed), going)
        connection.execute(delete(blobs).where(blobs.c.id.in_([row.id for row in rows])))
    return rows


def doomed_blobs(connection: Connection) -> Sequence[AnyRow]:
    """What the store is still to drop, some at a time."""
    return connection.execute(select(doomed).order_by(doomed.c.id).limit(_AT_ONCE)).all()


def note_dropped(connection: Connection, ids: Sequence[int]) -> None:
    """Note that the store has dropped some."""
    connection.execute(delete(doomed).where(doomed.c.id.in_(ids)))
