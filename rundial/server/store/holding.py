"""What is read of artifacts and still so at the commit, also where other processes change the same database.

Locks are taken in one order: an artifact's, then an upload's, then those of blobs. On SQLite nothing is to be
done: one process writes at a time.

Threads: the writer's alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from rundial.server.store.artifact_tables import artifacts, blobs
from rundial.server.store.library import need_version

AnyRow = Row[Any]
_VALUES_AT_ONCE: Final = 500


def hold_artifact(connection: Connection, artifact: int) -> None:
    """Keep other processes from changing its versions and aliases until this transaction's commit."""
    connection.execute(select(artifacts.c.id).where(artifacts.c.id == artifact).with_for_update())


def hold_version(connection: Connection, project: int, reference: str) -> AnyRow:
    """The version that a reference means, and goes on to mean until this transaction's commit.

    Raises:
        Problem: 404, there is none, or it was deleted.
    """
    hold_artifact(connection, need_version(connection, project, reference).artifact)
    # Read again: whoever held it before may have deleted the version, or moved the alias.
    return need_version(connection, project, reference)


def hold_blobs(connection: Connection, project: int, digests: Iterable[str]) -> list[AnyRow]:
    """Blobs of some contents, as far as they are there; no sweep takes them before this transaction ends."""
    found: list[AnyRow] = []
    ordered = sorted(set(digests))
    for start in range(0, len(ordered), _VALUES_AT_ONCE):
        some = ordered[start : start + _VALUES_AT_ONCE]
        query = select(blobs).where(blobs.c.project_id == project, blobs.c.sha256.in_(some))
        # The lock that a file's foreign key takes, and a sweep does not get beside it.
        held = query.order_by(blobs.c.id).with_for_update(read=True, key_share=True)
        found += connection.execute(held).all()
    return found
