"""Runs in people's hands: renamed, tagged, archived, deleted, and kept for as long as a project says."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from sqlalchemy import func, select

from rundial.server import keys
from rundial.server.store import removal
from rundial.server.store.artifact_tables import links, versions
from rundial.server.store.removal import remove_some
from rundial.server.store.tables import (
    events,
    instances,
    lines,
    metadata,
    points,
    removals,
    runs,
    series,
    spans,
)
from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.server import LocalServer, Reply, fresh_id
from tests.support.waiting import wait_until

_DAY_S = 86_400.0
_PROJECT = "/api/v1/workspaces/default-workspace/projects/digits"
_STREAMS = (points, lines, spans, events, series, instances)


def record(local: LocalServer, run: str, *, steps: int = 20) -> None:
    """Send some of everything."""
    resource = otlp.resource(run)
    kept = [otlp.gauge(name, [otlp.point(step, float(step)) for step in range(steps)]) for name in "ab"]
    assert local.export("metrics", otlp.metrics((resource, kept))).status == 200
    told = [otlp.line(seq, f"line {seq}") for seq in range(1, 6)]
    told.append(otlp.event(9, "rundial.run.start", {"name": "as it said", "tags": ["own"]}))
    assert local.export("logs", otlp.logs(resource, told)).status == 200
    assert local.export("traces", otlp.spans(resource, [otlp.span(1, "step")])).status == 200


def path(run: str, more: str = "") -> str:
    """A run's path."""
    return f"{_PROJECT}/runs/{run}{more}"


def patch(local: LocalServer, where: str, body: str) -> Reply:
    """PATCH a JSON text."""
    return local.send("PATCH", where, body.encode(), headers={"content-type": "application/json"})


def listed(local: LocalServer, query: str = "") -> set[str]:
    """Ids of the runs that the run table shows."""
    found: Any = local.get(f"{_PROJECT}/runs/query{query}").json["runs"]
    return {each["runId"] for each in found}


def rows(local: LocalServer) -> dict[str, int]:
    """How many rows each stream has, of all runs together."""
    with local.services.engines.reading.begin() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (*_STREAMS, removals)
        }


def test_a_run_is_renamed_tagged_and_noted_and_a_resend_of_its_start_changes_nothing(
    local: LocalServer, clock: ManualClock
) -> None:
    """What a person wrote stands over what the run said before."""
    run = fresh_id()
    record(local, run)
    clock.advance(3_600)

    done = patch(
        local, path(run), '{"runName": "best so far", "tags": ["keep", "keep", "paper"], "notes": "ü"}'
    )
    record(local, run)

    shown = local.details(run)
    assert (done.status, done.json) == (200, {"runId": run, "updated": True})
    assert (shown["runName"], shown["tags"], shown["notes"]) == ("best so far", ["keep", "paper"], "ü")


def test_an_edit_leaves_what_it_does_not_name(local: LocalServer, clock: ManualClock) -> None:
    """Notes can be written without a name, and tags taken away."""
    run = fresh_id()
    record(local, run)
    clock.advance(3_600)

    patch(local, path(run), '{"notes": "one"}')
    patch(local, path(run), '{"tags": []}')

    shown = local.details(run)
    assert (shown["runName"], shown["tags"], shown["notes"]) == ("as it said", [], "one")


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"runName": ""}',
        f'{{"runName": "{"x" * 257}"}}',
        '{"tags": [""]}',
        '{"tags": "one"}',
        f'{{"notes": "{"x" * 65_537}"}}',
    ],
)
def test_an_edit_out_of_bounds_is_refused(local: LocalServer, body: str) -> None:
    """Nothing of a refused edit is kept."""
    run = fresh_id()
    record(local, run)

    assert patch(local, path(run), body).status == 400

    assert local.details(run)["runName"] == "as it said"


def test_an_archived_run_is_out_of_the_table_until_it_is_restored(local: LocalServer) -> None:
    """Archiving hides and removes nothing; doing it twice is doing it once."""
    run, other = fresh_id(), fresh_id()
    record(local, run)
    record(local, other)

    archived = [local.post(path(run, "/archive"), {}).json for _ in range(2)]
    hidden, shown, details = listed(local), listed(local, "?archived=true"), local.details(run)
    restored = local.post(path(run, "/restore"), {}).json

    assert archived == [{"runId": run, "archived": True}] * 2
    assert (hidden, shown, details["archived"]) == ({other}, {run}, True)
    assert details["counts"] == {"points": 40, "lines": 5, "spans": 1}
    assert (restored["archived"], listed(local)) == (False, {run, other})


def test_a_deleted_run_is_gone_with_all_its_rows_and_no_other_runs(local: LocalServer) -> None:
    """Nothing of it can be read, and nothing of it is kept."""
    run, other = fresh_id(), fresh_id()
    record(local, other)
    before = rows(local)
    record(local, run)

    deleted = local.send("DELETE", path(run))

    assert (deleted.status, deleted.json) == (200, {"runId": run, "deleted": True})
    assert local.get(path(run)).status == 404
    assert listed(local) == {other}
    wait_until(lambda: rows(local) == before, 15)
    assert local.details(other)["counts"] == {"points": 40, "lines": 5, "spans": 1}


def test_records_and_starts_of_a_deleted_run_are_refused_by_name(local: LocalServer) -> None:
    """A process that still runs does not bring the run back, and is told why its records are not kept."""
    run = fresh_id()
    record(local, run)
    local.send("DELETE", path(run))

    sent = local.export(
        "metrics", otlp.metrics((otlp.resource(run), [otlp.gauge("a", [otlp.point(99, 1.0)])]))
    )
    body = {"projectId": local.project_id(), "runId": run, "resume": "allow", "instanceId": "two"}
    begun = local.post("/api/v1/runs/start", body)

    assert sent.status == 200
    partial = ExportMetricsServiceResponse.FromString(sent.body).partial_success
    assert (partial.rejected_data_points, partial.error_message) == (1, f"the run '{run}' was deleted")
    assert (begun.status, begun.error["code"]) == (410, "GONE")
    assert local.get(path(run)).status == 404


def test_a_run_is_removed_bit_by_bit(local: LocalServer) -> None:
    """Each bit is small, so that records of other runs are stored between two of them."""
    local.services.janitor.close()
    run = fresh_id()
    record(local, run, steps=400)
    local.send("DELETE", path(run))

    def remove() -> bool:
        job = local.services.writer.submit(
            lambda connection: remove_some(connection, local.services.events, budget=150)
        )
        return job.result(10)

    left = [rows(local)["points"]]
    while remove():
        left.append(rows(local)["points"])

    assert left[0] == 800
    assert all(before - after <= 150 for before, after in itertools.pairwise(left))
    assert sum(rows(local).values()) == 0


def test_runs_are_kept_for_as_long_as_the_project_says(local: LocalServer, clock: ManualClock) -> None:
    """What is older goes by itself, what was heard of since stays, and without a number everything does."""
    old, live = fresh_id(), fresh_id()
    record(local, old)
    record(local, live)
    clock.advance(20 * _DAY_S)
    local.services.janitor.wake()
    record(local, live, steps=21)
    kept = listed(local)
    clock.advance(15 * _DAY_S)

    said = patch(local, _PROJECT, '{"retentionDays": 30}')

    assert (said.status, said.json["retentionDays"]) == (200, 30)
    (project,) = local.get("/api/v1/workspaces/default-workspace/projects").json["projects"]
    assert project["retentionDays"] == 30
    assert kept == {old, live}
    wait_until(lambda: listed(local) == {live}, 15)
    assert patch(local, _PROJECT, '{"retentionDays": null}').json["retentionDays"] is None


@pytest.mark.parametrize("body", ["{}", '{"retentionDays": 0}', '{"retentionDays": "soon"}'])
def test_a_retention_out_of_bounds_is_refused(local: LocalServer, body: str) -> None:
    """A slip of the pen deletes nothing."""
    record(local, fresh_id())

    assert patch(local, _PROJECT, body).status == 400


def test_only_an_admin_key_deletes(local: LocalServer) -> None:
    """The key in a training job can record and edit, and takes nothing away."""
    run = fresh_id()
    record(local, run)
    key = local.make_key(keys.WRITE_SCOPES | {keys.PROJECT_READ})

    assert local.send("DELETE", path(run), key=key).status == 403
    assert local.send("PATCH", _PROJECT, b'{"retentionDays": 1}', key=key).status == 403
    assert local.post(path(run, "/archive"), {}, key=key).status == 200
    assert local.post(path(run, "/archive"), {}, key=local.make_key([keys.PROJECT_READ])).status == 403
    assert local.get(path(run)).status == 200


def test_every_table_of_a_runs_rows_is_emptied_with_it() -> None:
    """Whoever adds a table that hangs on runs, series or instances says here what becomes of its rows."""
    hanging = {
        table.name for table in metadata.sorted_tables if {"run", "series", "instance"} & {*table.c.keys()}
    }
    # An artifact outlives the run that made it, and goes on saying which one that was.
    kept = {links, versions}
    removed = {*removal.OF_SERIES, *removal.OF_INSTANCE, *removal.OF_RUN, series, instances, removals}

    assert hanging == {table.name for table in removed | kept}
    assert runs not in removed
