"""Servers that refuse or fail: what a run keeps, what it says, and how it goes on when they are mended."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.adopt import sync
from rundial.errors import RundialRequestError
from rundial.signals import semconv
from tests.support.collector import Answer, Collector, redirect
from tests.support.control import Faulty, control
from tests.support.each_signal import assert_account, each, log_each, received, stored_once
from tests.support.processes import own_parts
from tests.support.scripts import end_of, start_script
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault

COUNT = 50
# A build from before the route answers as its framework does: in words, not in the API's JSON.
STALE: Answer = (404, {"Content-Type": "text/plain"}, b"Not Found")
# How a server fails, and what a run says of it.
FAILURES: dict[str, tuple[Answer, str]] = {
    "403": (403, "answered 403"),
    "404 of a stale build": (STALE, "answered 404"),
    "405": (405, "answered 405"),
    "500": (500, "answered 500"),
    "never answers": ("hang", "no complete answer within 0.5 s"),
    "trickles headers": ("trickle", "no complete answer within 0.5 s"),
    "trickles a body": ("trickle body", "no complete answer within 0.5 s"),
    "resets": ("reset", "connection lost"),
    "html": ("html", "answered 200 with text/html that is no OTLP answer"),
    "too long an answer": ("huge", "that is no OTLP answer"),
}


def options(collector: Collector, spool: Path, **more: object) -> dict[str, Any]:
    """Arguments of a run against the scripted server."""
    return {
        "project": "refused",
        "endpoint": collector.url,
        "api_key": "rdk_old",
        "spool_directory": str(spool),
        "ring_bytes": 1 << 20,
        "request_timeout_seconds": 0.5,
        "finish_timeout_seconds": 0.5,
        **more,
    }


@pytest.mark.parametrize("how", FAILURES)
def test_a_server_that_fails_keeps_a_run_waiting_and_loses_nothing(spool_dir: Path, how: str) -> None:
    """However a server fails, the records wait and the run says why; once it is mended, all arrive."""
    answer, why = FAILURES[how]
    faulty = Faulty(answer, path="/v1/")
    with Collector(rules=[control(), faulty]) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir))
        log_each(run, range(COUNT))
        wait_until(lambda: run.diagnostics().last_error is not None, 20)
        assert not run.flush(0.1)
        failing = run.diagnostics()
        faulty.mend()
        assert run.flush(20)
        mended = run.diagnostics()
        assert run.finish(10)

    assert why in (failing.last_error or "")
    assert failing.health == "degraded"
    assert failing.failed_flush_attempts > 0
    assert_account(failing, waiting=COUNT)
    assert mended.last_error is None
    assert mended.health == "healthy"
    assert_account(mended, delivered=COUNT)
    assert received(collector) == each(range(COUNT))


@pytest.mark.parametrize("how", FAILURES)
def test_a_server_that_fails_keeps_a_spool_waiting_and_loses_nothing(spool_dir: Path, how: str) -> None:
    """However a server fails, `rundial sync` ends in time and keeps the records; the next one sends all."""
    answer, why = FAILURES[how]
    faulty = Faulty(answer, path="/v1/")
    with Collector(rules=[faulty]) as collector:
        with own_parts():
            run = rd.init(**options(collector, spool_dir, mode="offline"))
            log_each(run, range(COUNT))
            assert run.finish(10)
        first = sync([spool_dir], to=collector.url, api_key="rdk_old", timeout_s=0.7)
        faulty.mend()
        second = sync([spool_dir], to=collector.url, api_key="rdk_old", timeout_s=20)

    # A sync gives each request ten seconds, so one that hangs has no other reason yet.
    assert why in first.results[0].why or ("complete answer" in why and "time" in first.results[0].why)
    assert first.results[0].waiting == {"points": COUNT, "lines": COUNT, "spans": COUNT, "artifacts": 0}
    assert [result.why for result in second.results] == [""]
    assert second.results[0].delivered == {"points": COUNT, "lines": COUNT, "spans": COUNT, "artifacts": 0}
    assert received(collector) == each(range(COUNT))


def test_503_for_30_seconds_misses_nothing(spool_dir: Path) -> None:
    """A server that is overloaded for half a minute while a run goes on gets all of it afterwards, once."""
    faulty, pause = Faulty(503, path="/v1/"), threading.Event()
    with Collector(rules=[control(), faulty]) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir))
        for second in range(30):
            log_each(run, range(second * 20, second * 20 + 20))
            pause.wait(1)
        failing = run.diagnostics()
        faulty.mend()
        assert run.flush(30)
        mended = run.diagnostics()
        assert run.finish(10)

    assert "answered 503" in (failing.last_error or "")
    assert failing.retry_attempts > 0
    assert_account(failing, waiting=600)
    assert_account(mended, delivered=600)
    assert received(collector) == each(range(600))


@pytest.mark.parametrize("how", ["lost answer", "half answer"])
def test_an_answer_that_is_lost_doubles_nothing(spool_dir: Path, how: str) -> None:
    """What the server took and could not say so is sent again, and known again by its identity."""
    faulty = Faulty(how, path="/v1/")
    with Collector(rules=[control(), faulty]) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir))
        log_each(run, range(COUNT))
        wait_until(lambda: run.diagnostics().last_error is not None, 20)
        failing = run.diagnostics()
        faulty.mend()
        assert run.flush(20)
        mended = run.diagnostics()
        assert run.finish(10)

    assert "connection lost" in (failing.last_error or "")
    assert mended.retry_attempts > 0
    assert_account(mended, delivered=COUNT)
    assert stored_once(collector) == each(range(COUNT))


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs", "/v1/traces"])
def test_a_connection_reset_in_mid_body_loses_nothing(spool_dir: Path, path: str) -> None:
    """A request that is cut off while its body is on its way is sent again, whole, and stored once."""
    cuts: list[int] = []

    def cut_at(asked: str, size: int) -> int | None:
        if asked != path or len(cuts) == 3:
            return None
        cuts.append(size)
        return size // 2

    with Collector(rules=[control()], cut_at=cut_at) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir))
        log_each(run, range(COUNT))
        wait_until(lambda: len(cuts) == 3, 20)
        assert run.flush(20)
        found = run.diagnostics()
        assert run.finish(10)

    assert found.failed_flush_attempts >= 3
    assert found.retry_attempts >= 1
    assert_account(found, delivered=COUNT)
    assert received(collector) == each(range(COUNT))


def test_a_large_request_that_stops_half_way_loses_nothing(spool_dir: Path) -> None:
    """A request too large for the network's buffers, reset before the server has read it, is sent again."""
    cuts: list[int] = []

    def cut_at(path: str, size: int) -> int | None:
        if path != "/v1/logs" or size < 100_000 or len(cuts) == 2:
            return None
        cuts.append(size)
        return 1_000

    with Collector(rules=[control()], cut_at=cut_at) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir, ring_bytes=16 << 20, request_timeout_seconds=5))
        # Hexadecimal digits halve at best: the request is above what two socket buffers hold at first.
        for step in range(1_000):
            assert run.log_text(f"line {step} {os.urandom(4_000).hex()}")
        wait_until(lambda: len(cuts) == 2, 20)
        assert run.flush(30)
        found = run.diagnostics()
        assert run.finish(10)

    assert min(cuts) >= 100_000
    assert found.ledger.closes
    assert found.ledger.lines.delivered == 1_000
    assert received(collector)["lines"] == list(range(1_000))


def test_a_server_that_knows_no_traces_gets_the_rest(spool_dir: Path) -> None:
    """404 for one signal, as a metrics-only collector answers, holds up no other; sync delivers it later."""
    no_traces = Faulty(STALE, path="/v1/traces")
    with Collector(rules=[control(), no_traces]) as collector:
        with own_parts():
            run = rd.init(**options(collector, spool_dir))
            log_each(run, range(COUNT))
            wait_until(lambda: len(collector.points) == COUNT and len(collector.lines) == COUNT, 10)
            assert not run.finish(0.5)
        assert collector.spans == []
        no_traces.mend()
        report = sync([spool_dir], to=collector.url, api_key="rdk_old", timeout_s=20)

    assert [result.why for result in report.results] == [""]
    assert received(collector) == each(range(COUNT))


def test_a_stale_build_is_named_before_a_run_starts(spool_dir: Path) -> None:
    """A server without the run's routes raises at once, with advice, and leaves nothing behind."""
    with (
        Collector(rules=[Faulty(STALE, path="/")]) as collector,
        own_parts(),
        pytest.raises(RundialRequestError, match="older than the client; upgrade and restart") as raised,
    ):
        rd.init(**options(collector, spool_dir))

    assert raised.value.status_code == 404
    assert list(spool_dir.iterdir()) == []


@pytest.mark.parametrize("how", ["hang", "trickle body", "reset", 503, 429])
def test_a_server_that_fails_at_the_start_is_told_of_the_run_later(spool_dir: Path, how: Answer) -> None:
    """A server that cannot answer keeps no run from starting; what it missed comes later, the start too."""
    faulty = Faulty(how, path="/")
    with Collector(rules=[faulty, control()]) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir, init_timeout_seconds=0.4), config={"lr": 0.1})
        log_each(run, range(COUNT))
        faulty.mend()
        assert run.flush(20)
        found = run.diagnostics()
        assert run.finish(10)

    assert_account(found, delivered=COUNT)
    assert received(collector) == each(range(COUNT))
    started = [event.body for event in collector.events if event.event_name == semconv.EVENT_RUN_START]
    assert [body["config"] for body in started] == [{"lr": 0.1}]


@pytest.mark.parametrize("status", [401, 403, 405])
def test_a_server_that_refuses_the_start_raises_before_anything_is_made(spool_dir: Path, status: int) -> None:
    """A key or an endpoint that is wrong from the start is told at once, with advice, and not after hours."""
    with (
        Collector(rules=[Faulty(status, path="/")]) as collector,
        own_parts(),
        pytest.raises(RundialRequestError, match=f"HTTP {status}") as raised,
    ):
        rd.init(**options(collector, spool_dir))

    assert raised.value.status_code == status
    assert "rdk_old" not in str(raised.value)
    assert list(spool_dir.iterdir()) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_gets_no_request_and_no_key(spool_dir: Path, status: int) -> None:
    """Wherever a server points, the key and the records stay home; the run says where it was sent."""
    with Collector() as other:
        away = [redirect(f"{other.url}/login?token=rdt_secret", status)]
        with (
            Collector(rules=[control(), lambda request: away[0](request) if away else None]) as collector,
            own_parts(),
        ):
            run = rd.init(**options(collector, spool_dir))
            log_each(run, range(COUNT))
            wait_until(lambda: run.diagnostics().last_error is not None, 20)
            assert not run.flush(0.1)
            failing = run.diagnostics()
            away.clear()
            assert run.flush(20)
            mended = run.diagnostics()
            assert run.finish(10)

    assert (other.connections, other.requests) == (0, [])
    assert f"answered {status}, a redirect to {other.url}" in (failing.last_error or "")
    assert "secret" not in (failing.last_error or "")
    assert_account(failing, waiting=COUNT)
    assert_account(mended, delivered=COUNT)
    assert received(collector) == each(range(COUNT))


def test_a_redirect_at_the_start_gets_no_request_and_no_key(spool_dir: Path) -> None:
    """A login page's redirect raises in `init`, with advice, and the key does not follow it."""
    with (
        Collector() as other,
        Collector(rules=[redirect(f"{other.url}/login?t=secret")]) as collector,
        own_parts(),
        pytest.raises(RundialRequestError, match="which was not followed") as raised,
    ):
        rd.init(**options(collector, spool_dir))

    assert (other.connections, other.requests) == (0, [])
    assert "secret" not in str(raised.value)


ENDINGS: dict[str, Answer] = {
    **{how: answer for how, (answer, _) in FAILURES.items()},
    "400": 400,
    "401": 401,
    "413": 413,
    "429": (429, {"Retry-After": "60"}),
    "503": 503,
    "half answer": "half answer",
    "redirect": (302, {"Location": "http://127.0.0.1:1/"}),
}
OWN = {"ValueError('mine')": 1, "KeyboardInterrupt()": -2, "SystemExit(7)": 7}


# What Rundial says of a run, at its end and on the way there.
OURS = ("run ", "rundial: ")


@pytest.mark.parametrize(
    ("how", "error"),
    [(how, "ValueError('mine')") for how in ENDINGS]
    + [
        (how, error) for how in ("500", "never answers") for error in ("KeyboardInterrupt()", "SystemExit(7)")
    ],
)
def test_the_users_exception_leaves_as_it_came(spool_dir: Path, how: str, error: str) -> None:
    """However the server fails at a run's end, the program ends by its own exception and status."""
    with Collector(rules=[control(), Faulty(ENDINGS[how], path="/v1/")]) as collector:
        script = start_script(
            """
            import time
            with rd.init(**given["options"]) as run:
                run.log({"x": 1.0}, step=0)
                run.log_text("line 0")
                span = run.trace("span 0").__enter__()
                span.finish()
                try:
                    with run.trace("failing"):
                        raise eval(given["error"])
                finally:
                    sys.stdout.write(json.dumps({"begun": time.monotonic()}))
                    sys.stdout.flush()
            """,
            options=options(collector, spool_dir),
            error=error,
        )
        done = end_of(script, 30)
        collector.release()

    assert json.loads(done.stdout)["begun"] > 0
    assert done.status == OWN[error]
    if error != "SystemExit(7)":
        # The program's own last words stand before what Rundial says at the exit.
        last = [line for line in done.stderr.splitlines() if not line.startswith(OURS)][-1]
        assert last in ("ValueError: mine", "KeyboardInterrupt")
    assert "During handling" not in done.stderr
