"""Artifacts as they are found again: by reference, by listing, with their files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, exists, or_, select

from rundial.server.manifests import LATEST
from rundial.server.problems import Problem, invalid
from rundial.server.resources import is_id
from rundial.server.rows import Target
from rundial.server.store.artifact_tables import aliases, artifacts, blobs, files, links, references, versions
from rundial.server.store.history import need_run
from rundial.server.store.intake import claim_run, locked_life
from rundial.server.store.tables import runs

AnyRow = Row[Any]
_VERSION: Final = re.compile(r"v(\d{1,9})")


@dataclass(frozen=True, slots=True)
class ArtifactFilter:
    """Which versions a listing shows; None is any.

    Attributes:
        type: Of exactly this type.
        name: Of exactly this name.
        run: Made by this run, its row id.
        kind: artifact, media or evidence.
    """

    type: str | None
    name: str | None
    run: int | None
    kind: str | None


def run_named(connection: Connection, project: int, run_id: str, now_ns: int) -> AnyRow:
    """The run, made now when nobody has heard of it: artifacts may come before the telemetry.

    Raises:
        Problem: 400, that is no run id; 410, the run was deleted.
    """
    if not is_id(run_id):
        raise invalid(f"runId {run_id[:80]!r} is not 1 to 128 letters, digits, '.', '_' or '-'")
    target = Target(None, "", "", run_id, None, 0, None, "", "", False)
    locked_life(connection, claim_run(connection, project, target, now_ns))
    return need_run(connection, project, run_id)


def _versions(project: int) -> Select[Any]:
    return (
        select(versions, artifacts.c.name, runs.c.run_id)
        .join(artifacts, artifacts.c.id == versions.c.artifact)
        .join(runs, runs.c.id == versions.c.run, isouter=True)
        .where(artifacts.c.project_id == project)
    )


def version_by_row(connection: Connection, project: int, row_id: int) -> AnyRow:
    """A version by its row id."""
    return connection.execute(_versions(project).where(versions.c.id == row_id)).one()


def need_version(connection: Connection, project: int, reference: str) -> AnyRow:
    """The version that a reference means: `name`, `name:alias`, `name:v3`, or an `art_…` id.

    Raises:
        Problem: 404, there is none, or it was deleted.
    """
    found = connection.execute(_versions(project).where(versions.c.public_id == reference)).one_or_none()
    if found is None:
        found = _named(connection, project, reference)
    if found is None or found.state != "finalized":
        what = "was deleted" if found is not None and found.state == "deleted" else "is not here"
        raise Problem(
            404,
            f"the artifact {reference[:200]!r} {what}",
            "a reference is `name`, `name:alias`, `name:v3` or an id; `rundial artifact ls` lists them",
        )
    return found


def _named(connection: Connection, project: int, reference: str) -> AnyRow | None:
    name, _, wanted = reference.partition(":")
    alias = wanted or LATEST
    query = _versions(project).where(artifacts.c.name == name)
    number = _VERSION.fullmatch(alias)
    if number is not None:
        query = query.where(versions.c.version == int(number[1]))
    else:
        meant = and_(aliases.c.version == versions.c.id, aliases.c.alias == alias)
        query = query.join(aliases, meant)
    return connection.execute(query).one_or_none()


def page_of_versions(
    connection: Connection, project: int, wanted: ArtifactFilter, *, after: int | None, limit: int
) -> Sequence[AnyRow]:
    """Finalized versions of a project, the newest first."""
    query = _versions(project).where(versions.c.state == "finalized")
    if wanted.type is not None:
        query = query.where(versions.c.type == wanted.type)
    if wanted.name is not None:
        query = query.where(artifacts.c.name == wanted.name)
    if wanted.kind is not None:
        query = query.where(versions.c.kind == wanted.kind)
    if wanted.run is not None:
        made = exists().where(
            links.c.version == versions.c.id, links.c.run == wanted.run, links.c.kind == "made"
        )
        query = query.where(made)
    if after is not None:
        query = query.where(versions.c.id < after)
    return connection.execute(query.order_by(versions.c.id.desc()).limit(limit)).all()


def aliases_of(connection: Connection, rows: Sequence[int]) -> Mapping[int, list[str]]:
    """Aliases of some versions, in order."""
    found: dict[int, list[str]] = {row: [] for row in rows}
    query = select(aliases).where(aliases.c.version.in_(rows)).order_by(aliases.c.alias)
    for each in connection.execute(query):
        found[each.version].append(each.alias)
    return found


def files_of(
    connection: Connection, version: int, *, after: str | None = None, limit: int | None = None
) -> Sequence[AnyRow]:
    """Files of a version by path, with the places of their blobs."""
    query = select(files, blobs.c.place).join(blobs, blobs.c.id == files.c.blob, isouter=True)
    query = query.where(files.c.version == version)
    if after is not None:
        query = query.where(files.c.path > after)
    return connection.execute(query.order_by(files.c.path).limit(limit)).all()


def need_file(connection: Connection, version: int, path: str) -> AnyRow:
    """One file of a version.

    Raises:
        Problem: 404, it has none of that path.
    """
    query = select(files, blobs.c.place).join(blobs, blobs.c.id == files.c.blob)
    row = connection.execute(query.where(files.c.version == version, files.c.path == path)).one_or_none()
    if row is None:
        raise Problem(404, f"the artifact holds no file {path[:200]!r}", "its details list its files")
    return row


def references_of(connection: Connection, version: int) -> Sequence[AnyRow]:
    """What a version only points to."""
    query = select(references).where(references.c.version == version).order_by(references.c.path)
    return connection.execute(query).all()


def blobs_of(connection: Connection, version: int) -> Sequence[AnyRow]:
    """The distinct blobs of a version, each with one of the paths that hold it."""
    query = (
        select(files.c.path, files.c.size_bytes, files.c.sha256, blobs.c.place)
        .join(blobs, blobs.c.id == files.c.blob)
        .where(files.c.version == version)
        .order_by(files.c.path)
    )
    by_place: dict[str, Any] = {row.place: row for row in connection.execute(query)}
    return list(by_place.values())


def links_around(
    connection: Connection, project: int, *, of_runs: Sequence[int], of_versions: Sequence[int]
) -> Sequence[AnyRow]:
    """Who made and used what, for some runs and some versions."""
    query = (
        select(links)
        .join(versions, versions.c.id == links.c.version)
        .join(artifacts, artifacts.c.id == versions.c.artifact)
        .where(
            artifacts.c.project_id == project,
            or_(links.c.run.in_(of_runs), links.c.version.in_(of_versions)),
        )
        .order_by(links.c.unix_ns, links.c.version, links.c.run, links.c.kind)
    )
    return connection.execute(query).all()
