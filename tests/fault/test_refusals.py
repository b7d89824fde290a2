"""Servers that refuse: what a run keeps, what it says, and how it goes on when they stop refusing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.adopt import sync
from tests.support.collector import Answer, Collector, Rule, key_required
from tests.support.control import Faulty, control
from tests.support.processes import own_parts
from tests.support.scripts import end_of, start_script
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault

STALE: Answer = (
    404,
    {"Content-Type": "application/json"},
    b'{"error":{"code":"NOT_FOUND","message":"no route"}}',
)


def options(collector: Collector, spool: Path, **more: object) -> dict[str, Any]:
    """Arguments of a run against the scripted server."""
    return {
        "project": "refused",
        "endpoint": collector.url,
        "api_key": "rdk_old",
        "spool_directory": str(spool),
        "ring_bytes": 1 << 20,
        "finish_timeout_seconds": 0.5,
        **more,
    }


def log_all(run: Any, first: int, count: int) -> None:
    """Log some of each signal."""
    for step in range(first, first + count):
        assert run.log({"x": float(step)}, step=step)
        assert run.log_text(f"line {step}")
        with run.trace(f"span {step}"):
            pass


def assert_all(collector: Collector, count: int) -> None:
    """Each record is there once."""
    assert [point.step for point in collector.points] == list(range(count))
    assert [line.body for line in collector.lines] == [f"line {step}" for step in range(count)]
    assert sorted(span.name for span in collector.spans) == sorted(f"span {step}" for step in range(count))


@pytest.mark.parametrize("answer", [403, STALE, 405], ids=["403", "404 of a stale build", "405"])
def test_a_server_that_refuses_all_keeps_a_run_waiting_and_loses_nothing(
    spool_dir: Path, answer: Answer
) -> None:
    """Forbidden or unknown, the records wait and the run says why; when the server takes them, all arrive."""
    faulty = Faulty(answer, path="/v1/")
    with Collector(rules=[control(), faulty]) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir))
        log_all(run, 0, 50)
        assert not run.flush(1)
        while_refused = run.diagnostics()
        faulty.mend()
        assert run.flush(10)
        after = run.diagnostics()
        assert run.finish(10)

    assert while_refused.health == "degraded"
    assert str(answer if isinstance(answer, int) else 404) in (while_refused.last_error or "")
    assert while_refused.ledger.closes
    assert while_refused.ledger.points.waiting == 50
    assert after.last_error is None
    assert after.ledger.points.delivered == 50
    assert_all(collector, 50)


def test_a_server_that_knows_no_traces_gets_the_rest(spool_dir: Path) -> None:
    """404 for one signal, as a metrics-only collector answers, holds up no other; sync delivers it later."""
    no_traces = Faulty(404, path="/v1/traces")
    with Collector(rules=[control(), no_traces]) as collector:
        with own_parts():
            run = rd.init(**options(collector, spool_dir))
            log_all(run, 0, 50)
            wait_until(lambda: len(collector.points) == 50 and len(collector.lines) == 50, 10)
            assert not run.finish(0.5)
        assert collector.spans == []
        no_traces.mend()
        report = sync([spool_dir], to=collector.url, api_key="rdk_old", timeout_s=20)

    assert [result.why for result in report.results] == [""]
    assert_all(collector, 50)


def test_a_key_that_is_replaced_in_mid_run_is_used_from_then_on(spool_dir: Path, home: Path) -> None:
    """A key that expires loses nothing: what waited is delivered with the new one, by the next to have it."""
    gate: list[Rule] = [key_required("rdk_old")]
    with Collector(rules=[control(), lambda request: gate[0](request)]) as collector:
        with own_parts():
            run = rd.init(**options(collector, spool_dir))
            log_all(run, 0, 20)
            assert run.flush(10)
            gate[0] = key_required("rdk_new")
            log_all(run, 20, 20)
            assert not run.flush(1)
            while_refused = run.diagnostics()
            assert not run.finish(0.5)
        with own_parts():
            second = rd.init(**options(collector, spool_dir, api_key="rdk_new"))
            assert second.log({"second": 1.0}, step=0)
            wait_until(lambda: not (spool_dir / run.run_id).exists(), 20)
            assert second.finish(10)

    assert "401" in (while_refused.last_error or "")
    assert "rdk_" not in (while_refused.last_error or "")
    assert sorted(point.step or 0 for point in collector.points if point.name == "x") == list(range(40))
    assert len(collector.lines) == len(collector.spans) == 40
    assert list(home.rglob("*rdk_*")) == []


@pytest.mark.parametrize("how", ["500", "hang", "reset", "html", "401"])
@pytest.mark.parametrize("error", ["ValueError('mine')", "KeyboardInterrupt()", "SystemExit(7)"])
def test_the_users_exception_leaves_as_it_came(spool_dir: Path, how: str, error: str) -> None:
    """However the server fails at a run's end, the program ends by its own exception and status."""
    broken = Faulty(int(how) if how.isdigit() else how, path="/v1/")
    with Collector(rules=[control(), broken]) as collector:
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
        done = end_of(script, 20)
        collector.release()

    assert json.loads(done.stdout)["begun"] > 0
    assert done.status == {"V": 1, "K": -2, "S": 7}[error[0]]
    if error[0] != "S":
        last = [line for line in done.stderr.splitlines() if not line.startswith("run ")][-1]
        assert last in ("ValueError: mine", "KeyboardInterrupt")
    assert "During handling" not in done.stderr
