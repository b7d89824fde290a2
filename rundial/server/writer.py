"""The one thread that changes the database: jobs from many requests, one commit for a group of them.

A commit waits for the disk, so everything that has queued up meanwhile shares the next one. A job's future
is answered after the commit, never before: a 2xx makes the client delete the only other copy.

Threads: `submit` from any; jobs run on the writer's own thread. A job that fails takes only itself down
(savepoint); a failing commit fails every job of its group, and each caller is told to repeat.

Where other processes write to the same database, the jobs of a group run in the order of what they lock, as
theirs do, and a group that PostgreSQL chose as a deadlock's victim is run again. A connection that broke is
opened again, once and at once; while the database is away every caller is told to repeat.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from rundial.server.problems import Problem, StoreProblem, busy
from rundial.server.store.engine import Engines, drop_if_lost, is_in_the_way
from rundial.server.store.events import Pending

_log: Final = logging.getLogger("rundial.server")
_T = TypeVar("_T")

GROUP_WEIGHT: Final = 50_000
_MAX_RETRIES: Final = 5
MAX_WAITING_WEIGHT: Final = 500_000
MAX_WAITING_JOBS: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Job:
    run: Callable[[Connection], Any]
    weight: int
    future: Future[Any]
    locks: tuple[str, ...]


class Writer:
    """Runs jobs in order, in groups of one commit each.

    Threads: one, started by the constructor, ended by `close`.
    After a crash: what was answered is committed; the rest was never answered.

    Args:
        engines: Where it writes.
        pending: What of a group is not in the database's own transaction.
        on_rollback: Called on the writer's thread when something was undone; caches of row ids forget here.
        max_waiting_weight: Rows that may wait; beyond it `submit` refuses.
        max_waiting_jobs: Jobs that may wait.
    """

    def __init__(
        self,
        engines: Engines,
        pending: Pending,
        *,
        on_rollback: Callable[[], None],
        max_waiting_weight: int = MAX_WAITING_WEIGHT,
        max_waiting_jobs: int = MAX_WAITING_JOBS,
    ) -> None:
        self._engines = engines
        self._pending = pending
        self._on_rollback = on_rollback
        self._max_weight = max_waiting_weight
        self._max_jobs = max_waiting_jobs
        # Guards _jobs, _weight and _is_closed; the writer waits on it for work.
        self._has_work = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._weight = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="rundial-writer", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether jobs are still taken and run."""
        return self._thread.is_alive() and not self._is_closed

    @property
    def waiting_weight(self) -> int:
        """About how many rows wait to be written."""
        with self._has_work:
            return self._weight

    def has_room(self) -> bool:
        """Whether a further job would be taken."""
        with self._has_work:
            return (
                not self._is_closed and self._weight < self._max_weight and len(self._jobs) < self._max_jobs
            )

    def submit(
        self, job: Callable[[Connection], _T], *, weight: int = 1, locks: tuple[str, ...] = ()
    ) -> Future[_T]:
        """Queue a job; its future holds the result once it is committed.

        Args:
            job: Called with a connection inside a transaction.
            weight: About how many rows it writes, ≥ 1.
            locks: Names what it changes; jobs that many processes may run at once do it in this order.

        Raises:
            Problem: 503, the queue is full or the server is leaving.
        """
        future: Future[_T] = Future()
        with self._has_work:
            if self._is_closed:
                raise busy("the server is shutting down")
            # A job heavier than the whole bound is still taken when nothing waits, or it never would be.
            is_full = len(self._jobs) >= self._max_jobs or self._weight + weight > self._max_weight
            if self._jobs and is_full:
                raise busy("the server's write queue is full")
            self._jobs.append(_Job(job, weight, future, locks))
            self._weight += weight
            self._has_work.notify()
        return future

    def close(self, timeout_s: float = 30.0) -> bool:
        """Finish what was taken and stop; True when all of it is done in time. Idempotent."""
        with self._has_work:
            self._is_closed = True
            self._has_work.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        with self._engines.writing.connect() as connection:
            while group := self._next_group():
                self._run_group(connection, group)

    def _next_group(self) -> list[_Job]:
        """The jobs of the next commit; empty only when closed and done."""
        group: list[_Job] = []
        weight = 0
        with self._has_work:
            while not group:
                while not self._jobs and not self._is_closed:
                    self._has_work.wait()
                if not self._jobs:
                    break
                self._gather()
                while self._jobs and weight < GROUP_WEIGHT:
                    job = self._jobs.popleft()
                    self._weight -= job.weight
                    # A cancelled job (its client hung up) is left out: nobody waits for its answer.
                    if job.future.set_running_or_notify_cancel():
                        group.append(job)
                        weight += job.weight
        return group

    def _gather(self) -> None:
        """Let a group grow where each one costs much; whoever comes after a rest never waits."""
        pause_s = self._pending.pause_s()
        if pause_s > 0:
            self._has_work.wait_for(lambda: self._is_closed or self._weight >= GROUP_WEIGHT, pause_s)

    def _run_group(self, connection: Connection, group: list[_Job], tries: int = 0) -> None:
        is_committing = False
        try:
            with connection.begin():
                outcomes = [(job, *self._run_job(connection, job)) for job in self._in_order(group)]
                self._pending.settle(connection)
                is_committing = True
        except Exception as error:  # noqa: BLE001 -- the callers must hear of it and the thread must live on
            self._pending.abandon()
            self._on_rollback()
            is_lost = isinstance(error, DBAPIError) and drop_if_lost(connection)
            if not is_committing and tries < (1 if is_lost else _MAX_RETRIES * is_in_the_way(error)):
                self._run_group(connection, group, tries + 1)
            elif is_lost or isinstance(error, StoreProblem):
                _fail(group, error)
            else:
                self._retry_alone(connection, group, error)
            return
        for job, result, failure in outcomes:
            if failure is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(failure)

    def _in_order(self, group: list[_Job]) -> list[_Job]:
        """In which order a group's jobs take their locks."""
        return sorted(group, key=lambda job: job.locks) if self._engines.is_shared else group

    def _run_job(self, connection: Connection, job: _Job) -> tuple[Any, Exception | None]:
        """Run one job in a savepoint; its own failures are values, the database's are raised."""
        savepoint = connection.begin_nested()
        mark = self._pending.mark()
        try:
            result = job.run(connection)
        except DBAPIError:
            raise  # the database may have ended the whole transaction: the group starts over
        except Exception as error:  # noqa: BLE001 -- one bad job must not take its group down
            savepoint.rollback()
            self._pending.rewind(mark)
            self._on_rollback()
            return None, error
        savepoint.commit()
        return result, None

    def _retry_alone(self, connection: Connection, group: list[_Job], error: Exception) -> None:
        """Give each job of a failed group a commit of its own, so that one cannot fail the others."""
        if len(group) > 1:
            for job in group:
                self._run_group(connection, [job])
            return
        _fail(group, error)


def _fail(group: list[_Job], error: Exception) -> None:
    # Of a database error only the cause: the statement's values are users' data.
    cause = error.orig if isinstance(error, DBAPIError) else repr(error)
    _log.error("%d writes failed: %s", len(group), cause)
    for job in group:
        job.future.set_exception(_storage_problem(error))


def _storage_problem(error: Exception) -> Problem:
    if isinstance(error, StoreProblem):
        return error
    if isinstance(error, DBAPIError):
        return StoreProblem(
            503, "the store could not write", "see the server's log; free disk space", retry_after_s=5
        )
    return Problem(500, "the server failed", "see the server's log")
