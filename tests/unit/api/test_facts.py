"""What a run says about itself beside its config: metric definitions, alerts, preemption."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rundial.api import leaving
from rundial.api.run import Run
from rundial.errors import RecordDroppedError
from tests.support import recorded
from tests.support.processes import own_parts
from tests.support.recorded import Recorded

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]
Told = list[warnings.WarningMessage]


def bodies(found: Recorded, name: str) -> list[Any]:
    """The bodies of one kind of event."""
    return [event.body for event in found.events if event.event_name == name]


def test_metric_definitions_are_recorded(run: Run, read: Read) -> None:
    """How a metric is to be read travels with the run."""
    assert run.define_metric("val/*", step_metric="epoch", summary="best", goal="maximize")
    assert run.define_metric("loss", summary="min")

    assert bodies(read(run), "rundial.run.metric") == [
        {"name": "val/*", "step_metric": "epoch", "summary": "best", "goal": "maximize"},
        {"name": "loss", "step_metric": None, "summary": "min", "goal": None},
    ]


@pytest.mark.parametrize("mode", ["offline", "disabled"])
@pytest.mark.parametrize(
    ("definition", "what"),
    [
        ({"name": ""}, "name must be"),
        ({"name": 3}, "name must be"),
        ({"name": "x" * 513}, "name must be"),
        ({"name": "a", "step_metric": ""}, "step_metric must be"),
        ({"name": "a", "summary": "median"}, "last, min, max, mean, best, none"),
        ({"name": "a", "goal": "up"}, "minimize, maximize"),
    ],
)
def test_wrong_metric_definition_is_told_and_ignored(
    start: Start, told: Told, mode: str, definition: dict[str, Any], what: str
) -> None:
    """A typing mistake in a definition is named, and training goes on."""
    run = start(mode=mode)

    assert run.define_metric(**definition) is False
    assert what in str(told[-1].message)


def test_alert_is_recorded_with_its_level(run: Run, read: Read) -> None:
    """What should not wait is an event of its own."""
    assert run.alert("loss is NaN", "at step 3, token hf_abcdefghijklmnopqrstuvwxyz", "ERROR")  # type: ignore[arg-type]  # any case will do
    assert run.alert("long", "x" * 10_000)

    first, second = bodies(read(run), "rundial.run.alert")
    assert first == {"title": "loss is NaN", "text": "at step 3, token [redacted]", "level": "error"}
    assert (len(second["text"]), second["original_bytes"], second["level"]) == (8_192, 10_000, "info")


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_repeated_alert_is_held_back_and_said_to_be(start: Start, mode: str) -> None:
    """A loop that raises an alert at each step raises one."""
    run = start(mode=mode)

    assert [run.alert("loss is NaN") for _ in range(3)] == [True, False, False]
    assert run.alert("another") is True


def test_the_next_alert_says_how_many_were_held_back(run: Run, read: Read) -> None:
    """Nothing is held back in silence."""
    for _ in range(3):
        run.alert("loss is NaN")
    run.alert("another")

    assert [body.get("held_back") for body in bodies(read(run), "rundial.run.alert")] == [None, 2]


def test_alert_of_an_unknown_level_is_told_and_raises_in_strict_mode(start: Start, told: Told) -> None:
    """A level that does not exist is named."""
    assert start().alert("x", level="loud") is False  # type: ignore[arg-type]  # what is tested
    assert "'loud' is none of info, warn, error" in str(told[-1].message)
    with pytest.raises(RecordDroppedError, match="loud"):
        start(strict=True).alert("x", level="loud")  # type: ignore[arg-type]  # what is tested


def test_preempted_run_that_nobody_finishes_ends_as_aborted(start: Start, read: Read) -> None:
    """A job whose machine was taken away has not completed, even when it left in order."""
    with own_parts() as session:
        run = start()
        assert run.mark_preempting("SIGUSR1 from SLURM")
        assert run.is_preempting
        leaving.at_exit(session)

    found = recorded.read(Path(run.settings.spool_directory))
    assert bodies(found, "rundial.run.preempting") == [{"reason": "SIGUSR1 from SLURM"}]
    (end,) = bodies(found, "rundial.run.finish")
    assert (end["status"], end["reason"]) == ("aborted", "preempted")


def test_preempting_may_be_marked_in_a_signal_handler(run: Run, read: Read) -> None:
    """SLURM's warning signal finds the program anywhere, also inside a logging call."""
    seen = threading.Event()

    def handle(number: int, frame: object) -> None:
        del number, frame
        run.mark_preempting("SIGUSR1")
        run.alert("preempting")
        seen.set()

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        for step in range(100):
            run.log({"loss": 1.0}, step=step)
            if step == 50:
                signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)

    found = read(run)
    assert seen.is_set()
    assert bodies(found, "rundial.run.preempting") == [{"reason": "SIGUSR1"}]
    assert len(found.values("loss")) == 100


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_should_stop_is_false_where_nobody_can_be_asked(start: Start, mode: str) -> None:
    """Offline, a loop that looks goes on, and starts no thread by looking."""
    run = start(mode=mode)
    threads = {thread.name for thread in threading.enumerate()}

    assert run.should_stop is False
    assert {thread.name for thread in threading.enumerate()} <= threads


def test_a_finished_run_says_nothing_more(run: Run, told: Told) -> None:
    """Definitions, alerts and marks after the end are refused, told, and restart nothing (defect A9)."""
    run.finish()
    before = {thread.name for thread in threading.enumerate()}

    assert (run.define_metric("a"), run.alert("x"), run.mark_preempting()) == (False, False, False)
    assert len(told) == 3
    assert {thread.name for thread in threading.enumerate()} <= before


def test_disabled_run_answers_as_a_real_one_and_leaves_nothing(start: Start, spool_dir: Any) -> None:
    """A program that is run without its tracker takes the same way and touches nothing."""
    threads = {thread.name for thread in threading.enumerate()}
    answers = []
    for mode in ("disabled", "offline"):
        run = start(mode=mode, config={"lr": 0.1})
        answers.append(
            [
                run.log({"loss": 1.0}),
                run.log({"loss": "a"}),
                run.update_config({"seed": 1}),
                run.config == {"lr": 0.1, "seed": 1},
                run.define_metric("loss", summary="min"),
                run.alert("a", "b"),
                run.alert("a", "b"),
                run.mark_preempting(),
                run.should_stop,
                dict(run.summary),
                run.finish(),
                run.update_config({"seed": 2}),
            ]
        )
        if mode == "disabled":
            assert not spool_dir.exists()
            assert {thread.name for thread in threading.enumerate()} == threads

    assert answers[0] == answers[1]


class Broken:
    """A value whose own code fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_values_whose_own_code_fails_cost_no_training(run: Run, told: Told) -> None:
    """Whatever is handed to a run's own facts, nothing of it comes back as an exception."""
    broken: Any = Broken()
    run.config["x"] = broken
    run.summary["x"] = broken
    answers = [
        run.update_config({"y": broken}),
        run.alert(broken, broken),
        run.mark_preempting(broken),
        run.define_metric("a", step_metric=broken),
        run.alert("b", level=broken),
    ]

    assert answers == [True, True, True, False, False]
    assert run.config == {"x": "<not readable: RuntimeError>", "y": "<not readable: RuntimeError>"}
