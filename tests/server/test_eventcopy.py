"""A whole store moved into ClickHouse and out of it: the same is shown, and it goes on from there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import otlp
from tests.support.clickhouse import ClickHouseServer, HttpClickHouse, events_url, inside
from tests.support.following import following
from tests.support.postgres import Postgres
from tests.support.program import ServerProgram
from tests.support.server import Caller

pytestmark = pytest.mark.timeout(240)
RUN = "night"


def record(server: Caller, *, first: int = 0) -> None:
    """Some of everything: steps logged again, a second attempt, no step, a span of two states."""
    owner = otlp.resource(RUN)
    steps = [otlp.point(first + step, float(step)) for step in range(20)]
    again = [otlp.point(first + 3, -1.0, time=9 + first), otlp.point(None, 7.0, time=otlp.T0 + first + 1)]
    for points in (steps, again):
        assert server.export("metrics", otlp.metrics((owner, [otlp.gauge("loss", points)]))).status == 200
    later = otlp.metrics(
        (otlp.resource(RUN, attempt=2, instance="b"), [otlp.gauge("loss", [otlp.point(first + 5, 50.0)])])
    )
    assert server.export("metrics", later).status == 200
    told = [
        otlp.line(first + 1, "žluť\u0001"),
        otlp.line(first + 2, "two", severity=17),
        otlp.event(first + 9, "rundial.run.config", {"config": {"lr": first}}),
    ]
    assert server.export("logs", otlp.logs(owner, told)).status == 200
    for span in (otlp.span(first + 1, "step", is_interrupted=True), otlp.span(first + 1, "step")):
        assert server.export("traces", otlp.spans(owner, [span])).status == 200
    child = otlp.span(first + 2, "child", parent=first + 1)
    assert server.export("traces", otlp.spans(owner, [child])).status == 200
    held = otlp.metrics((owner, [otlp.histogram("sizes", [1, 2], [5.0])]))
    assert server.export("metrics", held).status == 200


def shown(server: Caller) -> dict[str, Any]:
    """What a server shows of the run."""
    project = server.project_id()
    body = {"projectId": project, "runId": RUN}
    exported = server.post("/api/v1/export/metrics", body).json["rows"]
    buckets = {**body, "metricKeys": ["loss"], "form": "buckets", "maxPointsPerSeries": 8}
    details = server.details(RUN)
    return {
        "status": details["status"],
        "config": details["config"],
        "summary": server.get(f"/api/v1/metrics/keys?projectId={project}&runId={RUN}").json["keys"],
        "curve": server.curve(RUN, "loss"),
        "buckets": server.post("/api/v1/query/series", buckets).json["series"],
        "points": sorted((row["step"] or -1, row["timestampNs"], row["value"]) for row in exported),
        "attempts": sorted(row["attempt"] for row in exported),
        "lines": server.post("/api/v1/query/logs", {**body, "order": "asc"}).json["rows"],
        "data points": len(server.post("/api/v1/query/datapoints", body).json["rows"]),
        "spans": [(each["name"], each["status"], each["parentSpanId"]) for each in server.spans(RUN)],
    }


def copied(*options: str) -> dict[str, Any]:
    """Run the copy, in a process of its own: an embedded ClickHouse stays with its process."""
    command = [sys.executable, "-m", "rundial", "server", "copy", *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def refused(*options: str) -> str:
    """Run a copy that is refused, and return what it says."""
    command = [sys.executable, "-m", "rundial", "server", "copy", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def with_key(data: Path, key: str) -> Path:
    """A copied data directory, which has no key file of its own."""
    data.mkdir(mode=0o700, exist_ok=True)
    (data / "owner.key").write_text(key)
    return data


@pytest.fixture
def plain(tmp_path: Path) -> tuple[str, str, dict[str, Any]]:
    """The data of a server with SQLite alone, its key, and what it showed."""
    with ServerProgram(tmp_path / "plain") as program:
        server = Caller(program.url, program.key)
        record(server)
        found = shown(server)
        server.hang_up()
        program.stop()
        return str(tmp_path / "plain"), program.key, found


def test_everything_moves_into_clickhouse_and_back(
    tmp_path: Path, plain: tuple[str, str, dict[str, Any]]
) -> None:
    """SQLite shows what ClickHouse did, and the other way round; each goes on from there."""
    source, key, before = plain
    moved, events = tmp_path / "moved", events_url(tmp_path / "moved" / "events")
    there = copied("--from", source, "--to", str(moved / "data"), "--to-events", events)
    with_key(moved / "data", key)
    with ClickHouseServer(moved) as server:
        assert shown(server) == before
        with following(server, "/api/v1/stream/metrics", RUN) as found:
            place = next(found)["id"]
        record(server)  # all of it is there already
        assert shown(server)["points"] == before["points"]
        record(server, first=100)
        with following(server, "/api/v1/stream/metrics", RUN, last=place, follow="false") as found:
            (news,) = [each["data"]["rows"] for each in found if each["event"] == "points"]
        assert len(news) == 23
        after = shown(server)
        server.program.stop()
    back = copied("--from", str(moved / "data"), "--from-events", events, "--to", str(tmp_path / "again"))
    with ServerProgram(with_key(tmp_path / "again", key)) as program:
        again = Caller(program.url, program.key)
        assert shown(again) == after
        record(again, first=100)
        assert shown(again)["points"] == after["points"]
        record(again, first=200)
        assert len(shown(again)["points"]) == len(after["points"]) + 23
        again.hang_up()

    assert there["rows"]["points"] == len(before["points"])
    assert back["rows"]["points"] == len(after["points"])
    assert (there["rows"]["lines"], there["rows"]["spans"], back["rows"]["spans"]) == (2, 2, 4)


def test_rows_that_were_never_acknowledged_are_not_copied(tmp_path: Path) -> None:
    """A copy holds what a reader of the source would see."""
    with ClickHouseServer(tmp_path) as server:
        record(server)
        before, key = shown(server), server.program.key
        server.program.stop()
    greatest = int(inside(tmp_path / "events", "SELECT max(n) FROM points")) + 1
    columns = "(series, step, instance, time_unix_ns, attempt, value, n)"
    inside(tmp_path / "events", f"INSERT INTO points {columns} VALUES (1, 999, 1, 5, 1, 9.0, {greatest})")

    options = ("--from", str(tmp_path / "data"), "--from-events", events_url(tmp_path / "events"))
    made = copied(*options, "--to", str(tmp_path / "copy"))

    assert made["rows"]["points"] == len(before["points"])
    with ServerProgram(with_key(tmp_path / "copy", key)) as program:
        copy = Caller(program.url, program.key)
        assert shown(copy) == before
        copy.hang_up()


def test_postgresql_with_clickhouse_moves_too(
    tmp_path: Path, postgres: Postgres, plain: tuple[str, str, dict[str, Any]]
) -> None:
    """Catalog and stream each to an engine of another kind, and back while the server runs."""
    url = postgres.database()
    source, key, before = plain
    with HttpClickHouse(tmp_path / "events") as events:
        copied("--from", source, "--to", url, "--to-events", events.url)
        options = ("--database", url, "--events", events.url)
        with ServerProgram(with_key(tmp_path / "shared", key), options=options) as program:
            shared = Caller(program.url, key)
            assert shown(shared) == before
            record(shared, first=100)
            after = shown(shared)
            copied("--from", url, "--from-events", events.url, "--to", str(tmp_path / "again"))
            shared.hang_up()
        taken = ("--from", source, "--to", str(tmp_path / "other"), "--to-events", events.url)
        assert "is not empty" in refused(*taken)
    with ServerProgram(with_key(tmp_path / "again", key)) as program:
        again = Caller(program.url, program.key)
        assert shown(again) == after
        again.hang_up()


def test_a_clickhouse_that_is_not_the_sources_is_refused(
    tmp_path: Path, plain: tuple[str, str, dict[str, Any]]
) -> None:
    """No store is put together of two servers' halves."""
    with ClickHouseServer(tmp_path / "one") as server:
        record(server)
        server.program.stop()
    data, ours = str(tmp_path / "one" / "data"), events_url(tmp_path / "one" / "events")

    missing = refused("--from", data, "--to", str(tmp_path / "a"))
    needless = refused("--from", plain[0], "--from-events", ours, "--to", str(tmp_path / "b"))
    inside(tmp_path / "one" / "events", "TRUNCATE TABLE owner")
    inside(tmp_path / "one" / "events", "INSERT INTO owner VALUES ('srv_x')")
    strange = refused("--from", data, "--from-events", ours, "--to", str(tmp_path / "c"))

    assert "name it: --from-events" in missing
    assert "leave --from-events out" in needless
    assert "does not hold the points of" in strange


def test_a_copy_that_clickhouse_cut_off_is_opened_by_no_server(
    tmp_path: Path, plain: tuple[str, str, dict[str, Any]]
) -> None:
    """A ClickHouse that fails in the middle costs the copy, and says so."""
    with HttpClickHouse(tmp_path / "events") as events:
        events.fail("refused")
        said = refused("--from", plain[0], "--to", str(tmp_path / "half"), "--to-events", events.url)
        events.fail("none")
    assert "cannot be used" in said
    assert "s3cret" not in said
