"""A server that is away, killed, or not there yet costs a run nothing."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.adopt import sync
from rundial.api.client import Client
from rundial.api.run import Run
from tests.support.program import ServerProgram
from tests.support.stored import Stored, read

PROJECT = "outage"

pytestmark = pytest.mark.fault


@pytest.fixture
def options(server: ServerProgram, tmp_path: Path) -> dict[str, Any]:
    """Arguments of `init` for the test's server."""
    return {
        "project": PROJECT,
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(tmp_path / "spool"),
    }


class Logging:
    """Logs steadily from a thread of its own until it is stopped."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stop = threading.Event()
        self.accepted = 0
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def stop(self) -> int:
        """Return how many steps were accepted, 1 to that many."""
        self._stop.set()
        self._thread.join()
        return self.accepted

    def _work(self) -> None:
        for step in itertools.count(1):
            if self._stop.wait(0.002):
                return
            assert self._run.log({"loss": 1 / step}, step=step)
            if step % 10 == 0:
                assert self._run.log_text(f"step {step}")
            self.accepted = step


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, PROJECT, run_id)


def assert_whole(found: Stored, steps: int) -> None:
    """All steps and lines are stored once, in order, and the ledger says so."""
    assert [step for _, step, _ in found.points] == list(range(1, steps + 1))
    assert found.lines == [f"step {step}" for step in range(10, steps + 1, 10)]
    assert found.details["ledger"]["complete"], found.details["ledger"]


def test_a_server_away_for_30_seconds_misses_nothing(server: ServerProgram, options: dict[str, Any]) -> None:
    """A run goes on while its server is stopped, and all of it is stored when the server is back."""
    run = rd.init(**options)
    logging = Logging(run)
    assert run.flush(10)

    server.stop()
    threading.Event().wait(30)
    waiting = run.diagnostics()
    server.start()
    steps = logging.stop()

    assert waiting.last_error is not None
    assert waiting.pending_spooled_batches > 0
    assert run.flush(60)
    assert run.finish()
    assert_whole(stored(server, run.run_id), steps)


def test_a_run_may_start_before_its_server(server: ServerProgram, options: dict[str, Any]) -> None:
    """A run warns and records when the server is down; the run is announced and stored later."""
    key = server.key
    server.stop()

    run = rd.init(**{**options, "api_key": key}, config={"lr": 0.1}, name="early")
    logging = Logging(run)
    server.start()
    threading.Event().wait(1)
    steps = logging.stop()

    assert run.flush(70)
    assert run.finish()
    found = stored(server, run.run_id)
    assert_whole(found, steps)
    assert found.details["config"] == {"lr": 0.1}
    assert found.details["runName"] == "early"
    assert found.details["status"] == "completed"


def test_a_server_killed_while_a_client_sends_loses_nothing(
    server: ServerProgram, options: dict[str, Any]
) -> None:
    """What the server acknowledged survives its own SIGKILL, and what it did not is sent again."""
    run = rd.init(**options)
    logging = Logging(run)
    for _ in range(5):
        threading.Event().wait(0.7)
        server.kill()
        server.start()
    steps = logging.stop()

    assert run.flush(60)
    assert run.finish()
    assert_whole(stored(server, run.run_id), steps)


def test_offline_then_sync_is_the_same_run(server: ServerProgram, options: dict[str, Any]) -> None:
    """An offline run that finished is delivered by `rundial sync` as if it had been online."""
    run = rd.init(**options, mode="offline", name="away", tags=["x"])
    logging = Logging(run)
    threading.Event().wait(0.5)
    steps = logging.stop()
    assert run.finish()

    report = sync([Path(options["spool_directory"])], endpoint=server.url, api_key=server.key, timeout_s=30)

    assert [result.why for result in report.results] == [""]
    found = stored(server, run.run_id)
    assert_whole(found, steps)
    assert found.details["status"] == "completed"
    assert found.details["tags"] == ["x"]
