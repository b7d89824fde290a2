"""Retries and shared directories that stored points twice or more, against a real server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3

from rundial.api.client import Client
from rundial.api.run import Run
from tests.support.collector import Answer, Collector, Request
from tests.support.control import exports
from tests.support.program import ServerProgram
from tests.support.scripts import end_of, start_script
from tests.support.stored import Stored, read

Start = Callable[..., Run]

pytestmark = pytest.mark.fault


class Relay:
    """A rule that passes requests on to a real server, and loses its answers while it is told to.

    Attributes:
        lost: How the next answers to metrics are lost, one each.
    """

    def __init__(self, server: ServerProgram, lost: list[Answer]) -> None:
        self._url = server.url
        self._pool = urllib3.PoolManager(retries=False, timeout=10.0)
        self.lost = lost

    def __call__(self, request: Request) -> Answer:
        """Have the server take the request; answer with what it said, or lose that."""
        kept = ("authorization", "content-type", "content-encoding")
        headers = {name: value for name, value in request.headers.items() if name in kept}
        answer = self._pool.request("POST", self._url + request.path, body=request.body, headers=headers)
        if request.path == "/v1/metrics" and self.lost:
            assert answer.status == 200, answer.data
            return self.lost.pop(0)
        kind = answer.headers.get("content-type", "application/x-protobuf")
        # An empty protobuf answer would have the collector make one of its own; it is the same.
        return (answer.status, {"Content-Type": kind}, answer.data)

    def close(self) -> None:
        """Close the connections to the server."""
        self._pool.clear()


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, "digits", run_id)


@pytest.mark.parametrize("lost", ["reset", "hang", 503, ("200", {"Content-Type": "text/html"}, b"<html>")])
def test_d1_an_answer_that_is_lost_stores_nothing_twice(
    server: ServerProgram, start: Start, collector: Collector, lost: Answer
) -> None:
    """A request whose answer never comes is sent again, and the server knows it: each point is there once."""
    relay = Relay(server, [lost] * 3)
    collector.rules = [relay]
    run = start(api_key=server.key, run_id="once", request_timeout_seconds=0.5)
    for step in range(50):
        assert run.log({"x": step}, step=step)
    while relay.lost:
        run.flush(0.2)
    collector.release()
    assert run.finish(15)
    relay.close()

    assert len(exports(collector)) >= 4, "it was sent again"
    found = stored(server, "once")
    assert found.points == [("x", step, float(step)) for step in range(50)]
    assert found.details["counts"]["points"] == 50
    assert found.details["ledger"]["complete"]


def test_d2_processes_that_share_a_directory_send_each_point_once(server: ServerProgram) -> None:
    """Four programs in one working directory deliver what each of them logged, once."""
    text = """
        with rd.init(project="digits", **given) as run:
            for step in range(1500):
                assert run.log({"x": step}, step=step)
            assert run.flush(30)
    """
    scripts = [
        start_script(text, run_id=f"run{n}", endpoint=server.url, api_key=server.key) for n in range(4)
    ]
    for script in scripts:
        done = end_of(script)
        assert done.status == 0, done.stderr

    for number in range(4):
        found = stored(server, f"run{number}")
        assert found.points == [("x", step, float(step)) for step in range(1500)]
        assert found.details["counts"]["points"] == 1500
        assert found.details["ledger"]["complete"]
    assert not list(Path().rglob("*.seg"))


def test_d2_two_runs_in_one_process_send_each_point_once(server: ServerProgram, start: Start) -> None:
    """Two runs in one process, over one directory, deliver what each of them logged, once."""
    runs = [start(endpoint=server.url, api_key=server.key, run_id=f"run{number}") for number in range(2)]
    for step in range(2000):
        for run in runs:
            assert run.log({"x": step}, step=step)
    for run in runs:
        assert run.finish(15)

    for number in range(2):
        found = stored(server, f"run{number}")
        assert Counter(found.points) == Counter(("x", step, float(step)) for step in range(2000))
        assert found.details["counts"]["points"] == 2000
