"""The writer: what is answered is committed, what fails takes only itself down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from rundial.server.problems import Problem, StoreProblem
from rundial.server.store.engine import Engines, open_engines
from rundial.server.store.sqlevents import SqlEvents
from rundial.server.store.tables import facts
from rundial.server.writer import GROUP_WEIGHT, Writer


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    """An empty store."""
    opened = open_engines(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def forgotten() -> list[str]:
    """Grows by one whenever the writer says that something was undone."""
    return []


@pytest.fixture
def writer(engines: Engines, forgotten: list[str]) -> Iterator[Writer]:
    """A writer whose queue holds three jobs."""
    made = Writer(engines, SqlEvents(), on_rollback=lambda: forgotten.append("undone"), max_waiting_jobs=3)
    yield made
    made.close()


class _Gate:
    """A job that holds the writer until it is opened, so that others queue up behind it."""

    def __init__(self, writer: Writer) -> None:
        self._is_open = threading.Event()
        self._has_begun = threading.Event()
        self.future: Future[None] = writer.submit(self._wait)
        assert self._has_begun.wait(10)

    def _wait(self, _connection: Connection) -> None:
        self._has_begun.set()
        assert self._is_open.wait(10)

    def open(self) -> None:
        self._is_open.set()


def _adds(name: str) -> Callable[[Connection], str]:
    def job(connection: Connection) -> str:
        connection.execute(insert(facts).values(name=name, value="x"))
        return name

    return job


def _names(engines: Engines) -> set[str]:
    with engines.reading.begin() as connection:
        return set(connection.execute(select(facts.c.name)).scalars()) - {"schema"}


def _explodes(_connection: Connection) -> None:
    raise LookupError("bad job")


def test_result_comes_after_the_commit(writer: Writer, engines: Engines) -> None:
    """Whoever sees the result can read the row on another connection."""
    assert writer.submit(_adds("a")).result(10) == "a"

    assert _names(engines) == {"a"}


def test_jobs_that_queued_up_share_a_commit_and_keep_their_order(writer: Writer, engines: Engines) -> None:
    """Group commit changes how often the disk is waited for, and nothing else."""
    gate = _Gate(writer)
    futures = [writer.submit(_adds(name)) for name in "abc"]
    gate.open()

    assert [future.result(10) for future in futures] == ["a", "b", "c"]
    assert _names(engines) == {"a", "b", "c"}


def test_a_job_that_fails_leaves_the_others_of_its_group(
    writer: Writer, engines: Engines, forgotten: list[str]
) -> None:
    """One request's failure is never another's."""
    gate = _Gate(writer)
    good, bad, last = writer.submit(_adds("a")), writer.submit(_explodes), writer.submit(_adds("b"))
    gate.open()

    assert (good.result(10), last.result(10)) == ("a", "b")
    with pytest.raises(LookupError):
        bad.result(10)
    assert _names(engines) == {"a", "b"}
    assert forgotten


def test_a_job_that_breaks_the_database_leaves_the_others_of_its_group(
    writer: Writer, engines: Engines, forgotten: list[str]
) -> None:
    """When a group's transaction is lost, each of its jobs is tried alone."""
    gate = _Gate(writer)
    first, twin, last = writer.submit(_adds("a")), writer.submit(_adds("a")), writer.submit(_adds("b"))
    gate.open()

    assert (first.result(10), last.result(10)) == ("a", "b")
    with pytest.raises(Problem) as caught:
        twin.result(10)
    assert (caught.value.status, caught.value.retry_after_s) == (503, 5)
    assert not isinstance(caught.value, IntegrityError)
    assert _names(engines) == {"a", "b"}
    assert forgotten


def test_a_full_queue_refuses_with_a_wait(writer: Writer) -> None:
    """A server that cannot keep up says so instead of growing."""
    gate = _Gate(writer)
    waiting = [writer.submit(_adds(name)) for name in "abc"]
    assert not writer.has_room()

    with pytest.raises(Problem) as caught:
        writer.submit(_adds("d"))

    assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
    gate.open()
    assert [future.result(10) for future in waiting] == ["a", "b", "c"]
    assert writer.has_room()


def test_rows_that_wait_are_bounded_and_a_single_large_job_still_passes(engines: Engines) -> None:
    """The bound on memory never makes a request impossible."""
    small = Writer(engines, SqlEvents(), on_rollback=lambda: None, max_waiting_weight=10)
    gate = _Gate(small)
    large = small.submit(_adds("large"), weight=1_000)

    with pytest.raises(Problem):
        small.submit(_adds("next"), weight=1)

    gate.open()
    assert large.result(10) == "large"
    assert small.close()


def test_a_cancelled_job_is_left_out(writer: Writer, engines: Engines) -> None:
    """A client that hung up before its turn costs no write."""
    gate = _Gate(writer)
    gone, kept = writer.submit(_adds("gone")), writer.submit(_adds("kept"))
    assert gone.cancel()
    gate.open()

    assert kept.result(10) == "kept"
    assert _names(engines) == {"kept"}


def test_close_finishes_what_was_taken_and_takes_no_more(writer: Writer, engines: Engines) -> None:
    """A stopping server keeps its promises."""
    gate = _Gate(writer)
    futures = [writer.submit(_adds(name)) for name in "ab"]
    gate.open()

    assert writer.close()
    assert writer.close()

    assert [future.result(0) for future in futures] == ["a", "b"]
    assert not writer.is_alive
    with pytest.raises(Problem):
        writer.submit(_adds("c"))
    assert _names(engines) == {"a", "b"}


def test_the_store_syncs_every_commit(engines: Engines) -> None:
    """An acknowledged request survives a power cut: WAL mode with synchronous=FULL."""
    with engines.writing.begin() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        level = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    with engines.reading.begin() as connection:
        count = connection.execute(select(func.count()).select_from(facts)).scalar()

    assert (mode, level, count) == ("wal", 2, 1)


class _Gathering(SqlEvents):
    """Wants groups to gather for long, and notes what became of them."""

    def __init__(self, problem: StoreProblem | None = None) -> None:
        super().__init__()
        self.problem = problem
        self.steps: list[str] = []

    def settle(self, connection: Connection) -> None:
        """Note it, or fail."""
        self.steps.append("settled")
        if self.problem is not None:
            raise self.problem

    def abandon(self) -> None:
        """Note it."""
        self.steps.append("abandoned")

    def pause_s(self) -> float:
        """Longer than a test may take."""
        return 0.0 if self.problem is not None else 60.0


def test_a_group_that_gathers_is_written_once_it_is_large_or_the_server_leaves(engines: Engines) -> None:
    """Small requests share an insert, and nobody waits for more than that."""
    pending = _Gathering()
    writer = Writer(engines, pending, on_rollback=lambda: None)
    few = [writer.submit(_adds(name)) for name in "ab"]
    large = writer.submit(_adds("large"), weight=GROUP_WEIGHT)
    for each in (*few, large):
        each.result(10)
    in_groups = list(pending.steps)
    last = writer.submit(_adds("last"))

    assert in_groups == ["settled"]
    assert writer.close(10)
    assert last.done()
    assert pending.steps == ["settled", "settled"]


def test_a_group_whose_rows_cannot_be_kept_elsewhere_is_refused_as_a_whole(engines: Engines) -> None:
    """Each caller hears what the store said, once, and the catalog has nothing of it either."""
    pending = _Gathering(StoreProblem(503, "away", retry_after_s=5))
    forgotten: list[str] = []
    writer = Writer(engines, pending, on_rollback=lambda: forgotten.append("undone"))
    gate = _Gate(writer)
    jobs = [writer.submit(_adds(name)) for name in "ab"]
    gate.open()

    assert [job.exception(10) for job in jobs] == [pending.problem] * 2
    writer.close()
    assert pending.steps == ["settled", "abandoned"] * 2
    assert forgotten == ["undone"] * 2
    with engines.reading.begin() as connection:
        query = select(func.count()).select_from(facts).where(facts.c.name.in_(["a", "b"]))
        assert connection.execute(query).scalar() == 0
