"""A key that the server refuses in mid-run, and the ways in which a run comes to a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial import profiles
from rundial.api.adopt import sync
from tests.support.collector import Answer, Collector, Request
from tests.support.control import control
from tests.support.each_signal import assert_account, each, has_all, log_each, received
from tests.support.processes import own_parts
from tests.support.scripts import end_of, start_script
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault

OLD, NEW = "rdk_old_secret", "rdk_new_secret"
# A refused lane tries again by itself after 30 s: what comes within this came because of the new key.
SOON_S = 15.0


class Gate:
    """A rule that takes one key and refuses every other."""

    def __init__(self, key: str, status: int) -> None:
        self.key = key
        self._status = status

    def __call__(self, request: Request) -> Answer | None:
        """Answer a request, None when its key is right."""
        is_right = request.headers.get("authorization") == f"Bearer {self.key}"
        return None if is_right else self._status


def options(collector: Collector, spool: Path, **more: object) -> dict[str, Any]:
    """Arguments of a run against the scripted server; they hold no key."""
    return {
        "project": "refused",
        "endpoint": collector.url,
        "spool_directory": str(spool),
        "ring_bytes": 1 << 20,
        "finish_timeout_seconds": 0.5,
        **more,
    }


def store(collector: Collector, key: str) -> None:
    """Write a key into the account's profile for a server."""
    profiles.store_local(collector.url, key, "default-workspace")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("way", ["run.client.api_key", "profile"])
def test_a_new_key_in_mid_run_sends_at_once_what_waited(spool_dir: Path, way: str, status: int) -> None:
    """A key that expires loses nothing: the next one is used as soon as it is set or stored."""
    gate = Gate(OLD, status)
    with Collector(rules=[control(), gate]) as collector, own_parts():
        store(collector, OLD)
        given = {} if way == "profile" else {"api_key": OLD}
        run = rd.init(**options(collector, spool_dir, **given))
        log_each(run, range(20))
        assert run.flush(10)
        gate.key = NEW
        log_each(run, range(20, 40))
        wait_until(lambda: run.diagnostics().failed_flush_attempts >= 3, 10)
        refused = run.diagnostics()
        if way == "profile":
            store(collector, NEW)
        else:
            run.client.api_key = NEW
        assert collector.wait_for(lambda: has_all(collector, 40), SOON_S)
        assert run.flush(10)
        after = run.diagnostics()
        assert run.client.api_key == NEW
        assert run.finish(10)

    assert f"answered {status}" in (refused.last_error or "")
    assert "secret" not in (refused.last_error or "")
    assert refused.health == "degraded"
    assert_account(after, delivered=40)
    assert after.last_error is None
    assert received(collector) == each(range(40))


def test_a_key_that_is_set_twice_is_right_in_the_end(spool_dir: Path) -> None:
    """A mistyped key is refused like the old one, and the next correction still takes effect at once."""
    gate = Gate(NEW, 401)
    with Collector(rules=[control(), gate]) as collector, own_parts():
        run = rd.init(**options(collector, spool_dir, api_key=OLD))
        log_each(run, range(20))
        wait_until(lambda: run.diagnostics().failed_flush_attempts >= 3, 10)
        run.client.api_key = "rdk_mistyped"
        wait_until(lambda: run.diagnostics().failed_flush_attempts >= 6, 10)
        run.client.api_key = NEW
        assert collector.wait_for(lambda: has_all(collector, 20), SOON_S)
        assert run.finish(10)

    assert received(collector) == each(range(20))


def test_a_program_in_another_process_sees_the_key_that_is_stored(spool_dir: Path) -> None:
    """Storing a key for its server is enough for a training run that has been refused for hours."""
    gate = Gate(NEW, 401)
    with Collector(rules=[control(), gate]) as collector:
        store(collector, OLD)
        script = start_script(
            """
            run = rd.init(**given["options"])
            for step in range(20):
                assert run.log({"x": float(step)}, step=step)
                assert run.log_text(f"line {step}")
                with run.trace(f"span {step}"):
                    pass
            sys.stdin.readline()
            """,
            options=options(collector, spool_dir),
        )
        assert script.stdin is not None
        assert collector.wait_for(lambda: len(collector.requests) >= 5)
        store(collector, NEW)
        assert collector.wait_for(lambda: has_all(collector, 20), SOON_S)
        done = end_of(script)

    assert done.status == 0, done.stderr
    assert "secret" not in done.stderr
    assert received(collector) == each(range(20))


def test_a_run_that_ended_with_an_expired_key_is_sent_with_the_next_one(spool_dir: Path) -> None:
    """What an expired key left on disk is delivered by the next run of the machine that has a new one."""
    gate = Gate(NEW, 401)
    with Collector(rules=[control(), gate]) as collector:
        with own_parts():
            run = rd.init(**options(collector, spool_dir, api_key=OLD))
            log_each(run, range(40))
            assert not run.finish(0.5)
        left = [path.read_bytes() for path in spool_dir.rglob("*") if path.is_file()]
        with own_parts():
            second = rd.init(**options(collector, spool_dir, api_key=NEW))
            wait_until(lambda: not (spool_dir / run.run_id).exists(), 20)
            assert second.finish(10)

    assert received(collector) == each(range(40))
    assert left
    assert [content for content in left if b"secret" in content] == []


def test_sync_uses_the_key_that_is_stored_now(spool_dir: Path) -> None:
    """After an expired key, storing the new one and `rundial sync` is all that there is to do."""
    gate = Gate(NEW, 401)
    with Collector(rules=[control(), gate]) as collector:
        store(collector, OLD)
        with own_parts():
            run = rd.init(**options(collector, spool_dir))
            log_each(run, range(40))
            assert not run.finish(0.5)
        refused = sync([spool_dir], timeout_s=20)
        store(collector, NEW)
        report = sync([spool_dir], timeout_s=20)

    assert [result.is_refused for result in refused.results] == [True]
    assert [result.why for result in report.results] == [""]
    assert received(collector) == each(range(40))


def test_a_key_of_a_child_is_its_own(spool_dir: Path) -> None:
    """A key set after a fork counts in the process that set it, and wakes that process's own sender."""
    gate = Gate(NEW, 401)
    with Collector(rules=[control(), gate]) as collector:
        done = end_of(
            start_script(
                """
                import os
                run = rd.init(**given["options"])
                child = os.fork()
                if child == 0:
                    assert run.log({"x": 1.0}, step=0)
                    while not run.diagnostics().last_error:
                        run.flush(0.1)
                    run.client.api_key = given["key"]
                    assert run.finish(20)
                    os._exit(0)
                _, status = os.waitpid(child, 0)
                assert status == 0, status
                assert run.client.api_key == given["options"]["api_key"]
                """,
                options=options(collector, spool_dir, api_key=OLD),
                key=NEW,
            )
        )

    assert done.status == 0, done.stderr
    assert [int(point.value) for point in collector.points] == [1]
