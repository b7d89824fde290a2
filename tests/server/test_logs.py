"""Text lines: found by level, text, pattern and time, and followed as they come."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import pytest
from sqlalchemy import func, select

from rundial.clock import SystemClock
from rundial.server.keys import ADMIN, Principal
from rundial.server.lineseek import matcher, seek
from rundial.server.store.events import LineFilter
from rundial.server.store.history import find_run
from rundial.server.store.places import find_project_by_public_id
from rundial.server.store.tables import removals
from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.following import DEADLINE_S, following
from tests.support.server import LocalServer, Reply, fresh_id
from tests.support.waiting import wait_until


def log(local: LocalServer, run: str, *texts: str, first: int = 1, severity: int = 9) -> None:
    """Store lines."""
    lines = [otlp.line(first + place, text, severity=severity) for place, text in enumerate(texts)]
    assert local.export("logs", otlp.logs(otlp.resource(run), lines)).status == 200


def ask(local: LocalServer, run: str, **more: object) -> Reply:
    """Query lines, oldest first."""
    body = {"projectId": local.project_id(), "runId": run, "order": "asc", **more}
    return local.post("/api/v1/query/logs", body)


def messages(found: Reply) -> list[str]:
    """The lines of a page."""
    assert found.status == 200, found.json
    return [row["message"] for row in found.json["rows"]]


def test_lines_are_found_by_text_pattern_level_and_time(local: LocalServer) -> None:
    """Each alone and all together."""
    run = fresh_id()
    log(local, run, "epoch 1 Loss=0.5", "epoch 2 loss=nan", "saved")
    log(local, run, "epoch 3 loss=NaN", first=4, severity=17)

    assert messages(ask(local, run, text="LOSS=")) == [
        "epoch 1 Loss=0.5",
        "epoch 2 loss=nan",
        "epoch 3 loss=NaN",
    ]
    assert messages(ask(local, run, pattern=r"epoch [2-9]")) == ["epoch 2 loss=nan", "epoch 3 loss=NaN"]
    assert messages(ask(local, run, pattern="(?i)nan$", minLevel="error")) == ["epoch 3 loss=NaN"]
    start_ms = otlp.T0 // 10**6
    assert messages(ask(local, run, text="saved", startMs=start_ms, endMs=start_ms)) == ["saved"]
    assert messages(ask(local, run, text="saved", startMs=start_ms + 1)) == []


def test_a_search_is_paged_like_everything_else(local: LocalServer) -> None:
    """Pages add up, in either order."""
    run = fresh_id()
    log(local, run, *(f"{'hit' if place % 3 == 0 else 'miss'} {place}" for place in range(20)))
    for order in ("asc", "desc"):
        found: list[str] = []
        cursor = None
        while True:
            page = ask(local, run, pattern="^hit", limit=2, order=order, cursor=cursor)
            found += messages(page)
            cursor = page.json["page"]["nextCursor"]
            if not cursor:
                break
        expected = [f"hit {place}" for place in range(0, 20, 3)]
        assert found == (expected if order == "asc" else expected[::-1])


@pytest.mark.inside
def test_a_search_that_looks_at_too_many_lines_goes_on_in_the_next_page(local: LocalServer) -> None:
    """However long a run is, one request has an end, and nothing is passed over."""
    run = fresh_id()
    log(local, run, *(f"line {place}" for place in range(5_000)), "needle")
    matches = matcher("needle", "")
    project_id = local.project_id()
    owner = Principal("key", "test", frozenset({ADMIN}), 0)
    pages = 0
    after, found = None, []
    with local.services.engines.reading.begin() as connection:
        project = find_project_by_public_id(connection, owner, project_id)
        assert project is not None
        row = find_run(connection, project.id, run)
        assert row is not None
        while True:
            page = seek(
                local.services.events.lines,
                connection,
                row.id,
                LineFilter(),
                matches,
                after=after,
                limit=10,
                is_newest_first=False,
                monotonic_s=SystemClock().monotonic_s,
                max_seen=2_000,
            )
            found += [each.body for each in page.rows]
            pages += 1
            if page.ended is None:
                break
            assert page.is_cut
            after = page.ended

    assert found == ["needle"]
    assert pages == 3


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("(a+)+$", 0), ("(a|aa)+$", 0), ("(.*a){20}", 5), ("a" * 30 + "?" + "a*" * 30, 5)],
)
def test_no_pattern_hangs_the_server(local: LocalServer, pattern: str, matches: int) -> None:
    """Patterns that take ages elsewhere are answered at once."""
    run = fresh_id()
    log(local, run, *["a" * 5_000 + "!"] * 5)
    started_s = process_time()

    found = ask(local, run, pattern=pattern)

    assert found.status == 200
    assert len(found.json["rows"]) == matches
    assert process_time() - started_s < 5


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "missing )"),
        (r"(a)\1", "invalid escape"),
        ("(?=a)", "invalid perl operator"),
        ("x" * 1_001, "1,001"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_the_reason(
    local: LocalServer, pattern: str, message: str
) -> None:
    """In RE2's own words."""
    found = ask(local, fresh_id(), pattern=pattern)

    assert found.status == 400
    assert message in found.error["message"]


def follow(local: LocalServer, run: str, **more: str) -> AbstractContextManager[Iterator[dict[str, Any]]]:
    """Events of a run's lines, as they come."""
    return following(local, "/api/v1/stream/logs", run, **more)


def test_a_stream_sends_lines_as_they_are_stored(local: LocalServer) -> None:
    """What was there before is not sent, what comes is, each line once."""
    run = fresh_id()
    log(local, run, "before")
    with follow(local, run) as found:
        assert next(found)["event"] == "open"
        log(local, run, "one", "two", first=2)
        log(local, run, "one", "two", first=2)
        log(local, run, "three", first=4)

        assert [next(found)["data"]["message"] for _ in range(3)] == ["one", "two", "three"]


def test_a_stream_goes_on_behind_the_last_event(local: LocalServer) -> None:
    """A reader that was cut off misses nothing."""
    run = fresh_id()
    log(local, run, "before")
    with follow(local, run) as found:
        next(found)
        log(local, run, "one", first=2)
        last = next(found)["id"]
    log(local, run, "two", "three", first=3)

    with follow(local, run, last=last) as found:
        next(found)
        assert [next(found)["data"]["message"] for _ in range(2)] == ["two", "three"]


def delete(local: LocalServer, run: str) -> None:
    """Delete a run and wait until its lines are gone."""
    assert (
        local.send("DELETE", f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run}").status == 200
    )

    def is_gone() -> bool:
        with local.services.engines.reading.begin() as connection:
            return connection.execute(select(func.count()).select_from(removals)).scalar_one() == 0

    wait_until(is_gone, DEADLINE_S)


@pytest.mark.inside
def test_a_stream_goes_on_when_the_newest_run_was_deleted(tmp_path: Path, database: str | None) -> None:
    """What comes next has a greater number than everything before, what was deleted and restarts included."""
    run, newest = fresh_id(), fresh_id()
    with LocalServer(tmp_path / "data", SystemClock(), database=database) as local:
        log(local, run, "before")
        log(local, newest, *map(str, range(100)))
        with follow(local, run) as found:
            last = next(found)["id"]
            delete(local, newest)
            log(local, run, "one", first=2)
            assert next(found)["data"]["message"] == "one"
        log(local, newest, "it is refused")
        other = fresh_id()
        log(local, other, "x")
        delete(local, other)
    with LocalServer(tmp_path / "data", SystemClock(), database=database) as local:
        log(local, run, "two", first=3)
        with follow(local, run, last=last) as found:
            next(found)
            assert [next(found)["data"]["message"] for _ in range(2)] == ["one", "two"]


@pytest.mark.inside
def test_a_stream_begins_anew_where_its_last_event_is_none_of_the_servers(local: LocalServer) -> None:
    """As after a database was restored: its numbers are smaller than those that a reader saw."""
    run = fresh_id()
    log(local, run, "before")
    with follow(local, run, last="123456789") as found:
        next(found)
        log(local, run, "one", first=2)

        assert next(found)["data"]["message"] == "one"


def test_a_stream_shows_only_what_was_asked_for(local: LocalServer) -> None:
    """Level and pattern count here too."""
    run = fresh_id()
    log(local, run, "before")
    with follow(local, run, minLevel="warn", pattern="^disk") as found:
        next(found)
        log(local, run, "disk is fine", first=2)
        log(local, run, "disk is full", "net is down", first=3, severity=17)
        log(local, run, "disk is gone", first=5, severity=17)

        assert [next(found)["data"]["message"] for _ in range(2)] == ["disk is full", "disk is gone"]


@pytest.mark.inside
def test_a_stream_of_lines_that_nobody_asked_for_says_that_it_lives(
    local: LocalServer, clock: ManualClock
) -> None:
    """A reader who waits for an error in a busy log is not taken for cut off."""
    run = fresh_id()
    log(local, run, "before")
    with follow(local, run, minLevel="error", beats="shown") as found:
        assert next(found)["event"] == "open"
        log(local, run, *map(str, range(3)), first=2)
        clock.advance(16)
        assert next(found) == {"comment": "beat"}


@pytest.mark.inside
def test_a_stream_needs_its_scope(local: LocalServer) -> None:
    """A key that may read the project may not hold a connection open."""
    key = local.make_key(["project:read"])

    found = local.get(f"/api/v1/stream/logs?projectId={local.project_id()}&runId=x", key=key)

    assert found.status == 403


def test_streams_end_with_the_server_and_are_told(tmp_path: Path) -> None:
    """A shutdown does not wait for readers who would read for ever."""
    run = fresh_id()
    with LocalServer(tmp_path / "data", SystemClock()) as local:
        log(local, run, "before")
        with follow(local, run) as found:
            next(found)
            started_s = monotonic()
            local.stop()
            ended = list(found)

        assert [each["event"] for each in ended] == ["end"]
        assert ended[0]["data"] == {"reason": "shutdown"}
        assert monotonic() - started_s < DEADLINE_S


def test_a_reader_that_leaves_frees_its_place(local: LocalServer) -> None:
    """As many may follow at once as the bound says, and the next one is told to come back."""
    run = fresh_id()
    log(local, run, "before")
    room = 64
    sockets = [socket.create_connection(("127.0.0.1", int(local.url.rsplit(":", 1)[1]))) for _ in range(room)]
    path = f"/api/v1/stream/logs?projectId={local.project_id()}&runId={run}"
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {local.key}\r\n\r\n"
    for each in sockets:
        each.settimeout(DEADLINE_S)
        each.sendall(request.encode())
        assert each.recv(12) == b"HTTP/1.1 200"
        while b"event: open" not in each.recv(65_536):
            pass

    refused = local.get(path)
    for each in sockets:
        each.close()

    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0
    with follow(local, run) as found:
        assert next(found)["event"] == "open"
