"""What is lost after a run's last words is told to the server all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rundial as rd
from rundial.api.adopt import open_dead, sync
from rundial.api.run import Run
from rundial.spool.spool import find
from tests.support.collector import Collector
from tests.support.judge import POISON, WELCOME, Judge
from tests.support.processes import own_parts
from tests.support.waiting import wait_until


@pytest.fixture
def judge() -> Iterator[Judge]:
    """A server that refuses poison."""
    with Collector() as collector:
        judge = Judge(collector)
        collector.rules = [judge]
        yield judge


def begin(judge: Judge, spool_dir: Path, mode: str) -> Run:
    """Begin a run and log a line that will be refused, and one that will not."""
    run = rd.init(
        project="refused",
        mode=mode,  # type: ignore[arg-type]  # one of the modes
        endpoint=judge.url,
        spool_directory=spool_dir,
        ring_bytes=1 << 20,
        finish_timeout_seconds=0.1,
    )
    assert run.log_text(f"1 {POISON} ")
    assert run.log_text(f"2 {WELCOME} ")
    return run


def assert_told(judge: Judge, run: Run, spool_dir: Path) -> None:
    """The server knows of both lines what became of them, and nothing is left."""
    held = judge.held(run.run_id)
    assert list(held.units["lines"].values()) == [2]
    assert (held.said["lines.recorded"], held.said["lines.rejected"]) == (2, 1)
    assert find(spool_dir) == []


def test_what_a_sync_has_refused_is_told(judge: Judge, spool_dir: Path) -> None:
    """A record that a server refuses from a synced spool is in its ledger, not missing."""
    with own_parts():
        run = begin(judge, spool_dir, "offline")
        assert run.finish(10)

    report = sync([spool_dir], endpoint=judge.url, timeout_s=10)

    assert [result.why for result in report.results] == [""]
    assert_told(judge, run, spool_dir)


def test_what_is_refused_after_a_first_finish_is_told_by_the_next(judge: Judge, spool_dir: Path) -> None:
    """A run that is finished again once its server is back tells what that refused meanwhile."""
    with own_parts():
        judge.outage = 503
        run = begin(judge, spool_dir, "online")
        assert not run.finish(0.1)
        judge.outage = None
        assert run.finish(10)

    assert_told(judge, run, spool_dir)


def test_what_a_later_run_has_refused_is_told(judge: Judge, spool_dir: Path) -> None:
    """A record that is refused while the next run delivers what was left is in the ledger."""
    judge.outage = 503
    with own_parts():
        run = begin(judge, spool_dir, "online")
        assert not run.finish(0.1)
    judge.outage = None
    with own_parts():
        assert begin(judge, spool_dir, "online").finish(10)
        wait_until(lambda: find(spool_dir) == [], 10)

    assert_told(judge, run, spool_dir)


def test_a_spool_of_an_earlier_version_counts_as_told(judge: Judge, spool_dir: Path) -> None:
    """A spool that does not say what was told is delivered and removed as before."""
    with own_parts():
        assert begin(judge, spool_dir, "offline").finish(10)
    (path,) = find(spool_dir)
    spool = open_dead(path)
    spool.update_meta(extra={"mode": "offline"})
    spool.close()

    assert [result.why for result in sync([spool_dir], endpoint=judge.url, timeout_s=10).results] == [""]
    assert find(spool_dir) == []
