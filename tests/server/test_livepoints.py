"""A run's points, followed as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Connection, select

from rundial.server.livepoints import MAX_POINTS, Watch
from rundial.server.routes.curves import MAX_NAMES
from rundial.server.rows import SeriesBlock
from rundial.server.store.engine import open_engines
from rundial.server.store.events import Sender
from rundial.server.store.sqlpoints import SqlPoints
from rundial.server.store.tables import instances, runs, series
from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.following import following
from tests.support.postgres import Postgres
from tests.support.server import Caller, LocalServer, fresh_id

PATH = "/api/v1/stream/metrics"
Events = Iterator[dict[str, Any]]


def log(
    local: Caller, run: str, name: str, steps: list[int | None], values: list[float], **more: Any
) -> None:
    """Store points of a series."""
    context = more.pop("context", {})
    times = more.pop("times", [None] * len(steps))
    points = [
        otlp.point(step, value, time=time, **context)
        for step, value, time in zip(steps, values, times, strict=True)
    ]
    body = otlp.metrics((otlp.resource(run, **more), [otlp.gauge(name, points)]))
    assert local.export("metrics", body).status == 200


def follow(local: Caller, run: str, **more: Any) -> AbstractContextManager[Events]:
    """Events of a run's points."""
    return following(local, PATH, run, **more)


class Told:
    """What a reader knows who applies each event to what it had."""

    def __init__(self) -> None:
        self.names: dict[int, tuple[str, tuple[tuple[str, Any], ...]]] = {}
        self.rows: list[tuple[str, int | None, float]] = []
        self.reread: list[str] = []

    def take(self, event: dict[str, Any]) -> None:
        """Apply an event."""
        assert event["event"] == "points", event
        data = event["data"]
        for number, name, context in data.get("series", []):
            assert number not in self.names
            self.names[number] = name, tuple(sorted(context.items()))
        self.rows += [(self.names[row[0]][0], row[1], row[3]) for row in data.get("rows", [])]
        self.reread += [self.names[number][0] for number in data.get("reread", [])]

    def until(self, found: Events, count: int) -> Told:
        """Take events until so many rows are there."""
        while len(self.rows) < count:
            self.take(next(found))
        return self


def test_a_stream_sends_points_as_they_are_stored(local: LocalServer) -> None:
    """What was there before is not sent; what comes is, each point once, however often a request comes."""
    run = fresh_id()
    log(local, run, "loss", [0], [9.0])
    with follow(local, run) as found:
        assert next(found)["event"] == "open"
        log(local, run, "loss", [1, 2], [1.0, 2.0])
        log(local, run, "loss", [1, 2], [1.0, 2.0])
        log(local, run, "acc", [2], [0.5])

        told = Told().until(found, 3)
    assert told.rows == [("loss", 1, 1.0), ("loss", 2, 2.0), ("acc", 2, 0.5)]


def test_an_event_holds_what_a_chart_needs(local: LocalServer) -> None:
    """Number of the series, step, milliseconds, value, attempt; a series is named once, with its context."""
    run = fresh_id()
    log(local, run, "loss", [0], [9.0])
    with follow(local, run) as found:
        next(found)
        log(
            local,
            run,
            "loss",
            [5],
            [0.25],
            context={"split": "val"},
            attempt=2,
            instance="b",
            times=[otlp.T0],
        )
        first = next(found)
        log(
            local,
            run,
            "loss",
            [6],
            [0.125],
            context={"split": "val"},
            attempt=2,
            instance="b",
            times=[otlp.T0],
        )
        second = next(found)

    assert first["data"]["series"] == [[0, "loss", {"split": "val"}]]
    assert first["data"]["rows"] == [[0, 5, otlp.T0 // 10**6, 0.25, 2]]
    assert second["data"] == {"rows": [[0, 6, otlp.T0 // 10**6, 0.125, 2]]}


def test_a_stream_goes_on_behind_the_last_event(local: LocalServer) -> None:
    """A reader that was cut off misses nothing and gets nothing twice, of old and of new series."""
    run = fresh_id()
    log(local, run, "loss", [0], [9.0])
    with follow(local, run) as found:
        next(found)
        log(local, run, "loss", [1], [1.0])
        last = next(found)["id"]
    log(local, run, "loss", [2, 3], [2.0, 3.0])
    log(local, run, "new", [3], [4.0])

    with follow(local, run, last=last) as found:
        next(found)
        told = Told().until(found, 3)
        log(local, run, "loss", [4], [4.0])
        told.until(found, 4)
    assert sorted(told.rows) == [("loss", 2, 2.0), ("loss", 3, 3.0), ("loss", 4, 4.0), ("new", 3, 4.0)]
    assert told.reread == []


def test_a_stream_shows_only_the_metrics_that_were_asked_for(local: LocalServer) -> None:
    """Each under its own name, given as often as there are."""
    run = fresh_id()
    log(local, run, "loss", [0], [9.0])
    with follow(local, run, metricKeys=["acc", "a,b"]) as found:
        next(found)
        for name in ("loss", "acc", "a,b"):
            log(local, run, name, [1], [1.0])

        told = Told().until(found, 2)
    assert told.rows == [("acc", 1, 1.0), ("a,b", 1, 1.0)]


def test_points_that_come_late_are_sent(local: LocalServer) -> None:
    """Of earlier steps, of an earlier attempt, and without a step."""
    run = fresh_id()
    log(local, run, "loss", [*range(100, 200)], [0.0] * 100, attempt=2, instance="b")
    log(local, run, "free", [None], [1.0], times=[otlp.T0 + 500])
    with follow(local, run) as found:
        next(found)
        log(local, run, "loss", [50], [1.0], attempt=2, instance="b")
        told = Told().until(found, 1)
        log(local, run, "loss", [150], [2.0], attempt=1, instance="a")
        told.until(found, 2)
        log(local, run, "free", [None, None], [2.0, 3.0], times=[otlp.T0 + 400, otlp.T0 + 600])
        told.until(found, 4)

    assert told.rows == [("loss", 50, 1.0), ("loss", 150, 2.0), ("free", None, 2.0), ("free", None, 3.0)]
    assert told.reread == []


def test_a_flood_is_read_anew_and_the_stream_goes_on(local: LocalServer) -> None:
    """More points than one event holds cost neither memory nor the connection: the reader is told."""
    run = fresh_id()
    many = MAX_POINTS + 1
    log(local, run, "loss", [0], [9.0])
    with follow(local, run) as found:
        next(found)
        log(local, run, "loss", [*range(1, many + 1)], [0.0] * many)
        told = Told()
        while not told.reread:
            told.take(next(found))
        log(local, run, "loss", [many + 1], [1.0])
        told.until(found, 1)

    assert told.reread == ["loss"]
    assert told.rows == [("loss", many + 1, 1.0)]


def test_a_stream_may_end_with_what_is_there(local: LocalServer) -> None:
    """`follow=false` behind a place gives what came since, and says whether the run goes on."""
    run = fresh_id()
    log(local, run, "loss", [0], [9.0])
    with follow(local, run) as found:
        place = next(found)["id"]
    log(local, run, "loss", [1], [1.0])

    with follow(local, run, last=place, follow="false") as found:
        events = list(found)
    assert [each["event"] for each in events] == ["open", "points", "end"]
    assert events[-1]["data"] == {"reason": "caught up", "status": "running"}


@pytest.mark.inside
def test_a_stream_ends_with_its_run_once_all_is_said(local: LocalServer, clock: ManualClock) -> None:
    """Points that come behind the end of the run are sent before the stream ends."""
    run = fresh_id()
    log(local, run, "loss", [0], [9.0])
    finish = {"status": "completed", "finished_unix_ns": otlp.T0}
    with follow(local, run) as found:
        next(found)
        body = otlp.logs(otlp.resource(run), [otlp.event(7, "rundial.run.finish", finish)])
        assert local.export("logs", body).status == 200
        log(local, run, "loss", [1], [1.0])
        Told().until(found, 1)
        ticking = Ticking(clock)
        ended = list(found)
        ticking.stop()

    assert [each["event"] for each in ended] == ["end"]
    assert ended[0]["data"] == {"reason": "over", "status": "completed"}


class Ticking:
    """Time that goes on while something waits for it."""

    def __init__(self, clock: ManualClock) -> None:
        self._ended = Event()
        self._thread = Thread(target=self._tick, args=(clock,))
        self._thread.start()

    def _tick(self, clock: ManualClock) -> None:
        while not self._ended.wait(0.05):
            clock.advance(0.5)

    def stop(self) -> None:
        """End it."""
        self._ended.set()
        self._thread.join(10)


@pytest.mark.inside
def test_a_stream_of_points_needs_its_scope(local: LocalServer) -> None:
    """A key that may read the project may not hold a connection open."""
    key = local.make_key(["project:read"])

    assert local.get(f"{PATH}?projectId={local.project_id()}&runId=x", key=key).status == 403


@pytest.mark.parametrize("last", ["7", "x-1", "1-2-3", "-1-1", "9" * 30 + "-1", "1-\u0664"])
def test_a_place_that_is_none_is_refused(local: LocalServer, last: str) -> None:
    """In words, whatever it is."""
    run = fresh_id()
    log(local, run, "loss", [0], [9.0])

    path = f"{PATH}?projectId={local.project_id()}&runId={run}"
    found = local.send("GET", path, headers={"last-event-id": last.encode("utf-8").decode("latin-1")})
    assert found.status == 400
    assert "Last-Event-ID" in found.error["message"]


def test_a_place_of_another_selection_costs_a_look_at_all(local: LocalServer) -> None:
    """What cannot be known is read anew, and nothing is missed."""
    run = fresh_id()
    log(local, run, "loss", [0], [9.0])
    log(local, run, "acc", [0], [9.0])
    with follow(local, run, metricKeys="loss") as found:
        place = next(found)["id"]
    log(local, run, "acc", [1], [1.0])

    with follow(local, run, last=place, follow="false") as found:
        told = Told()
        told.take(list(found)[1])
    assert (told.rows, told.reread) == ([], ["acc"])


def test_too_many_metrics_are_refused(local: LocalServer) -> None:
    """The bound is in the message."""
    asked = "&".join(f"metricKeys={number}" for number in range(MAX_NAMES + 1))

    found = local.get(f"{PATH}?projectId={local.project_id()}&runId=x&{asked}")

    assert found.status == 400
    assert str(MAX_NAMES) in found.error["message"]


@pytest.mark.inside
def test_a_deleted_run_ends_its_stream(local: LocalServer) -> None:
    """There is nothing to wait for."""
    run = fresh_id()
    log(local, run, "loss", [0], [9.0])
    with follow(local, run) as found:
        next(found)
        path = f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run}"
        assert local.send("DELETE", path).status == 200
        assert [each["data"]["reason"] for each in found] == ["deleted"]


@pytest.mark.inside
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_points_far_back_in_a_long_series_are_read_anew(local: LocalServer) -> None:
    """A look does not go through a series of any length; its reader is told instead."""
    run = fresh_id()
    many = 30_000
    log(local, run, "loss", [*range(10, many)], [0.0] * (many - 10))
    with follow(local, run) as found:
        next(found)
        log(local, run, "loss", [1], [1.0])
        told = Told()
        told.take(next(found))
    assert (told.rows, told.reread) == ([], ["loss"])


def test_two_servers_on_one_database_stream_what_either_stores(
    tmp_path: Path, clock: ManualClock, postgres: Postgres
) -> None:
    """Points of one run that come in at both, all at the same time, reach a reader once each."""
    url = postgres.database()
    run, others, rounds = fresh_id(), (fresh_id(), fresh_id()), 40
    with (
        LocalServer(tmp_path / "data", clock, database=url) as one,
        LocalServer(tmp_path / "data", clock, database=url) as two,
    ):
        log(one, run, "loss", [0], [9.0], instance="zero")
        with follow(one, run) as found:
            next(found)

            def send(server: LocalServer, rank: int) -> None:
                caller = Caller(server.url, server.key)
                for step in range(1, rounds + 1):
                    log(caller, run, "loss", [step], [float(rank)], instance=f"rank{rank}")
                    log(caller, others[rank % 2], "loss", [step], [1.0], instance=f"rank{rank}")
                caller.hang_up()

            senders = [
                Thread(target=send, args=(server, rank)) for rank, server in enumerate((one, two, one, two))
            ]
            for each in senders:
                each.start()
            told = Told().until(found, 4 * rounds)
            for each in senders:
                each.join(30)

    wanted = [("loss", step, float(rank)) for rank in range(4) for step in range(1, rounds + 1)]
    assert sorted(told.rows) == sorted(wanted)
    assert told.reread == []


def test_what_is_committed_last_is_new_whoever_began_first(
    tmp_path: Path, clock: ManualClock, postgres: Postgres
) -> None:
    """Of two servers' transactions the one that reached a run later has the later points of it."""
    url = postgres.database()
    run, other = fresh_id(), fresh_id()
    with LocalServer(tmp_path / "data", clock, database=url) as local:
        log(local, run, "loss", [0], [9.0])
        log(local, other, "loss", [0], [9.0])
        engines = local.services.engines
        with engines.reading.begin() as connection:
            ids = {
                name: connection.execute(
                    select(series.c.id, series.c.run, instances.c.id)
                    .join(runs, runs.c.id == series.c.run)
                    .join(instances, instances.c.run == runs.c.id)
                    .where(runs.c.run_id == name)
                ).one()
                for name in (run, other)
            }
            watch = Watch(ids[run][1], (), None)
            watch.look(SqlPoints(), connection)

        def insert(connection: Connection, store: SqlPoints, name: str, step: int) -> None:
            series_id, run_row, instance = ids[name]
            block = SeriesBlock("loss", "", "{}", b"", [step], [otlp.T0 + step], [float(step)])
            assert store.insert(connection, Sender(run_row, instance, 1), [series_id], [block]) == 1

        def seen() -> list[int]:
            with engines.reading.begin() as connection:
                return [row.step for row in watch.look(SqlPoints(), connection).rows]

        first, second = SqlPoints(), SqlPoints()
        with closing(open_engines(tmp_path, url)) as elsewhere, elsewhere.writing.begin() as slow:
            insert(slow, first, other, 1)
            with engines.writing.begin() as quick:
                insert(quick, second, run, 1)
            assert seen() == [1]
            insert(slow, first, run, 2)
        assert seen() == [2]
