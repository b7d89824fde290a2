"""Which processes of a distributed job record, and which are silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rundial.api.ranks import RANK_VARIABLES, rank_of
from rundial.api.run import Run
from rundial.errors import ConfigError
from tests.support.recorded import Recorded

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]


@pytest.mark.parametrize("variable", RANK_VARIABLES)
def test_each_launcher_is_understood(variable: str) -> None:
    """The rank variable of each launcher is read."""
    assert rank_of(None, {variable: "3"}) == 3


def test_the_first_usable_variable_wins() -> None:
    """A variable that is no rank is passed over for the next."""
    environ = {"RUNDIAL_RANK": " ", "RANK": "x", "LOCAL_RANK": "-1", "SLURM_PROCID": "2", "PMI_RANK": "5"}

    assert rank_of(None, environ) == 2


def test_a_rank_that_is_given_wins() -> None:
    """The argument is stronger than the environment."""
    assert rank_of(1, {"RUNDIAL_RANK": "3"}) == 1


def test_a_process_alone_has_no_rank() -> None:
    """Without a launcher nothing claims to be a rank."""
    assert rank_of(None, {}) is None


@pytest.mark.parametrize("rank", [-1, True, 1.5, "1"])
def test_a_rank_that_is_none_is_refused(rank: object) -> None:
    """A rank that is no whole number from 0 is a ConfigError."""
    with pytest.raises(ConfigError, match="distributed_rank"):
        rank_of(rank, {})  # type: ignore[arg-type]  # what is tested


def test_an_unknown_policy_is_refused(start: Start) -> None:
    """The two policies are named when neither was given."""
    with pytest.raises(ConfigError, match="distributed 'some' must be one of rank0, all"):
        start(distributed="some")


def test_a_silent_rank_records_nothing(start: Start, spool_dir: Path) -> None:
    """Under `rank0` every other rank has the whole surface and makes no file or thread."""
    threads = threading.active_count()
    with start(mode="online", distributed_rank=1) as run:
        assert run.log({"x": 1}, step=1)
        assert run.log_text("line")
        with run.trace("span"):
            pass
        assert run.flush(0)

    assert not spool_dir.exists()
    assert threading.active_count() == threads


def test_rank_zero_records(start: Start, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `rank0` the first rank records as a process alone does."""
    monkeypatch.setenv("RANK", "0")
    run = start()
    run.log({"x": 1})

    (point,) = read(run).points
    assert "rundial.rank" not in point.resource
    assert "rundial.rank" not in point.attributes


def test_every_rank_records_under_all(start: Start, read: Read) -> None:
    """Under `all` each rank records under one run, tagged with its rank."""
    run = start(run_id="shared", distributed="all", distributed_rank=3)
    run.log({"x": 1})

    (point,) = read(run).points
    assert point.resource["rundial.rank"] == 3
    assert point.attributes["rundial.rank"] == "3"
