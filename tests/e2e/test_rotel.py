"""A whole run through the real Rotel, started by the file that `collector/` has for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from rundial.api.client import Client
from tests.support.collector import Collector
from tests.support.program import ServerProgram
from tests.support.relay import forward
from tests.support.rotel import Rotel, program
from tests.support.scripts import end_of, start_script
from tests.support.stored import FAR_MS, Stored, read
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(program() is None, reason="PyPI has no Rotel for this machine"),
]

STEPS, PAUSES = 300, 3
BASE_MS = 1_700_000_000_000
# Between its parts it waits to be told to go on; its times are its own, so that they can be looked up.
PROGRAM = """
with rd.init(**given["options"]) as run:
    for step in range(given["steps"]):
        run.log_metric("loss", value=1 / (step + 1), step=step, time_ms=given["base_ms"] + step)
        if step % 10 == 0:
            run.log_text(f"step {step}")
        with run.trace("step"):
            pass
        if (step + 1) % (given["steps"] // given["pauses"]) == 0:
            assert run.flush(given["flush_s"]) or given["flush_s"] < 1
            print(run.run_id, flush=True)
            sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def no_profile(server: ServerProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program knows nothing of the server, which has stored its address as a profile."""
    del server
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def upstream(server: ServerProgram) -> Iterator[Collector]:
    """What Rotel sends to: the server, behind something that can refuse."""
    with Collector(rules=[forward(server)]) as endpoint:
        yield endpoint


@pytest.fixture
def rotel(server: ServerProgram, upstream: Collector, tmp_path: Path) -> Iterator[Rotel]:
    """The agent between program and server."""
    with Rotel(upstream.url, server.key, tmp_path / "rotel.log") as agent:
        yield agent


class Program:
    """The program, which goes on when it is told to."""

    def __init__(self, rotel: Rotel, tmp_path: Path, *, flush_s: float = 30) -> None:
        options = {
            "project": "relay",
            "otlp_endpoint": rotel.url,
            "spool_directory": str(tmp_path / "spool"),
            "system_metrics": False,
            "retry_max_delay_seconds": 0.2,
            "finish_timeout_seconds": 30,
        }
        self._script = start_script(
            PROGRAM,
            options=options,
            steps=STEPS,
            pauses=PAUSES,
            base_ms=BASE_MS,
            flush_s=flush_s,
        )
        self.run_id = ""

    def part(self) -> None:
        """Wait for the end of its next part."""
        assert self._script.stdout is not None
        self.run_id = self._script.stdout.readline().strip()
        assert self.run_id

    def go_on(self) -> None:
        """Let it begin the one after."""
        assert self._script.stdin is not None
        self._script.stdin.write("\n")
        self._script.stdin.flush()

    def end(self) -> None:
        """Let it end."""
        done = end_of(self._script)
        assert done.status == 0, done.stderr
        assert "Traceback" not in done.stderr


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, "relay", run_id)


def details_of(server: ServerProgram, run_id: str) -> dict[str, Any]:
    """What the server says of the run; nothing while it knows none."""
    try:
        return server.get(f"/api/v1/workspaces/default-workspace/projects/relay/runs/{run_id}")
    except HTTPError:
        return {}


def is_stored(server: ServerProgram, run_id: str) -> bool:
    """Whether the run's end and account have come, and all that they tell of."""
    found = details_of(server, run_id)
    return bool(found) and found["status"] == "completed" and bool(found["ledger"]["complete"])


def points_of(server: ServerProgram, run_id: str) -> int:
    """How many points of the run the server has."""
    found = details_of(server, run_id)
    return int(found["counts"]["points"]) if found else 0


def times_of(server: ServerProgram, run_id: str) -> list[tuple[int, int]]:
    """Step and time of every stored point, by step."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        found = stored(server, run_id)
        page = client.export_metrics_page(
            project_id=str(found.details["projectId"]), run_id=run_id, start_ms=0, end_ms=FAR_MS, limit=1000
        )
    return [(row["step"], row["timestampMs"] - BASE_MS) for row in page["rows"]]


def assert_whole(server: ServerProgram, run_id: str) -> None:
    """Every point is there once with its step and its time, and so is the text and the spans."""
    wait_until(lambda: is_stored(server, run_id), 30)
    found = stored(server, run_id)
    assert found.points == [("loss", step, 1 / (step + 1)) for step in range(STEPS)]
    assert times_of(server, run_id) == [(step, step) for step in range(STEPS)]
    assert found.lines == [f"step {step}" for step in range(0, STEPS, 10)]
    assert found.details["counts"] == {"points": STEPS, "lines": STEPS // 10, "spans": STEPS}


def test_a_run_passes_through_while_rotel_is_restarted(
    server: ServerProgram, rotel: Rotel, tmp_path: Path
) -> None:
    """An agent that leaves in order costs nothing: what it is not there for waits in the spool."""
    run = Program(rotel, tmp_path, flush_s=0.1)
    run.part()
    assert rotel.stop() == 0
    run.go_on()
    run.part()
    rotel.start()
    run.go_on()
    run.part()
    assert rotel.stop() == 0
    rotel.start()
    run.end()

    assert_whole(server, run.run_id)


def test_a_run_passes_through_refusals_and_repetitions(
    server: ServerProgram, upstream: Collector, rotel: Rotel, tmp_path: Path
) -> None:
    """A server that is busy now and then, and gets every request twice, has the run once and whole."""
    upstream.rules = [forward(server, times=2)]
    upstream.script += [503, 429, 503, 503]
    run = Program(rotel, tmp_path)
    run.part()
    run.go_on()
    run.part()
    upstream.script += [503, 503, (503, {"Retry-After": "1"})]
    run.go_on()
    run.part()
    run.end()

    assert_whole(server, run.run_id)
    refused = len(upstream.requests) - len(upstream.script)
    assert refused > 7
    assert upstream.script == []


def test_a_killed_rotel_shows_why_a_200_is_not_durability(
    server: ServerProgram, upstream: Collector, rotel: Rotel, tmp_path: Path
) -> None:
    """What it had accepted and not passed on is gone, and the server says of the run how much that is."""
    run = Program(rotel, tmp_path)
    run.part()
    wait_until(lambda: points_of(server, run.run_id) == STEPS // PAUSES, 30)
    upstream.script += ["503"] * 10_000
    run.go_on()
    run.part()
    rotel.kill()
    upstream.script.clear()
    rotel.start()
    run.go_on()
    run.part()
    run.end()

    wait_until(lambda: details_of(server, run.run_id)["status"] == "completed", 30)
    ledger = details_of(server, run.run_id)["ledger"]
    assert ledger["points"]["recorded"] == STEPS
    assert ledger["points"]["missing"] == STEPS // PAUSES
    assert not ledger["complete"]
