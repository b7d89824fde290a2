"""ClickHouse beside SQLite: told the same, they answer the same; a catalog keeps to its own ClickHouse."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from rundial.cli.main import main
from rundial.errors import ConfigError
from rundial.server.store.clickhouse.connection import address_of
from tests.support import otlp
from tests.support.clickhouse import (
    ClickHouseServer,
    HttpClickHouse,
    asked,
    events_url,
    inside,
    refused,
)
from tests.support.clock import ManualClock
from tests.support.postgres import Postgres
from tests.support.program import ServerProgram
from tests.support.server import Caller, LocalServer, fresh_id

pytestmark = pytest.mark.timeout(240)

PLACE = "/api/v1/workspaces/default-workspace/projects/digits/runs"
LONG = 12_000


@pytest.fixture
def both(tmp_path: Path, clock: ManualClock, clickhouse: ClickHouseServer) -> Iterator[tuple[Caller, Caller]]:
    """A server with SQLite alone, and one with ClickHouse."""
    with LocalServer(tmp_path / "data", clock) as plain:
        yield plain, clickhouse


def tell(both: tuple[Caller, Caller], signal: str, body: bytes) -> None:
    """Send both the same."""
    for each in both:
        assert each.export(signal, body).status == 200


def paged(server: Caller, path: str, run: str, **more: object) -> list[Any]:
    """All rows of a query, three at a time."""
    rows: list[Any] = []
    cursor = None
    while True:
        body = {"projectId": server.project_id(), "runId": run, "limit": 3, "cursor": cursor, **more}
        page = server.post(path, {name: value for name, value in body.items() if value is not None}).json
        rows += page["rows"]
        cursor = page["page"]["nextCursor"]
        if not cursor:
            return rows


def random_points(rng: Random, run: str, attempt: int) -> bytes:
    """A request of points that come late, twice, at one step, at one time, and in any order."""
    owner = otlp.resource(run, instance=f"i{attempt}-{rng.randrange(2)}", attempt=attempt)
    held = []
    for name in rng.sample(["loss", "acc", "system/cpu"], rng.randint(1, 3)):
        steps = [
            rng.choice([None, rng.randrange(12), rng.randrange(2**40)]) for _ in range(rng.randint(1, 8))
        ]
        times = [otlp.T0 + rng.randrange(40) for _ in steps]
        if rng.random() < 0.5:
            times = sorted({otlp.T0 + rng.randrange(10**6) for _ in steps})
            steps = steps[: len(times)]
        numbers = [
            otlp.point(step, float(rng.randint(-3, 3)), time=time)
            for step, time in zip(steps, times, strict=True)
        ]
        held.append(otlp.gauge(name, numbers))
    return otlp.metrics((owner, held))


def random_lines(rng: Random, run: str) -> bytes:
    """A request of lines: ours in any order, and foreign ones."""
    owner = otlp.resource(run, instance=f"i{rng.randrange(2)}")
    lines = [
        otlp.line(
            rng.choice([None, rng.randrange(20)]),
            rng.choice(["saved", "a\0b", "é😀", "", "x" * 300]),
            time=otlp.T0 + rng.randrange(5),
            severity=rng.choice([0, 5, 9, 17]),
        )
        for _ in range(rng.randint(1, 6))
    ]
    return otlp.logs(owner, lines)


def random_spans(rng: Random, run: str) -> bytes:
    """A request of spans: interrupted and ended ones, children before parents, their own parents."""
    numbers = [rng.randint(1, 12) for _ in range(rng.randint(1, 6))]
    spans = [
        otlp.span(each, f"s{each}", parent=rng.randrange(12), is_interrupted=rng.random() < 0.4)
        for each in numbers
    ]
    return otlp.spans(otlp.resource(run, instance=f"i{rng.randrange(2)}"), spans)


@pytest.mark.parametrize("seed", range(4))
def test_what_both_were_told_both_answer(both: tuple[Caller, Caller], seed: int) -> None:
    """Whatever came late, twice or out of order, the answers do not tell where the rows are."""
    rng, run = Random(seed), fresh_id()
    sent: list[tuple[str, bytes]] = []
    for _ in range(25):
        kind = rng.choice(["metrics", "metrics", "logs", "traces", "again"])
        if kind == "again" and sent:
            tell(both, *rng.choice(sent))
            continue
        made = {"logs": random_lines, "traces": random_spans}.get(kind)
        body = made(rng, run) if made else random_points(rng, run, rng.randint(1, 3))
        sent.append(("metrics" if made is None else kind, body))
        tell(both, *sent[-1])

    plain, columnar = (answers(each, run) for each in both)
    assert plain == columnar


def answers(server: Caller, run: str) -> dict[str, Any]:
    """What a server says of a run, in every way that there is."""
    names = {"metricKeys": ["loss", "acc", "system/cpu"]}
    details = server.details(run)
    project = server.project_id()
    begun = server.post("/api/v1/runs", {"projectId": project, "runId": run, "resume": "allow"})
    found: dict[str, Any] = {
        "counts": [(each["instanceId"], each["counts"]) for each in details["instances"]],
        "summary": details["summary"],
        "keys": server.get(f"/api/v1/metrics/keys?projectId={project}&runId={run}").json["keys"],
        "steps": (begun.status, begun.json.get("highestStep"), begun.json.get("highestSystemStep")),
        "points": paged(server, "/api/v1/export/metrics", run),
        "in time": paged(server, "/api/v1/export/metrics", run, startMs=0, endMs=otlp.T0 // 10**6),
        "curves": asked(server, "/api/v1/query/series", run, **names),
        "thin": asked(server, "/api/v1/query/series", run, maxPointsPerSeries=4, **names),
        "part": asked(server, "/api/v1/query/series", run, startStep=2, endStep=9, form="buckets", **names),
        "file": server.post(
            "/api/v1/export/metrics/file", {"projectId": project, "runId": run, "format": "jsonl"}
        ).body,
    }
    for order in ("asc", "desc"):
        lines = paged(server, "/api/v1/query/logs", run, order=order)
        found[f"lines {order}"] = sorted(map(repr, lines)), [each["timestampNs"] for each in lines]
    found["errors"] = len(paged(server, "/api/v1/query/logs", run, minLevel="error", pattern="^sav"))
    for query in ("", "?parent=none"):
        spans = server.get(f"{PLACE}/{run}/spans{query}").json["spans"]
        found[f"spans{query}"] = spans
    trace, parent = (7).to_bytes(16, "big").hex(), (3).to_bytes(8, "big").hex()
    found["children"] = server.get(f"{PLACE}/{run}/spans?trace={trace}&parent={parent}").json["spans"]
    return found


def test_a_long_curve_is_thinned_alike(both: tuple[Caller, Caller]) -> None:
    """The buckets that ClickHouse makes are those that are made of the points, to the last spike."""
    rng, run = Random(5), fresh_id()
    steps = sorted({*range(LONG), *(rng.randrange(2**50) for _ in range(2_000)), 2**63 - 1})
    for attempt, part in ((1, steps), (2, steps[3_000:5_000])):
        numbers = [
            otlp.point(step, rng.choice([0.0, 0.0, 1.0, rng.uniform(-9, 9)]), time=otlp.T0 + 7 * place)
            for place, step in enumerate(part)
        ]
        owner = otlp.resource(run, instance=f"i{attempt}", attempt=attempt)
        tell(both, "metrics", otlp.metrics((owner, [otlp.gauge("loss", numbers)])))
    start_ms = otlp.T0 // 10**6
    ranges: list[dict[str, object]] = [
        {},
        {"startStep": 1_000, "endStep": 11_111},
        {"startStep": 5, "endStep": 4},
        {"startMs": start_ms, "endMs": start_ms},
        {"startMs": 1, "endMs": 2},
    ]
    for wanted in (each for each in ranges if each.get("startStep") != 5):
        for most in (1, 2, 7, 300, 50_000):
            given = {"metricKeys": ["loss"], "maxPointsPerSeries": most, **wanted}
            points = [asked(each, "/api/v1/query/series", run, **given) for each in both]
            assert points[0] == points[1]
            buckets = [
                asked(each, "/api/v1/query/series", run, form="buckets", **given)["series"][0]["buckets"]
                for each in both
            ]
            means = [[each.pop("mean") for each in some] for some in buckets]
            assert buckets[0] == buckets[1]
            assert all(math.isclose(*pair, abs_tol=1e-9) for pair in zip(*means, strict=True))


def test_buckets_of_values_near_a_floats_end_have_a_mean(clickhouse: ClickHouseServer) -> None:
    """A sum that leaves the range of a float is no reason for an answer without a number."""
    run = fresh_id()
    body = otlp.curve(run, "loss", [1.7e308] * 5_000)
    assert clickhouse.export("metrics", body).status == 200

    given: dict[str, Any] = {"metricKeys": ["loss"], "maxPointsPerSeries": 3, "form": "buckets"}
    buckets = asked(clickhouse, "/api/v1/query/series", run, **given)["series"][0]["buckets"]

    assert sum(each["count"] for each in buckets) == 5_000
    assert [each["mean"] for each in buckets] == pytest.approx([1.7e308] * len(buckets))


def test_a_request_that_is_refused_half_way_leaves_nothing(clickhouse: ClickHouseServer) -> None:
    """What a job had added before it failed is not inserted with the rest of its group."""
    kept, gone = fresh_id(), fresh_id()
    project = clickhouse.project_id()
    assert clickhouse.export("metrics", otlp.curve(gone, "loss", [1.0])).status == 200
    assert clickhouse.send("DELETE", f"{PLACE}/{gone}").status < 300

    def send(step: int, *runs: str) -> int:
        place = {"projectId": project, "metricKey": "loss", "step": step, "timestampMs": 5, "value": 2.0}
        points = [{**place, "runId": run} for run in runs]
        return clickhouse.post("/api/v1/ingest/metrics", {"points": points}).status

    assert send(1, kept, gone) == 410
    assert clickhouse.get(f"{PLACE}/{kept}").status == 404
    assert send(7, kept) == 200
    assert clickhouse.curve(kept, "loss") == [(7, 2.0)]


def test_points_that_are_sent_again_are_asked_for_by_their_keys(tmp_path: Path) -> None:
    """Late points at both ends of a long series read two rows; a long request is asked for in parts."""
    owner = otlp.resource("run")
    points = [otlp.point(step, float(step), time=otlp.T0 + step) for step in range(LONG)]
    ends = otlp.metrics((owner, [otlp.gauge("loss", [points[-1], points[0]])]))
    mixed = otlp.metrics((owner, [otlp.gauge("loss", Random(3).sample(points, LONG))]))
    new = [otlp.point(step, 0.0, time=otlp.T0 + step) for step in (LONG + 1, LONG)]
    with HttpClickHouse(tmp_path / "events") as clickhouse:
        options = ("--events", clickhouse.url)
        with ServerProgram(tmp_path / "data", options=options) as program:
            server = Caller(program.url, program.key)
            assert server.export("metrics", otlp.metrics((owner, [otlp.gauge("loss", points)]))).status == 200
            clickhouse.greatest()
            assert server.export("metrics", ends).status == 200
            answer, _ = clickhouse.greatest()
            assert server.export("metrics", mixed).status == 200
            _, request = clickhouse.greatest()
            assert server.export("metrics", otlp.metrics((owner, [otlp.gauge("loss", new)]))).status == 200
            counts = server.details("run")["counts"]
            server.hang_up()

    assert counts["points"] == LONG + 2
    assert answer < 1_000
    # 5,000 keys of 4 numbers, which are at most 45 bytes together.
    assert request < 5_000 * 45


def test_a_deleted_run_leaves_no_row_and_takes_no_others(tmp_path: Path) -> None:
    """What is deleted is gone from ClickHouse as well."""
    with ClickHouseServer(tmp_path) as server:
        for run in ("gone", "kept"):
            assert server.export("metrics", otlp.curve(run, "loss", [1.0, 2.0])).status == 200
            assert server.export("logs", otlp.logs(otlp.resource(run), [otlp.line(1, "x")])).status == 200
            spans = otlp.spans(otlp.resource(run), [otlp.span(1, "s")])
            assert server.export("traces", spans).status == 200
        assert server.send("DELETE", f"{PLACE}/gone").status < 300
        # The first thing that a server does is to remove what a deletion has left.
        server.program.stop()
        server.start()
        server.program.stop()
    counted = "SELECT (SELECT count() FROM points), (SELECT count() FROM lines), (SELECT count() FROM spans)"

    assert inside(tmp_path / "events", counted) == "2\t1\t1"


def test_a_catalog_and_its_clickhouse_keep_to_each_other(tmp_path: Path, clock: ManualClock) -> None:
    """No start mixes the points of two servers, or hides those that there are."""
    with ClickHouseServer(tmp_path) as server:
        assert server.export("metrics", otlp.curve("run", "loss", [1.0])).status == 200
        server.program.stop()
    with LocalServer(tmp_path / "other", clock) as plain:
        assert plain.export("metrics", otlp.curve("run", "loss", [1.0])).status == 200
    mine, foreign = events_url(tmp_path / "events"), events_url(tmp_path / "elsewhere")

    assert "are in ClickHouse; name it, as before: --events" in refused(tmp_path / "data")
    assert "is empty, and this server's points are in" in refused(tmp_path / "data", "--events", foreign)
    assert "holds the points of another server (srv_" in refused(tmp_path / "new", "--events", mine)
    assert "and --events would hide them" in refused(tmp_path / "other", "--events", foreign)


def test_a_second_process_over_one_catalog_is_refused(tmp_path: Path, postgres: Postgres) -> None:
    """Two that number rows would give one number twice; the first goes on."""
    options = ("--database", postgres.database())
    with ClickHouseServer(tmp_path / "one", options=options) as first:
        said = refused(tmp_path / "two", *options, "--events", events_url(tmp_path / "events"))
        assert first.export("metrics", otlp.curve("run", "loss", [1.0])).status == 200

        assert "ClickHouse is written by one process at a time" in said
        assert first.curve("run", "loss") == [(0, 1.0)]


def test_a_server_that_was_replaced_acknowledges_nothing_any_more(tmp_path: Path) -> None:
    """Whoever lost its catalog's lock to another one must not number rows beside it."""
    with ClickHouseServer(tmp_path) as server:
        assert server.export("metrics", otlp.curve("run", "loss", [1.0])).status == 200
        with closing(sqlite3.connect(tmp_path / "data" / "rundial.db")) as catalog, catalog:
            catalog.execute("UPDATE facts SET value = 'another' WHERE name = 'events_writer'")
        answer = server.export("metrics", otlp.curve("run", "loss", [1.0, 2.0]))

        assert answer.status == 503
        assert "another server has taken over" in answer.error["message"]
        assert server.curve("run", "loss") == [(0, 1.0)]


def test_neither_backup_nor_copy_passes_for_the_whole(tmp_path: Path) -> None:
    """A copy without the points would be found out when it is needed."""
    with ClickHouseServer(tmp_path) as server:
        server.program.stop()
    data, target = str(tmp_path / "data"), str(tmp_path / "copy")

    backup = CliRunner().invoke(main, ["server", "backup", target, "--data", data])
    copy = CliRunner().invoke(main, ["server", "copy", "--from", data, "--to", target])

    assert (backup.exit_code, copy.exit_code) == (1, 1)
    assert "would not be in the backup; nothing was copied" in backup.output
    assert "`rundial server copy` with --from-events copies all of it" in backup.output
    assert "are in ClickHouse; nothing was copied" in copy.output
    assert "--from-events" in copy.output


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:hunter2@host/x", "--events names no ClickHouse"),
        ("clickhouse://me:hunter2@host:nine/x", "--events is no URL"),
        ("clickhouse:///x", "--events names no ClickHouse"),
        ("chdb://", "--events names no ClickHouse"),
        ("nonsense", "--events names no ClickHouse"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_its_password(url: str, said: str) -> None:
    """The message says what to write, and a password is in no terminal's history."""
    with pytest.raises(ConfigError, match=said) as caught:
        address_of(url)

    assert "hunter2" not in str(caught.value)


def test_an_address_is_read_as_it_is_meant() -> None:
    """Ports, names and encryption are those that ClickHouse has by itself, unless the URL says otherwise."""
    plain = address_of("clickhouse://host")
    full = address_of("clickhouse://me:s%40fe@host:9/db?secure=true")

    assert (plain.database, plain.where) == ("rundial", "clickhouse://host:8123/rundial")
    assert (plain.options["interface"], plain.options["username"]) == ("http", "default")
    assert (full.database, full.where) == ("db", "clickhouse://host:9/db")
    assert (full.options["interface"], full.options["password"]) == ("https", "s@fe")
    assert address_of("clickhouse://host?secure=true").options["port"] == 8443


def test_a_clickhouse_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    """The message is safe to paste into a ticket."""
    said = refused(tmp_path / "data", "--events", "clickhouse://me:hunter2@127.0.0.1:1/x")

    assert "the events in clickhouse://127.0.0.1:1/x cannot be used" in said
    assert "hunter2" not in said


def test_a_grant_that_is_missing_is_named(tmp_path: Path) -> None:
    """Whoever gives the server its user reads what to grant, and not that something failed."""
    with HttpClickHouse(tmp_path / "events") as clickhouse:
        clickhouse.fail("denied")
        said = refused(tmp_path / "data", "--events", clickhouse.url)

    assert "GRANT CREATE TABLE ON rundial.points" in said
    assert f"{clickhouse_place(clickhouse)} cannot be used" in said
    assert "s3cret" not in said


def clickhouse_place(clickhouse: HttpClickHouse) -> str:
    """Its URL as messages have it."""
    return "clickhouse://" + clickhouse.url.rpartition("@")[2]
