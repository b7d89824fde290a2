"""Rows of media: which picture or table a run showed under which key at which step.

A row names its bytes by sha256; they come by an artifact of the same project, before the row or after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select, tuple_

from rundial.server.anyvalue import canonical, digest
from rundial.server.rows import EventRow
from rundial.server.store.artifact_tables import artifacts, blobs, links, media, versions
from rundial.server.store.skipping import insert_missing
from rundial.signals import semconv

AnyRow = Row[Any]
MAX_KEY: Final = 1_024
_MAX_INT64: Final = 2**63 - 1
# Beside what has a column: kept as it was said.
_SAID: Final = (
    "caption",
    "width",
    "height",
    "rows",
    "columns",
    "size_bytes",
    "content_type",
    "artifact_name",
    "artifact_id",
    "artifact_version",
    "metadata",
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One row.

    Attributes:
        key: The user's key, as in `run.log`.
        type: image, table, histogram, figure, …
        step: ≥ 0.
        time_unix_ns: When it was logged.
        path: The file within its artifact.
        sha256: Of that file.
        said: Caption, size and the like.
    """

    key: str
    type: str
    step: int
    time_unix_ns: int
    path: str
    sha256: str
    said: Mapping[str, object]


def shown_of(body: Mapping[str, Any], time_unix_ns: int) -> Shown | str:
    """Read a row from the body of a `rundial.media` event; a text says why there is none."""
    texts = {name: body.get(name) for name in ("media_key", "media_type", "artifact_path", "sha256")}
    for name, value in texts.items():
        if not isinstance(value, str) or not 0 < len(value) <= MAX_KEY:
            return f"{name} is not a text of 1 to {MAX_KEY} characters"
    step, when = body.get("step", 0), body.get("time_unix_nano", time_unix_ns)
    for name, number in (("step", step), ("time_unix_nano", when)):
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MAX_INT64:
            return f"{name} is not a whole number from 0 to 2^63 - 1"
    return Shown(
        key=str(texts["media_key"]),
        type=str(texts["media_type"]),
        step=step,
        time_unix_ns=when,
        path=str(texts["artifact_path"]),
        sha256=str(texts["sha256"]).lower(),
        said={name: body[name] for name in _SAID if body.get(name) is not None},
    )


def keep_media(connection: Connection, run: int, rows: Iterable[Shown]) -> None:
    """Store rows; those that are there already change nothing."""
    insert_missing(
        connection,
        media,
        (
            {
                "run": run,
                "key": row.key,
                "step": row.step,
                "time_unix_ns": row.time_unix_ns,
                "type": row.type,
                "path": row.path,
                "sha256": row.sha256,
                "body": canonical(row.said),
                "identity": digest(
                    row.key, row.type, str(row.step), str(row.time_unix_ns), row.path, row.sha256
                ),
            }
            for row in rows
        ),
    )


def heed(connection: Connection, project: int, run: int, happened: Iterable[EventRow]) -> None:
    """Keep what a run's events say about media, and about the artifacts that it used."""
    rows, used = [], []
    for event in happened:
        if event.name == semconv.EVENT_MEDIA:
            row = shown_of(event.body, event.time_unix_ns)
            if isinstance(row, Shown):
                rows.append(row)
        elif event.name == semconv.EVENT_ARTIFACT_USED:
            used.append((str(event.body.get("artifact_id")), event.time_unix_ns))
    if rows:
        keep_media(connection, run, rows)
    for public_id, unix_ns in used:
        query = select(versions.c.id).join(artifacts, artifacts.c.id == versions.c.artifact)
        found = connection.execute(
            query.where(versions.c.public_id == public_id, artifacts.c.project_id == project)
        ).scalar()
        if found is not None:
            link = {"version": found, "run": run, "kind": "used", "unix_ns": unix_ns}
            insert_missing(connection, links, [link])


@dataclass(frozen=True, slots=True)
class MediaFilter:
    """Which of a run's rows are wanted.

    Attributes:
        key: Of this key alone; None is all.
        step: Of this step alone.
        start_step: From this step on.
        end_step: Up to this step.
        is_newest_first: Whether the greatest step comes first.
    """

    key: str | None = None
    step: int | None = None
    start_step: int | None = None
    end_step: int | None = None
    is_newest_first: bool = False


def page_of_media(
    connection: Connection,
    run: int,
    *,
    wanted: MediaFilter,
    after: tuple[int, int] | None,
    limit: int,
) -> Sequence[AnyRow]:
    """Rows of a run by step and then in the order of their arrival, or the other way round."""
    query = select(media).where(media.c.run == run)
    if wanted.key is not None:
        query = query.where(media.c.key == wanted.key)
    if wanted.step is not None:
        query = query.where(media.c.step == wanted.step)
    if wanted.start_step is not None:
        query = query.where(media.c.step >= wanted.start_step)
    if wanted.end_step is not None:
        query = query.where(media.c.step <= wanted.end_step)
    place = tuple_(media.c.step, media.c.id)
    if after is not None:
        query = query.where(place < after if wanted.is_newest_first else place > after)
    if wanted.is_newest_first:
        query = query.order_by(media.c.step.desc(), media.c.id.desc())
    else:
        query = query.order_by(media.c.step, media.c.id)
    return connection.execute(query.limit(limit)).all()


def media_keys(connection: Connection, run: int) -> Sequence[AnyRow]:
    """The keys of a run with their types, counts and last steps."""
    query = select(
        media.c.key,
        media.c.type,
        func.count().label("count"),
        func.min(media.c.step).label("first_step"),
        func.max(media.c.step).label("last_step"),
    )
    grouped = query.where(media.c.run == run).group_by(media.c.key, media.c.type)
    return connection.execute(grouped.order_by(media.c.key, media.c.type).limit(10_000)).all()


def blobs_by_content(connection: Connection, project: int, wanted: Sequence[str]) -> Mapping[str, AnyRow]:
    """Blobs of a project by sha256."""
    query = select(blobs).where(blobs.c.project_id == project, blobs.c.sha256.in_(wanted))
    return {row.sha256: row for row in connection.execute(query)}


def said_of(row: AnyRow) -> dict[str, Any]:
    """What a row says beside its columns."""
    found = json.loads(row.body)
    assert isinstance(found, dict)
    return found
