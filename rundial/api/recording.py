"""What a client records: the runs that it has started or joined, over the one pipeline of the process.

Nothing is made before the first run is: no thread, no file. A client's runs are its own; they share
ring, encoder and senders with the runs of `rundial.init`.

Threads: any may record. Closing waits at most its deadline.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from threading import RLock
from typing import TYPE_CHECKING, Any

from rundial.api import leaving, session, start, together
from rundial.api.ending import seconds_of
from rundial.api.guard import Notices
from rundial.api.handshake import Answer, steps_of
from rundial.api.ranks import rank_of
from rundial.api.recordoptions import OF_A_RUN_VARIABLES
from rundial.api.target import Target
from rundial.choices import Reason, Signal
from rundial.diagnostics import RundialDiagnostics
from rundial.errors import ConfigError, RundialError, RunFinishedError
from rundial.interrupts import let_through
from rundial.settings import Settings, resolve
from rundial.value import changed

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.api.recordoptions import RecordOptions
    from rundial.api.run import Run

# Runs that are joined one after the other must not fill memory when they have ended.
MAX_ENDED = 64
# How long a run that could not be joined is not tried again, and how many of them are remembered.
RETRY_S = 5.0
MAX_FAILURES = 1024


class Recording:
    """The runs of one client.

    Args:
        client: Whose they are; announces what it starts.
        options: How they are recorded.
        is_closed: Whether the client was closed before it recorded anything.
    """

    def __init__(self, client: Client, options: RecordOptions, *, is_closed: bool = False) -> None:
        self._client = client
        self._options = options
        self._notices = Notices()
        # Of a client that keeps nothing; all its runs are in one.
        self._volatile: str | None = None
        self._runs: dict[tuple[str, str], Run] = {}
        self._past: RundialDiagnostics | None = None
        self._failures: dict[tuple[str, str], tuple[float, Exception]] = {}
        self._unkept: dict[Signal, dict[Reason, int]] = {}
        self._is_closed = is_closed
        # Guards the runs and what is counted, and lets one thread at a time join a run.
        self._lock = RLock()
        self._pid = os.getpid()

    @property
    def is_announcing(self) -> bool:
        """Whether what is started is announced to the server, which then knows its project."""
        return self._settings("any").mode == "online" and not self._is_silent_rank()

    def run(self, project_id: str, run_id: str, *, kind: str, config: Mapping[str, object] | None) -> Run:
        """Join a run without asking the server; the same one again while it goes on here.

        Raises:
            ConfigError: An argument or setting is wrong, or the client is closed.
        """
        self._refuse_when_closed()
        with self._guard():
            known = self._live(project_id, run_id)
            if known is not None:
                return known
            settings = self._settings(project_id, facts={"run_id": run_id, "kind": kind})
            return self._begin(settings, project_id, config=config)

    def started(
        self,
        project_id: str,
        place: tuple[str | None, str] | None,
        facts: Mapping[str, Any],
    ) -> Run:
        """Start a run, announcing it online.

        Args:
            project_id: The project's id.
            place: Workspace and project slugs, where they are known better than by the id.
            facts: Settings of the run by name, and its `config`.

        Raises:
            ConfigError: An argument or setting is wrong, or the client is closed.
            RundialRequestError: The server refuses, or cannot be reached.
        """
        self._refuse_when_closed()
        config = facts.get("config")
        settings = self._settings(project_id, place, {k: v for k, v in facts.items() if k != "config"})
        # Not under the lock: the server may take its time, and others join meanwhile.
        return self._begin(settings, project_id, config=config, starts=True)

    def joined(self, project_id: Any, run_id: Any, signal: Signal) -> Run | None:
        """Return the run to log into, joined where it was not; None, told and counted, where it cannot be.

        Raises:
            RundialError: In strict mode, what went wrong.
        """
        if not (isinstance(project_id, str) and isinstance(run_id, str)):
            error: RundialError = ConfigError("project_id and run_id must be texts")
            self._not_kept(signal, "invalid", run_id, error)
            return None
        known = self._live(project_id, run_id)
        if known is not None:
            return known
        if self._is_closed:
            error = RunFinishedError("this client is closed")
            self._not_kept(signal, "after_finish", run_id, error)
            return None
        failed = self._failures.get((project_id, run_id))
        if failed is not None and time.monotonic() < failed[0]:
            self._not_kept(signal, "internal_error", run_id, failed[1])
            return None
        try:
            with self._guard():
                known = self._live(project_id, run_id)
                if known is not None:
                    return known
                settings = self._settings(project_id, facts={"run_id": run_id})
                if "system_metrics" not in self._options.values:
                    # Whoever logs a value into another process's run does not mean this machine's load.
                    settings = changed(settings, system_metrics=False)
                return self._begin(settings, project_id)
        except Exception as failure:  # noqa: BLE001 - counted as internal_error
            let_through(failure)
            # Joining reads and writes files, which a call that logs must not do again and again.
            if len(self._failures) >= MAX_FAILURES:
                self._failures.clear()
            self._failures[(project_id, run_id)] = (time.monotonic() + RETRY_S, failure)
            self._not_kept(signal, "internal_error", run_id, failure)
            return None

    def refused(self, signal: Signal, reason: Reason, run_id: object, error: Exception) -> bool:
        """Count and tell a record that a call could not deliver; always False.

        Raises:
            Exception: In strict mode, the error.
        """
        self._not_kept(signal, reason, run_id, error)
        return False

    def begin(self) -> None:
        """Make the process's parts now, rather than at the first record.

        Raises:
            ConfigError: A setting is wrong, or the client is closed.
        """
        self._refuse_when_closed()
        settings = self._settings("any")
        if settings.mode == "disabled" or self._is_silent_rank():
            return
        session.check_platform()
        start.make_parts(self._with_root(settings), session=session.current())
        session.install_hooks(session.current())

    def flush(self, timeout_s: float | None) -> bool:
        """Wait until everything is answered (offline: on disk)."""
        end = time.monotonic() + seconds_of(timeout_s)
        is_done = True
        for run in list(self._runs.values()):
            is_done &= run.flush(max(0.0, end - time.monotonic()))
        return is_done

    def close(self, timeout_s: float | None) -> bool:
        """Leave every run and end the threads that nobody else needs; True when all is answered."""
        end = time.monotonic() + seconds_of(timeout_s)
        with self._guard():
            self._is_closed = True
            runs = list(self._runs.values())
        is_done = True
        for run in runs:
            left_s = max(0.0, end - time.monotonic())
            # One that the program has ended itself is only waited for.
            is_done &= run.close(left_s) if run.has_finished else run.leave(left_s)
        leaving.let_go(session.current(), runs)
        return is_done

    def diagnostics(self) -> RundialDiagnostics:
        """Return what became of everything that was logged through the client."""
        snapshots = [run.diagnostics() for run in list(self._runs.values())]
        past = [] if self._past is None else [self._past]
        return together.combined([*past, *snapshots], unkept=self._unkept)

    def _begin(
        self,
        settings: Settings,
        project_id: str,
        *,
        config: Mapping[str, object] | None = None,
        starts: bool = False,
    ) -> Run:
        rank = rank_of(self._options.distributed_rank, os.environ)
        identity = session.identity_of(settings, config=config, rank=rank)
        identity.update(project_id=project_id, outlives_process=True, is_joined=not starts)
        if settings.mode == "disabled" or self._is_silent_rank():
            return self._keep(session.silent(identity, settings), project_id)
        session.check_platform()
        settings = self._with_root(session.with_exporters(settings))
        told, cut = start.told_config(identity["config"])
        identity["started_unix_ns"] = time.time_ns()
        answer = None
        if starts:

            def announce() -> Answer | None:
                if settings.mode != "online":
                    return None
                return self._announced(identity, project_id, told[0].get("config", {}))

            answer = start.find_attempt(identity, settings, announce)
        else:
            identity.update(instance_id=os.urandom(16).hex(), attempt=1, first_step=0, first_system_step=0)
        target = Target(settings.endpoint, self._client.key)
        with self._guard():
            # Asked again: the announcement took its time.
            self._refuse_when_closed()
            run = start.begin(identity, settings, target, answer, told=told, session=session.current())
            run.note_changes(cut)
            session.install_hooks(session.current())
            run.share_client(self._client)
            return self._keep(run, project_id)

    def _announced(self, identity: Mapping[str, Any], project_id: str, config: Mapping[str, Any]) -> Answer:
        told = self._client.announce_run(
            project_id=project_id,
            run_id=identity["run_id"],
            kind=identity["kind"],
            resume=identity["resume"],
            run_name=identity["name"],
            group=identity["group"],
            job_type=identity["job_type"],
            tags=identity["tags"],
            config=config,
            instance_id=identity["instance_id"],
            rank=identity["rank"],
            launch=identity["launch"] or None,
            started_at_ns=identity["started_unix_ns"],
        )
        attempt = told.get("attempt")
        return Answer(
            identity["workspace"],
            told["projectId"],
            told.get("serverId"),
            attempt if isinstance(attempt, int) else 1,
            steps_of(told),
        )

    def _keep(self, run: Run, project_id: str) -> Run:
        with self._guard():
            before = self._runs.pop((project_id, run.run_id), None)
            if before is not None:
                # It has ended here and may still be on its way: kept, beside the one that goes on.
                self._runs[(project_id, f"{run.run_id}/{id(before)}")] = before
            self._put_away()
            self._runs[(project_id, run.run_id)] = run
        return run

    def _put_away(self) -> None:
        """Keep of runs that are over and answered only what is counted of them."""
        parts = session.current().parts
        live = parts.live if parts is not None else {}
        over = [key for key, run in self._runs.items() if run.has_finished and run not in live]
        if len(over) <= MAX_ENDED:
            return
        past = [] if self._past is None else [self._past]
        self._past = together.combined([*past, *(self._runs.pop(key).diagnostics() for key in over)])

    def _live(self, project_id: str, run_id: str) -> Run | None:
        known = self._runs.get((project_id, run_id))
        return None if known is None or known.has_finished else known

    def _not_kept(self, signal: Signal, reason: Reason, run_id: object, error: Exception) -> None:
        if self._is_strict():
            raise error
        with self._guard():
            counts = self._unkept.setdefault(signal, {})
            counts[reason] = counts.get(reason, 0) + 1
        self._notices.warn(f"{signal}:{run_id}", f"{signal} of run {run_id} are dropped and counted: {error}")

    def _is_strict(self) -> bool:
        try:
            return self._settings("any").strict
        except ConfigError:
            return bool(self._options.values.get("strict"))

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise ConfigError("this client is closed; nothing was started. Make another one")

    def _guard(self) -> RLock:
        if self._pid != os.getpid():
            # Forked: the lock may have been held by a thread that is no more.
            self._lock, self._pid = RLock(), os.getpid()
        return self._lock

    def _settings(
        self,
        project_id: str,
        place: tuple[str | None, str] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Settings:
        workspace, project = place or self._client.known_places.get(project_id) or (None, project_id)
        if not isinstance(project, str) or not project.strip():
            raise ConfigError("project_id must be a text that is not empty; nothing was started")
        values = {
            **self._options.values,
            "endpoint": self._client.endpoint,
            "project": project,
            "distributed": self._options.distributed,
            **(facts or {}),
        }
        # What the environment says of a run is said to `init`; a client may have any number of them.
        environ = {name: text for name, text in os.environ.items() if name not in OF_A_RUN_VARIABLES}
        settings = resolve(values, environ=environ, profile={})
        return changed(settings, workspace=workspace, api_key=self._client.api_key)

    def _with_root(self, settings: Settings) -> Settings:
        settings = changed(settings, spool_enabled=self._options.spool_enabled and settings.spool_enabled)
        if settings.spool_enabled or self._volatile is None or not os.path.isdir(self._volatile):
            root = start.spool_root(settings)
            self._volatile = None if settings.spool_enabled else root
            return changed(settings, spool_directory=root)
        return changed(settings, spool_directory=self._volatile)

    def _is_silent_rank(self) -> bool:
        options = self._options
        rank = rank_of(options.distributed_rank, os.environ)
        return options.distributed == "rank0" and rank not in (None, 0)
