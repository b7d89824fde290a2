"""A run's life: how it ends, what it counts, and what it does when it does nothing."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rundial.api import session
from rundial.api.run import Run
from rundial.errors import ConfigError, RunFinishedError
from tests.support import recorded
from tests.support.recorded import Recorded

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]
Told = list[warnings.WarningMessage]


def ends(directory: Path) -> list[tuple[str, Any]]:
    """(status, reason) of every end of a run on disk."""
    events = recorded.read(directory).events
    return [
        (event.body["status"], event.body["reason"])
        for event in events
        if event.event_name == "rundial.run.finish"
    ]


def test_leaving_the_block_completes_the_run(run: Run, spool_dir: Path) -> None:
    """A block that is left in order ends the run as completed."""
    with run:
        run.log({"x": 1})

    assert run.has_finished
    assert ends(spool_dir) == [("completed", None)]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("bad shape"), "failed", "ValueError: bad shape"),
        (KeyboardInterrupt(), "aborted", "KeyboardInterrupt"),
        (SystemExit(3), "aborted", "SystemExit: 3"),
        (GeneratorExit(), "failed", "GeneratorExit"),
        (ValueError("x" * 600), "failed", ("ValueError: " + "x" * 600)[:512]),
    ],
)
def test_an_exception_ends_the_run_and_goes_its_way(
    run: Run, spool_dir: Path, error: BaseException, status: str, reason: str
) -> None:
    """An exception fails or aborts the run, is named, and leaves the block as it is."""
    with pytest.raises(type(error)) as raised, run:
        raise error

    assert raised.value is error
    assert ends(spool_dir) == [(status, reason)]


@pytest.mark.parametrize(
    ("end", "status"), list({"complete": "completed", "fail": "failed", "abort": "aborted"}.items())
)
def test_each_end_has_its_status(run: Run, spool_dir: Path, end: str, status: str) -> None:
    """`complete`, `fail` and `abort` say how the run ended, with a reason."""
    assert getattr(run, end)("because")

    assert ends(spool_dir) == [(status, "because")]


def test_finish_again_changes_nothing(run: Run, spool_dir: Path) -> None:
    """The same end may be said twice; another one is refused, and one end is recorded."""
    assert run.finish(status="failed", reason="first")
    assert run.finish(status="failed", reason="second")
    assert run.complete() is False
    assert run.close()
    assert run.close()

    assert ends(spool_dir) == [("failed", "first")]


def test_finish_inside_the_block_stands(run: Run, spool_dir: Path) -> None:
    """A run that was failed by hand inside its block is not completed by leaving it."""
    with run:
        run.fail("by hand")

    assert ends(spool_dir) == [("failed", "by hand")]


def test_close_completes_a_run_without_a_status(run: Run, spool_dir: Path) -> None:
    """`close` ends a run that has no end, once."""
    assert run.close()
    assert run.close()

    assert ends(spool_dir) == [("completed", None)]


def test_finish_refuses_an_unknown_status(run: Run) -> None:
    """A status that does not exist is named, and the run goes on."""
    with pytest.raises(ValueError, match="completed, failed, aborted"):
        run.finish(status="great")  # type: ignore[arg-type]  # what is tested

    assert run.log({"x": 1})


def test_two_threads_finish_once(run: Run, spool_dir: Path) -> None:
    """Ends from several threads are one end."""
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(run.finish(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)

    assert results == [True] * 4
    assert ends(spool_dir) == [("completed", None)]


def test_logging_after_finish_is_counted_and_told_once(run: Run, spool_dir: Path, told: Told) -> None:
    """What comes too late never raises: it is dropped, counted `after_finish`, and told once a kind."""
    run.log({"x": 1}, step=0)
    assert run.finish()
    for step in range(3):
        assert run.log({"x": 1, "y": 2}, step=step) is False
        assert run.log_text("late") is False

    assert len(told) == 2
    ledger = run.diagnostics().ledger
    assert ledger.points.dropped == {"after_finish": 6}
    assert ledger.lines.dropped == {"after_finish": 3}
    assert ledger.closes
    assert recorded.read(spool_dir).values("x") == [1.0]
    assert all("finished" in str(warning.message) for warning in told)


def test_logging_after_finish_raises_in_strict_mode(start: Start) -> None:
    """In strict mode a record that comes too late is an exception."""
    run = start(strict=True)
    assert run.finish()

    with pytest.raises(RunFinishedError):
        run.log({"x": 1})
    with pytest.raises(RunFinishedError):
        run.log_text("late")


def test_flush_of_an_offline_run_means_on_disk(run: Run, spool_dir: Path) -> None:
    """Offline, `flush` is True when all that was logged lies in the spool."""
    for step in range(100):
        run.log({"x": step}, step=step)
    run.log_text("a line")

    assert run.flush(10)
    assert run.diagnostics().queue_depth == 0
    found = recorded.read(spool_dir)
    assert found.values("x") == [float(step) for step in range(100)]
    assert [line.body for line in found.lines] == ["a line"]


def test_the_ledger_closes_at_every_moment(run: Run) -> None:
    """Everything that was logged is waiting, delivered, or lost for a reason; nothing is unaccounted for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in range(500):
            run.log({"x": step, "bad": None, "nan": float("nan")}, step=step)
            run.log_text("line")
            if step % 100 == 0:
                assert run.diagnostics().ledger.closes
    run.flush(10)

    points = run.diagnostics().ledger.points
    assert run.diagnostics().ledger.closes
    assert (points.logged, points.recorded, points.waiting) == (1500, 500, 500)
    assert points.dropped == {"invalid": 500, "non_finite": 500}
    assert run.diagnostics().ledger.lines.waiting == 500


def test_the_recorded_ledger_is_the_diagnostics(run: Run, spool_dir: Path) -> None:
    """The account that the server is given is the account that the user sees."""
    with pytest.warns(RuntimeWarning):
        run.log({"x": 1, "bad": None}, step=0)
    run.finish()

    told = [event for event in recorded.read(spool_dir).events if event.event_name == "rundial.run.ledger"]
    points = told[-1].body["points"]
    assert (points["recorded"], points["dropped"]) == (1, {"invalid": 1})


def test_diagnostics_of_an_offline_run(run: Run) -> None:
    """An offline run with data is `offline_buffering`; a loss makes it `degraded`."""
    assert run.diagnostics().health == "healthy"
    run.log({"x": 1}, step=5)
    assert run.diagnostics().health == "offline_buffering"
    run.log({"x": 1}, step=4)
    run.log({"x": 1}, step=3)
    with pytest.warns(RuntimeWarning):
        run.log({"x": None})

    found = run.diagnostics()
    assert found.health == "degraded"
    assert (found.out_of_order_step_writes, found.enqueued_points, found.accepted_points) == (2, 3, 0)
    assert found.worker_running


def test_an_offline_run_leaves_its_spool_alone(run: Run, spool_dir: Path) -> None:
    """An ended offline run's data stays on disk, unlocked, for `rundial sync`."""
    run.log({"x": 1})
    assert run.finish()

    assert [path.name for path in spool_dir.iterdir() if path.is_dir()] == [run.run_id]
    assert recorded.read(spool_dir).values("x") == [1.0]


def test_two_runs_in_one_process_stay_apart(start: Start, read: Read) -> None:
    """Records of two open runs never mix, and each keeps its own account."""
    first, second = start(run_id="first"), start(run_id="second")
    for step in range(50):
        first.log({"x": 1}, step=step)
        second.log({"x": 2}, step=step)
    assert first.flush(10)

    found = read(second)
    values = {run_id: set[float]() for run_id in ("first", "second")}
    for point in found.points:
        values[point.resource["rundial.run.id"]].add(point.value)
    assert values == {"first": {1.0}, "second": {2.0}}
    assert first.diagnostics().ledger.points.recorded == 50


def test_a_process_goes_on_after_a_run(start: Start, read: Read) -> None:
    """A program may start one run after another."""
    for number in range(40):
        with start(run_id=f"run{number}") as run:
            run.log({"x": number})

    found = read(start())
    assert sorted(found.values("x")) == [float(number) for number in range(40)]


def test_a_disabled_run_writes_nothing(start: Start, spool_dir: Path, home: Path) -> None:
    """Disabled, a run makes no file, no thread and no directory, and every call works."""
    threads = threading.active_count()
    with start(mode="disabled", config={"a": 1}) as run:
        assert run.log({"x": 1.0}, step=1)
        assert run.log_text("line")
        assert run.flush(0)

    assert threading.active_count() == threads
    assert not spool_dir.exists()
    assert list((home / "work").iterdir()) == []
    assert run.diagnostics().health == "healthy"


def test_a_disabled_run_checks_as_any_other(start: Start, told: Told) -> None:
    """What would be dropped is refused and told in disabled mode too, so that no mistake hides there."""
    run = start(mode="disabled")
    assert run.log({"x": None}) is False
    assert run.log({"x": float("nan"), "y": 1}) is False
    assert run.log({"z": 1}, step=-1) is False
    assert run.log_text("x", level="loud") is False

    assert run.log({}) is False
    assert len(told) == 5
    assert run.diagnostics().non_finite_dropped == {"x": 1}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"kind": "party"}, "kind"),
        ({"run_id": "../up"}, "run_id"),
        ({"run_id": ".hidden"}, "run_id"),
        ({"config": [1]}, "config"),
        ({"mode": "maybe"}, "mode"),
        ({"ring_bytes": 10}, "ring_bytes"),
    ],
)
def test_init_names_a_wrong_argument(
    start: Start, spool_dir: Path, arguments: dict[str, Any], why: str
) -> None:
    """A wrong argument is a ConfigError that names it, raised before anything is made."""
    with pytest.raises(ConfigError, match=why):
        start(**arguments)

    assert not spool_dir.exists()


def test_a_ring_that_is_full_refuses_and_counts(start: Start) -> None:
    """When the recorder is full `log` is False and what it refused is counted, to the point."""
    run = start()
    metrics = dict.fromkeys([f"layer{number}" for number in range(1000)], 1.0)
    # Nothing leaves the ring meanwhile.
    with session._SESSION.parts.pipeline.encoder.pass_lock:
        refused = sum(1000 for step in range(200) if not run.log(metrics, step=step))
    assert run.flush(10)

    account = run.diagnostics().ledger.points
    assert refused > 0
    assert account.recorded == 200_000 - refused
    assert account.dropped == {"queue_full": refused}
    assert account.closes
    assert run.diagnostics().dropped_points_queue_full == refused
    assert run.log(metrics, step=200), "there is room again"


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_client_of_a_run_that_sends_nothing_takes_a_key(start: Start, mode: str) -> None:
    """A script that replaces its key needs to know nothing of the mode it runs in."""
    run = start(mode=mode, endpoint="http://127.0.0.1:9", api_key="rdk_first")
    client = run.client
    client.api_key = "rdk_second"

    assert run.client is client
    assert (client.api_key, client.endpoint) == ("rdk_second", "http://127.0.0.1:9")


def test_client_of_a_run_refuses_what_is_no_key(run: Run) -> None:
    """A key that cannot be sent raises where it is set, and the run keeps the one that it has."""
    run.client.api_key = "rdk_first"
    with pytest.raises(ConfigError, match="former key stays"):
        run.client.api_key = "rdk\r\nsecond"

    assert run.client.api_key == "rdk_first"


def test_leaving_a_run_tells_no_end(run: Run, read: Callable[[Run], Recorded]) -> None:
    """Who leaves a run keeps its records and tells no end; it is not theirs to end any more."""
    assert run.log({"x": 1})
    assert run.leave()
    assert (run.leave(), run.close(), run.finish()) == (True, True, False)
    assert run.log({"x": 2}) is False

    found = read(run)
    assert found.values("x") == [1]
    assert "rundial.run.finish" not in [event.event_name for event in found.events]


@pytest.mark.parametrize("timeout", [None, float("inf"), 1e300])
def test_flush_and_finish_take_any_number_of_seconds(start: Start, timeout: Any) -> None:
    """For ever is as long as it takes."""
    run = start()
    run.log({"x": 1.0})

    assert run.flush(timeout)
    assert run.finish(timeout)


def test_a_deadline_that_is_no_number_leaves_the_run_going(start: Start) -> None:
    """A mistake in the call that ends a run does not end it by halves."""
    run = start()
    with pytest.raises(ValueError, match="timeout_seconds"):
        run.finish("5")  # type: ignore[arg-type]  # what a user may give

    assert not run.has_finished
    assert run.log({"x": 1.0})
    assert run.finish()
