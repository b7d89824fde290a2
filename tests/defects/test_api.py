"""Calls of the published client that raised into training, or said True when it was not."""

from __future__ import annotations

import pickle
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import rundial as rd
from rundial.api.run import Run
from rundial.api.session import Session
from rundial.errors import ConfigError, RundialRequestError
from tests.support import recorded
from tests.support.collector import Answer, Collector
from tests.support.control import Faulty, control, slow

Start = Callable[..., Run]


class TrainingError(Exception):
    """The user's own."""


def finishes(collector: Collector) -> list[str]:
    """The statuses that runs have ended with, as they arrived."""
    return [event.body["status"] for event in collector.events if event.event_name == "rundial.run.finish"]


@pytest.mark.parametrize("answer", ["reset", "html", 500, 404, ("302", {"Location": "http://127.0.0.1:1/"})])
def test_a1_a_server_that_breaks_never_replaces_the_users_exception(
    start: Start, collector: Collector, answer: Answer
) -> None:
    """Whatever the server does at the end, the exception that leaves the block is the user's own."""
    run = start()
    collector.rules = [Faulty(answer, path="/")]
    error = TrainingError("loss is negative")
    run.log({"x": 1}, step=1)

    with pytest.raises(TrainingError) as raised, run:
        raise error

    assert raised.value is error
    assert raised.value.__context__ is None


@pytest.mark.parametrize("answer", ["reset", "html", "hang"])
def test_a1_finish_says_false_and_does_not_raise(start: Start, collector: Collector, answer: Answer) -> None:
    """`finish` against a server that breaks is False, within its time, and the data is kept."""
    run = start()
    collector.rules = [Faulty(answer, path="/")]
    run.log({"x": 1}, step=1)

    assert run.finish(0.5) is False
    assert run.diagnostics().ledger.points.waiting == 1
    collector.release()


def test_a2_a_finish_that_failed_can_be_repeated(start: Start, collector: Collector) -> None:
    """`finish` tries again when it is called again, and the run ends once, with its own status."""
    run = start()
    faulty = Faulty(503, path="/v1/")
    collector.rules = [control(), faulty]
    run.log({"x": 1}, step=1)
    assert run.fail("it diverged", timeout_seconds=0.3) is False
    assert run.fail("it diverged", timeout_seconds=0.3) is False
    assert run.complete(timeout_seconds=0.3) is False, "another status changes nothing"

    faulty.mend()
    assert run.fail("it diverged", timeout_seconds=10)
    assert run.fail(timeout_seconds=10)
    assert finishes(collector) == ["failed"]
    assert [point.value for point in collector.points] == [1.0]


def test_a3_a_spool_that_is_removed_costs_nothing_that_was_sent(start: Start, collector: Collector) -> None:
    """Somebody's `rm -rf` of the spool in mid-run raises nowhere, and the run goes on in a new one."""
    run = start()
    for step in range(100):
        assert run.log({"x": step}, step=step)
    assert run.flush(10)
    shutil.rmtree(run.settings.spool_directory)
    for step in range(100, 200):
        assert run.log({"x": step}, step=step)
        assert run.log_text("still here")

    assert run.finish(15)
    assert [point.step for point in collector.points] == list(range(200))
    assert len(collector.lines) == 100
    assert run.diagnostics().ledger.points.lost == 0


def test_a3_a_spool_that_is_removed_offline_is_counted(start: Start) -> None:
    """Offline, what the removed spool held is counted as lost, and what follows is kept."""
    run = start(mode="offline")
    for step in range(50):
        assert run.log({"x": step}, step=step)
    assert run.flush(10)
    shutil.rmtree(run.settings.spool_directory)
    for step in range(50, 150):
        assert run.log({"x": step}, step=step)

    assert run.finish(15)
    account = run.diagnostics().ledger.points
    assert (account.recorded, account.lost, account.waiting, account.closes) == (150, 50, 100, True)
    assert run.diagnostics().health == "degraded"
    assert recorded.read(Path(run.settings.spool_directory)).values("x") == list(range(50, 150))


def test_a3_a_spool_that_cannot_be_made_is_named_at_init(start: Start, tmp_path: Path) -> None:
    """A directory that was asked for and cannot be made is a ConfigError that says what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"file.*RUNDIAL_SPOOL_DIR"):
        start(spool_directory=tmp_path / "file" / "spool")


def test_a3_a_default_spool_that_cannot_be_made_gives_way(start: Start, home: Path) -> None:
    """Where the working directory cannot be written, the spool goes to the user's own state directory."""
    Path(".rundial_spool").write_text("in the way")
    run = start(spool_directory=None)

    assert Path(run.settings.spool_directory) == home / ".local" / "state" / "rundial" / "spool"
    assert run.log({"x": 1})
    assert run.finish(10)


def test_a5_flush_is_true_only_when_all_is_answered(start: Start, collector: Collector) -> None:
    """Each of 100 times, what was logged before `flush` has arrived when it says True."""
    with start() as run:
        for step in range(100):
            run.log({"x": step}, step=step)
            run.log_text("line")

            assert run.flush(10)
            assert (len(collector.points), len(collector.lines)) == (step + 1, step + 1)
            assert run.diagnostics().ledger.points.delivered == step + 1


def test_a5_flush_waits_for_a_request_under_way(start: Start, collector: Collector) -> None:
    """A batch that is on its way counts as not answered until the answer is there."""
    collector.rules = [control(), slow(0.4)]
    run = start()
    run.log({"x": 1}, step=1)
    assert collector.wait_for(lambda: len(collector.requests) >= 3)

    assert run.flush(0.05) is False
    assert run.flush(10)
    assert len(collector.points) == 1


def test_a5_finish_is_true_only_when_all_is_delivered(start: Start, collector: Collector) -> None:
    """`finish` with data that no server has taken is False."""
    collector.rules = [control(), Faulty(503)]
    run = start()
    run.log({"x": 1}, step=1)

    assert run.finish(0.3) is False
    collector.rules = [control()]
    assert run.finish(10)
    assert len(collector.points) == 1


def test_a5_flush_from_threads_that_log_never_lies(start: Start, collector: Collector) -> None:
    """While other threads log, `flush` is True only when the caller's own records have arrived."""
    run = start()
    lies: list[int] = []

    def work(number: int) -> None:
        for step in range(25):
            run.log({f"t{number}": step}, step=step)
            has_arrived = run.flush(10)
            arrived = [point.step for point in list(collector.points) if point.name == f"t{number}"]
            if not has_arrived or step not in arrived:
                lies.append(step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert lies == []


def test_a6_a_server_that_is_down_at_the_start_stops_nothing(start: Start, collector: Collector) -> None:
    """A run starts without its server, records, and is delivered whole when the server comes."""
    collector.stop()
    run = start(config={"layers": 3}, name="early")
    for step in range(100):
        assert run.log({"x": step}, step=step)
    assert run.flush(0.2) is False

    collector.start()
    assert run.finish(15)
    assert [point.step for point in collector.points] == list(range(100))
    (began,) = [event for event in collector.events if event.event_name == "rundial.run.start"]
    assert (began.body["name"], began.body["config"]) == ("early", {"layers": 3})
    assert finishes(collector) == ["completed"]


@pytest.mark.parametrize("answer", ["reset", 500, 503, 429, "hang"])
def test_a6_a_server_that_fails_at_the_start_stops_nothing(
    start: Start, collector: Collector, answer: Answer
) -> None:
    """A server that is broken when a run starts delays it briefly and stops nothing."""
    collector.rules = [Faulty(answer, path="/api/", times=1), control()]
    run = start(init_timeout_seconds=0.6)
    collector.release()
    assert run.log({"x": 1}, step=1)

    assert run.finish(15)
    assert [point.value for point in collector.points] == [1.0]


def test_a6_other_ranks_ask_nobody(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 1 under `rank0` works with no server, and opens no connection at all."""
    monkeypatch.setenv("RANK", "1")

    def refuse(*_: object) -> None:
        raise AssertionError("a silent rank opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with start(workspace="team") as run:
        assert run.log({"x": 1}, step=1)


def test_a7_a_workspace_in_the_environment_does_not_stop_a_disabled_run(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disabled run takes whatever settings the account has."""
    monkeypatch.setenv("RUNDIAL_WORKSPACE", "team")
    with rd.init(project="digits", mode="disabled") as run:
        assert run.log({"x": 1.0})


def test_a7_a_workspace_may_be_given_offline(start: Start) -> None:
    """Offline, the workspace is recorded for later."""
    run = start(workspace="team", mode="offline")

    assert run.workspace == "team"
    assert run.finish()


def test_a9_what_comes_after_finish_is_counted_and_starts_nothing(start: Start) -> None:
    """A finished run stays finished: a late span is counted, and no thread comes back for it."""
    run = start()
    with run.trace("in time"):
        pass
    assert run.finish(10)
    before = {thread.name for thread in threading.enumerate()}
    with run.trace("too late"):
        pass

    assert {thread.name for thread in threading.enumerate()} <= before
    spans = run.diagnostics().ledger.spans
    assert (spans.delivered, spans.dropped) == (1, {"after_finish": 1})


def test_a9_a_run_and_a_request_error_can_be_pickled(start: Start) -> None:
    """What workers are given and what they raise travels between processes."""
    run = start()
    error = RundialRequestError("refused", 401, "UNAUTHORIZED")

    assert pickle.loads(pickle.dumps(run)) is run
    assert pickle.loads(pickle.dumps(error)).status_code == 401
    assert error in {error}


@pytest.mark.parametrize("bad", [None, "0.5", {"deep": None}, [1], 1j, object()])
def test_a8_a_bad_value_never_raises_and_costs_only_itself(
    start: Start, collector: Collector, bad: object
) -> None:
    """A value that is no number is dropped and counted; what stands beside it is stored."""
    run = start()
    with pytest.warns(RuntimeWarning, match="invalid"):
        assert run.log({"before": 1.0, "bad": bad, "after": 2.0}, step=7) is False

    assert run.finish(10)
    assert [(point.name, point.step) for point in collector.points] == [("before", 7), ("after", 7)]
    assert run.diagnostics().ledger.points.dropped == {"invalid": 1}
