"""A run's summary: what was set by hand, and the last value of each metric."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from rundial.api.run import Run
from tests.support.recorded import Recorded

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]
Told = list[warnings.WarningMessage]


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_summary_reads_the_last_value_of_each_metric(start: Start, mode: str) -> None:
    """A program that asks for its last loss gets it, at once, recorded or not."""
    run = start(mode=mode)
    run.log({"loss": 1.0, "acc": 0.5})
    run.log({"loss": 0.5})
    run.log({"acc": 0.7})

    assert run.summary["loss"] == 0.5
    assert dict(run.summary) == {"loss": 0.5, "acc": 0.7}
    assert ("acc" in run.summary, "other" in run.summary, len(run.summary)) == (True, False, 2)


def test_summary_knows_what_has_left_the_ring(run: Run, read: Read) -> None:
    """Values stay readable when they are on disk, and after the end of the run."""
    run.log({"loss": 1.0, "acc": 0.5})
    read(run)
    run.log({"loss": 0.5})

    assert dict(run.summary) == {"loss": 0.5, "acc": 0.5}
    run.finish()
    assert dict(run.summary) == {"loss": 0.5, "acc": 0.5}


def test_summary_of_one_run_shows_nothing_of_another(start: Start) -> None:
    """Two runs of one process have a summary each."""
    one, two = start(), start()
    one.log({"loss": 1.0})
    two.log({"loss": 2.0, "other": 3.0})

    assert (dict(one.summary), dict(two.summary)) == ({"loss": 1.0}, {"loss": 2.0, "other": 3.0})


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_points_with_a_context_are_no_plain_metric(start: Start, mode: str) -> None:
    """A value of the validation split does not pass for the training's."""
    run = start(mode=mode)
    run.log({"loss": 1.0})
    run.log({"loss": 9.0}, context={"split": "val"})

    assert dict(run.summary) == {"loss": 1.0}


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_rank_is_no_context(start: Start, mode: str) -> None:
    """A rank of a distributed run reads its own values."""
    run = start(mode=mode, distributed="all", distributed_rank=3, run_id="ranked")
    run.log({"loss": 1.0})

    assert dict(run.summary) == {"loss": 1.0}


def test_what_is_set_by_hand_is_recorded_and_wins(run: Run, read: Read) -> None:
    """A program that knows better than the last value says so."""
    run.log({"acc": 0.5})
    run.summary["acc"] = 0.9
    run.summary.update({"best/epoch": 12}, note="early stop")
    shown = dict(run.summary)
    del run.summary["acc"]

    assert shown == {"acc": 0.9, "best/epoch": 12, "note": "early stop"}
    assert run.summary["acc"] == 0.5
    bodies: list[Any] = [
        event.body for event in read(run).events if event.event_name == "rundial.run.summary"
    ]
    assert bodies == [
        {"summary": {"acc": 0.9}},
        {"summary": {"best/epoch": 12, "note": "early stop"}},
        {"removed": [["acc"]]},
    ]


def test_a_name_without_a_value_is_a_key_error(run: Run) -> None:
    """A typing mistake is answered as a dictionary answers it."""
    with pytest.raises(KeyError, match="lost"):
        run.summary["lost"]


def test_a_value_set_after_the_end_is_told(run: Run, told: Told) -> None:
    """What is not recorded any more is never passed over in silence."""
    run.finish()
    run.summary["late"] = 1

    assert "summary came after the run had finished" in str(told[-1].message)


def test_more_names_than_a_process_remembers_cost_only_the_oldest(run: Run) -> None:
    """A program that makes up names without end does not fill memory with its summary."""
    for number in range(5000):
        run.log({f"made/{number}": number})

    assert run.summary["made/4999"] == 4999
    assert 4000 <= len(run.summary) <= 4200
