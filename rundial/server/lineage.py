"""Who made and used what: a graph over runs and artifact versions of one project, a ring at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from rundial.server.store.artifact_tables import artifacts, versions
from rundial.server.store.library import links_around
from rundial.server.store.tables import runs

MAX_NODES: Final = 2_000


def graph(
    connection: Connection, project: int, of_runs: Sequence[int], of_versions: Sequence[int], *, depth: int
) -> dict[str, object]:
    """Return nodes and edges at most so many edges away from where it starts.

    An edge leads the way of the data: from a run to what it made, from an artifact to the run that used it.
    Deleted versions stay in the graph, marked as such.
    """
    known_runs, known_versions = set(of_runs), set(of_versions)
    new_runs, new_versions = set(known_runs), set(known_versions)
    edges: dict[tuple[int, int, str], Row[Any]] = {}
    is_cut = False
    for _ in range(depth):
        found = _links(connection, project, new_runs, new_versions)
        edges |= {(row.version, row.run, row.kind): row for row in found}
        new_runs = {row.run for row in found} - known_runs
        new_versions = {row.version for row in found} - known_versions
        known_runs |= new_runs
        known_versions |= new_versions
        if not new_runs and not new_versions:
            break
        if len(known_runs) + len(known_versions) >= MAX_NODES:
            is_cut = True
            break
    nodes = {**_run_nodes(connection, known_runs), **_version_nodes(connection, known_versions)}
    return {
        "nodes": list(nodes.values()),
        "edges": [_edge(row, nodes) for row in edges.values()],
        "truncated": is_cut,
    }


def _links(
    connection: Connection, project: int, of_runs: set[int], of_versions: set[int]
) -> Sequence[Row[Any]]:
    return links_around(
        connection, project, of_runs=sorted(of_runs)[:MAX_NODES], of_versions=sorted(of_versions)[:MAX_NODES]
    )


def _run_nodes(connection: Connection, rows: set[int]) -> dict[tuple[str, int], dict[str, object]]:
    query = select(runs.c.id, runs.c.run_id, runs.c.name, runs.c.kind, runs.c.status)
    found = connection.execute(query.where(runs.c.id.in_(sorted(rows))).order_by(runs.c.id))
    return {
        ("run", row.id): {
            "id": row.run_id,
            "kind": "run",
            "name": row.name or row.run_id,
            "runKind": row.kind,
            "status": row.status,
        }
        for row in found
    }


def _version_nodes(connection: Connection, rows: set[int]) -> dict[tuple[str, int], dict[str, object]]:
    query = select(versions, artifacts.c.name).join(artifacts, artifacts.c.id == versions.c.artifact)
    found = connection.execute(query.where(versions.c.id.in_(sorted(rows))).order_by(versions.c.id))
    return {
        ("artifact", row.id): {
            "id": row.public_id,
            "kind": "artifact",
            "name": row.name,
            "type": row.type,
            "version": row.version,
            "versionName": f"v{row.version}",
            "state": row.state,
            "sizeBytes": row.size_bytes,
        }
        for row in found
    }


def _edge(row: Row[Any], nodes: dict[tuple[str, int], dict[str, object]]) -> dict[str, object]:
    run, artifact = nodes["run", row.run]["id"], nodes["artifact", row.version]["id"]
    source, target = (run, artifact) if row.kind == "made" else (artifact, run)
    return {"from": source, "to": target, "kind": row.kind}
