"""Defects of the published client as far as they are the client's own."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rundial.api.adopt import sync
from rundial.api.client import Client
from rundial.api.run import Run
from rundial.api.session import Session
from rundial.errors import RundialRequestError
from tests.support.collector import Answer, Collector
from tests.support.control import Faulty, control, exports
from tests.support.ourthreads import note_threads, threads, wait_for_no_threads

Start = Callable[..., Run]
PLACE: dict[str, Any] = {"project_id": "prj_1", "run_id": "r"}


class Awkward:
    """An object whose every conversion fails."""

    def __float__(self) -> float:
        raise RuntimeError("a tensor of several elements")

    def __str__(self) -> str:
        raise RuntimeError("no text either")


BAD: list[Any] = [None, "0.5", [1.0], {"deep": {"er": "text"}}, 1 + 2j, np.arange(3.0), 10**400, Awkward()]


@pytest.fixture
def client(collector: Collector, session: Session, spool_dir: Path) -> Client:
    """A client that records to the collector; closed by the tests that are about closing."""
    return Client(collector.url, api_key="rdk_test", spool_directory=spool_dir)


@pytest.fixture(autouse=True)
def own_threads() -> None:
    """A test answers for the threads that began with it."""
    note_threads()


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: type(bad).__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a8_a_bad_value_costs_itself_alone(start: Start, collector: Collector, bad: Any) -> None:
    """What cannot be a point raises nowhere, is counted, and the other entries of the call arrive."""
    with start() as run:
        assert run.log({"before": 1, "bad": bad, "after": 2}, step=1) is False
        assert run.log({"bad": bad}) is False
        assert run.flush(10)

        found = run.diagnostics().ledger.points
        assert found.closes
        assert sum(found.dropped.values()) == 2
    assert [(point.name, point.value) for point in collector.points] == [("before", 1.0), ("after", 2.0)]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: type(bad).__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a8_a_bad_value_raises_out_of_no_client(client: Client, collector: Collector, bad: Any) -> None:
    """The same by way of a client, and for its text."""
    assert client.log_metric(**PLACE, metric_key="bad", step=1, value=bad) is False
    assert client.log_metric(**PLACE, metric_key="x", step=bad, value=1) in (False, bad is None)
    client.log_text(**PLACE, message=bad)
    assert client.log_text(**PLACE, message="hello", level=bad) is False
    assert client.log_metric(**PLACE, metric_key="good", step=1, value=1)
    assert client.close(10)

    assert ("good", 1.0) in [(point.name, point.value) for point in collector.points]
    assert client.diagnostics().ledger.closes


def refused(url: str) -> None:
    """Ask a server, in another process, for something that it refuses."""
    Client(url).get_run_details(workspace_slug="w", project_slug="p", run_id="r")


def test_a9_an_error_travels_between_processes_with_its_facts(collector: Collector) -> None:
    """What a worker was refused is raised in its parent with status, code, words and hint."""
    error = {"code": "CONFLICT", "message": "it exists", "details": {"hint": "Take another id."}}
    body = str({"error": error}).replace("'", '"').encode()
    collector.rules = [lambda _: (409, {"Content-Type": "application/json"}, body)]
    with pytest.raises(RundialRequestError) as raised:
        Client(collector.url).announce_run(project_id="p", run_id="r")
    here = raised.value

    for arrived in (pickle.loads(pickle.dumps(here)), copy.deepcopy(here)):
        assert (str(arrived), vars(arrived)) == (str(here), vars(here))
    assert (here.status_code, here.error_code, here.error_hint) == (409, "CONFLICT", "Take another id.")
    assert {here: 1}[here] == 1


def test_a9_an_error_of_a_worker_is_raised_in_its_parent() -> None:
    """A pool of spawned workers hands on what a call there has raised."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        failure = pool.submit(refused, "http://127.0.0.1:9").exception(15)

    assert isinstance(failure, RundialRequestError)
    assert "could not be reached" in str(failure)


def test_a9_a_span_after_finish_restarts_nothing(client: Client, collector: Collector) -> None:
    """Tracing with a run that has ended is counted, and wakes no thread."""
    run = client.run(**PLACE)
    run.log({"x": 1}, step=1)
    assert run.finish(10)
    assert client.close(10)
    wait_for_no_threads()

    with run.trace("late"):
        pass
    assert threads() == set()
    assert [span.name for span in collector.spans] == []
    assert client.diagnostics().ledger.spans.dropped == {"after_finish": 1}


@pytest.mark.parametrize(
    ("shown", "header", "value"),
    [
        ({"api_key": "rdk_test"}, "authorization", "Bearer rdk_test"),
        ({"session_token": "rds_test"}, "cookie", "rd_session=rds_test"),
    ],
)
def test_a10_telemetry_shows_what_the_calls_show(
    collector: Collector, session: Session, spool_dir: Path, shown: dict[str, str], header: str, value: str
) -> None:
    """Points, text, spans and control requests of a client all carry its key, or all its session."""
    with Client(collector.url, spool_directory=spool_dir, **shown) as client:  # type: ignore[arg-type] # all texts
        run = client.start_run(project_id="prj_1")
        run.log({"x": 1}, step=1)
        run.log_text("hello")
        with run.trace("work"):
            pass
        assert run.finish(10)

    assert {request.path for request in collector.requests} >= {
        "/v1/metrics",
        "/v1/logs",
        "/v1/traces",
        "/api/v1/runs/start",
    }
    assert {request.headers.get(header) for request in collector.requests} == {value}


def test_a10_a_session_that_is_set_later_sends_what_waited(
    collector: Collector, session: Session, spool_dir: Path
) -> None:
    """What a server refused for want of a session is kept, and sent as soon as there is one."""

    def needs_session(request: Any) -> Answer | None:
        return None if "rds_new" in request.headers.get("cookie", "") else 401

    collector.rules = [control(), needs_session]
    with Client(collector.url, session_token="rds_old", spool_directory=spool_dir) as client:
        assert client.log_metric(**PLACE, metric_key="x", step=1, value=1)
        assert collector.wait_for(lambda: len(exports(collector)) > 0)
        client.set_session_token("rds_new")
        assert client.flush(10)

    assert [point.value for point in collector.points] == [1.0]


def test_a11_nothing_is_left_alive_when_a_client_has_closed(
    client: Client, collector: Collector, spool_dir: Path, session: Session
) -> None:
    """Leaving the block sends everything, ends every thread, and leaves no file."""
    with client:
        run = client.start_run(project_id="prj_1")
        for step in range(100):
            run.log({"x": step}, step=step)
        assert threads() >= {"rundial-encoder", "rundial-sender", "rundial-sampler"}

    assert len(collector.points) >= 100
    wait_for_no_threads()
    assert session.parts is None
    assert [path for path in spool_dir.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("answer", ["hang", 503, "reset"])
def test_a11_a_client_closes_in_time_whatever_the_server_does(
    client: Client, collector: Collector, spool_dir: Path, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """Against a broken server `close` is False in its time, ends the threads, and says where the rest is."""
    collector.rules = [control(), Faulty(answer, path="/v1/")]
    client.log_metric(**PLACE, metric_key="x", step=1, value=1)
    started_s = time.monotonic()
    assert client.close(0.5) is False
    elapsed_s = time.monotonic() - started_s
    collector.release()

    assert elapsed_s < 5
    wait_for_no_threads()
    assert f"1 records wait in {spool_dir}" in caplog.text
    assert "rundial sync" in caplog.text


@pytest.mark.parametrize("timeout_s", [0.0, 0.3])
def test_a11_a_client_of_many_runs_leaves_them_all_within_one_deadline(
    client: Client, collector: Collector, spool_dir: Path, timeout_s: float
) -> None:
    """However many runs wait for a dead server, all are left to others, on disk and with their locks free."""
    collector.rules = [control(), Faulty(503, path="/v1/")]
    for number in range(40):
        client.log_metric(project_id="prj_1", run_id=f"r{number}", metric_key="x", step=1, value=number)
    started_s = time.monotonic()
    assert client.close(timeout_s) is False
    assert time.monotonic() - started_s < 5
    wait_for_no_threads()

    collector.rules = [control()]
    report = sync([spool_dir], endpoint=collector.url, to=collector.url)
    assert {result.why for result in report.results} == {""}
    assert sorted(point.value for point in collector.points) == [float(number) for number in range(40)]


def test_a11_what_a_closed_client_has_left_is_delivered_by_the_next(
    client: Client, collector: Collector, spool_dir: Path
) -> None:
    """A client that could not deliver lets go of its spool, in the same process too."""
    broken = Faulty(503, path="/v1/")
    collector.rules = [control(), broken]
    client.log_metric(**PLACE, metric_key="left", step=1, value=1)
    assert client.close(0.3) is False

    broken.mend()
    with Client(collector.url, spool_directory=spool_dir) as another:
        another.log_metric(**PLACE, metric_key="next", step=1, value=2)
        assert another.flush(10)
        assert collector.wait_for(lambda: len(collector.points) == 2)
    assert sorted(point.name for point in collector.points) == ["left", "next"]


def test_a11_a_client_that_adopts_for_a_broken_server_closes_all_the_same(
    client: Client, collector: Collector, spool_dir: Path
) -> None:
    """Delivering what others have left keeps no thread and no lock beyond the client."""
    collector.rules = [control(), Faulty(503, path="/v1/")]
    client.log_metric(**PLACE, metric_key="x", step=1, value=1)
    assert client.close(0.3) is False
    with Client(collector.url, spool_directory=spool_dir) as second:
        second.log_metric(**PLACE, metric_key="x", step=2, value=2)
        assert second.close(0.3) is False
    wait_for_no_threads()

    collector.rules = [control()]
    with Client(collector.url, spool_directory=spool_dir) as third:
        third.log_metric(**PLACE, metric_key="x", step=3, value=3)
        assert third.flush(10)
        assert collector.wait_for(lambda: len(collector.points) == 3)
    assert sorted(point.value for point in collector.points) == [1.0, 2.0, 3.0]


def test_a11_thirty_clients_one_after_another_leave_nothing(
    collector: Collector, session: Session, spool_dir: Path
) -> None:
    """However often a program makes a client and closes it, threads and files do not add up."""
    for number in range(30):
        with Client(collector.url, spool_directory=spool_dir, request_timeout_seconds=5) as client:
            assert client.log_metric(**PLACE, metric_key="x", step=number, value=number)

    assert sorted(point.value for point in collector.points) == [float(number) for number in range(30)]
    wait_for_no_threads()
    assert [path for path in spool_dir.rglob("*") if path.is_file()] == []
