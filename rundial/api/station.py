"""The way out of OpenTelemetry records of a program without a run: ring, spool and sender; no run events.

One for each set of settings in a process, shared by the parts of `rundial.otel` that were made with them.
What a killed program leaves is delivered by the next one with the same spool directory, by the next run, or
by `rundial sync`.

Threads: any may record; opening, flushing and closing wait at most their deadline.
After a fork: the child's first record opens one of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING
from weakref import WeakSet

from rundial.api import session, start
from rundial.api.adoption import adopt_for
from rundial.api.branches import drained
from rundial.api.nowhere import AGAIN_S, Losses
from rundial.api.pipeline import Attached, Pipeline
from rundial.api.target import target_of
from rundial.errors import ConfigError, RundialError, SpoolError
from rundial.logger import logger
from rundial.settings import Settings
from rundial.signals.resource import Identity
from rundial.spool.meta import Meta
from rundial.value import as_dict, changed

if TYPE_CHECKING:
    from rundial.choices import Signal
    from rundial.diagnostics import Ledger

# Names the spool's directory, beside those of runs.
NAME = "opentelemetry"
STOP_S = 0.3
_OF_A_RUN = frozenset(
    {"project", "workspace", "run_id", "name", "kind", "resume", "group", "job_type", "tags", "distributed"}
    # A provider takes any number of exporters by itself; those of a variable are for runs.
    | {"exporters"}
)


class Station:
    """One way out.

    Args:
        settings: With a spool directory that exists.

    Raises:
        ConfigError: The spool directory cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Guards opening and closing. Re-entrant: a signal handler may record as well.
        self._lock = RLock()
        self.users = 0
        self._pid = os.getpid()
        self._losses = Losses()
        self._again_s = 0.0
        self._pipeline, self._attached = self._open(None)

    @property
    def max_record_bytes(self) -> int:
        """What one record may take."""
        return self._pipeline.ring.max_record_bytes

    @property
    def is_crowded(self) -> bool:
        """Whether whoever can wait should."""
        return self._pid == os.getpid() and self._pipeline.ring.filled > 0.5

    def record(self, signal: Signal, request: bytes) -> bool:
        """Offer a request of one record; a refused one is counted. Waits for nothing."""
        if not self._is_own():
            self._losses.add(signal)
            return False
        return self._attached.recorder.request(signal, request)

    def drop(self, signal: Signal, units: int = 1) -> None:
        """Count records that could not be encoded."""
        if self._is_own():
            self._attached.recorder.drop(signal, "internal_error", units)
        else:
            self._losses.add(signal, units)

    def seal(self, timeout_s: float) -> bool:
        """Wait until everything recorded before is on disk."""
        return self._is_own() and self._pipeline.encoder.seal(timeout_s)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything recorded before is answered; offline, is on disk."""
        end = time.monotonic() + timeout_s
        if not self.seal(timeout_s):
            return False
        return drained(self._attached.branches, end, lambda: self._drain_first(end))

    def _drain_first(self, end: float) -> bool:
        sender, source = self._attached.sender, self._attached.source
        if sender is None or source is None:
            return True
        return sender.drain(max(0.0, end - time.monotonic()), source=source)

    def ledger(self) -> Ledger:
        """Return the exact account of this process's records."""
        return self._attached.recorder.ledger() if self._pid == os.getpid() else self._losses.ledger()

    def close(self) -> bool:
        """Send for at most `finish_timeout_seconds`, end the threads, and leave the rest on disk."""
        with self._lock:
            if self._pid != os.getpid():
                return not any(each.logged for each in self._losses.ledger().telemetry())
            self._attached.recorder.close()
            is_done = self.flush(self._settings.finish_timeout_seconds)
            ledger = self._attached.recorder.ledger()
            pipeline, attached = self._pipeline, self._attached
            if any(each.waiting_ring for each in ledger.telemetry()):
                # The disk could not take it: the ring stays, for whoever comes next.
                pipeline.stop(STOP_S)
                return False
            pipeline.release(attached)
            if attached.sender is not None and attached.source is not None:
                attached.sender.remove(attached.source)
            with suppress(RundialError, OSError):
                drops = {name: each.dropped for name, each in ledger.signals().items()}
                attached.spool.update_meta(state="closed", drops=drops)
                if attached.spool.is_empty():
                    attached.spool.remove()
            for branch in attached.branches:
                with suppress(RundialError, OSError):
                    branch.mirror.spool.update_meta(state="closed", drops=drops)
                branch.close()
            attached.spool.close()
            pipeline.stop(STOP_S)
            return is_done

    def abandon_in_child(self) -> None:
        """After a fork: nothing of the parent's is ours."""
        self._lock = RLock()
        self._losses = Losses()
        self._again_s = 0.0
        self._pipeline.abandon_in_child()

    def _is_own(self) -> bool:
        """Whether the ring is this process's; a forked child's is made here, and tried again now and then."""
        if self._pid == os.getpid():
            return True
        with self._lock:
            if self._pid != os.getpid() and time.monotonic() >= self._again_s:
                self._reopen()
        return self._pid == os.getpid()

    def _reopen(self) -> None:
        try:
            self._pipeline, self._attached = self._open(self._pipeline)
        except (RundialError, OSError) as error:
            self._again_s = time.monotonic() + AGAIN_S
            logger.warning(
                "a forked process cannot record, and what it records is lost and counted: %s", error
            )
            return
        self._pid = os.getpid()
        self._losses.move_to(self._attached.recorder.drop)

    def _open(self, before: Pipeline | None) -> tuple[Pipeline, Attached]:
        settings = self._settings
        pipeline = Pipeline(settings, on_pass=_nothing, after=before.ring if before is not None else None)
        instance = os.urandom(16).hex()
        target = target_of(settings)
        meta = Meta(
            run_id=NAME,
            instance_id=instance,
            project=NAME,
            endpoint=settings.endpoint,
            lane_endpoints=target.lane_urls,
            # The records say themselves whose they are: nothing to announce, and no account to tell.
            extra={
                "mode": settings.mode,
                "announced": True,
                "is_plain_otlp": settings.is_plain_otlp,
                "is_run": False,
            },
        )
        identity = Identity(project=NAME, run_id=NAME, run_kind="agent", instance_id=instance)
        try:
            attached = pipeline.attach(settings, identity, meta, target)
        except (OSError, SpoolError) as error:
            raise ConfigError(
                f"spool_directory {settings.spool_directory} cannot be used ({error}); nothing was started. "
                "Set RUNDIAL_SPOOL_DIR to a directory that this user may write"
            ) from error
        pipeline.begin(attached, settings)
        if settings.mode == "online":
            adopt_for(pipeline, settings, attached, None)
        return pipeline, attached


class Stations:
    """Those of this process, by what they were made with."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._open: dict[str, Station] = {}
        self._all: WeakSet[Station] = WeakSet()

    def join(self, options: Mapping[str, object]) -> Station:
        """Return the station of some settings, made by the first who asks.

        Raises:
            ConfigError: A setting is wrong, or belongs to a run.
        """
        ours = sorted(_OF_A_RUN.intersection(options))
        if ours:
            raise ConfigError(f"{ours[0]} belongs to a run: the records say by their resource whose they are")
        settings = session.settings_of({**options, "project": NAME, "exporters": ()})
        session.check_platform()
        settings = changed(settings, spool_directory=start.spool_root(settings))
        key = repr([(name, value) for name, value in as_dict(settings).items()])
        with self._lock:
            station = self._open.get(key)
            if station is None:
                station = self._open[key] = Station(settings)
                self._all.add(station)
            station.users += 1
            return station

    def leave(self, station: Station) -> None:
        """Close a station that nobody else uses."""
        with self._lock:
            station.users -= 1
            if station.users > 0:
                return
            self._open = {key: each for key, each in self._open.items() if each is not station}
        station.close()

    def at_exit(self) -> None:
        """Send what nobody has shut down; it stays open, for providers that come later still."""
        for station in list(self._open.values()):
            if not station.flush(station._settings.finish_timeout_seconds):
                logger.warning(
                    "OpenTelemetry records wait in %s; send them with: rundial sync %s",
                    station._attached.spool.directory,
                    station._settings.spool_directory,
                )

    def before_fork(self) -> None:
        """Let no import of ours be under way."""
        for station in list(self._all):
            station._pipeline.quiet.before_fork()

    def after_fork(self) -> None:
        """Go on in the parent."""
        for station in list(self._all):
            station._pipeline.quiet.after_fork()

    def in_child(self) -> None:
        """Let go of the parent's."""
        self._lock = RLock()
        for station in list(self._open.values()):
            station.abandon_in_child()


def _nothing() -> None:
    """There is no run whose life would have to be told."""
