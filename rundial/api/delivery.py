"""What happens to a run's records after the call: flush, finish, diagnostics.

Runs on the caller's thread; every wait has the caller's deadline.
"""

from __future__ import annotations

import time
from binascii import a2b_base64
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import RLock, get_ident

from rundial.api.ending import FOR_EVER_S, STATUSES, Ending
from rundial.api.key import Key
from rundial.api.pipeline import Attached, Pipeline
from rundial.logger import logger
from rundial.settings import Settings
from rundial.signals import semconv
from rundial.typed import TYPE_CHECKING, Any
from rundial.value import as_dict

if TYPE_CHECKING:
    from rundial.diagnostics import DiagnosticsHealth, Ledger, PlaceLedger, RundialDiagnostics
    from rundial.export.slot import LaneReport

# Long enough to stand for "for ever" and short enough for every timer.
HEARTBEAT_S = 30.0
# Sampling takes milliseconds; what takes longer, such as a provider that hangs, is not waited for.
LAST_SAMPLE_S = 0.5
# What leaving a run may take beyond its deadline, for bringing it to disk: one pass of the encoder.
LEAVING_SEAL_S = 0.25
# A hook that is at work is waited for as little.
HOOK_S = 0.2
UPLOADS_STOP_S = 0.1


class RunDelivery:
    """One run's way out of this process.

    Args:
        pipeline: The process's parts.
        attached: The run's.
        settings: The run's.
        ends_run: With which statuses `finish` ends the run: none in a forked child, whose parent's run it
            is, and only `failed` in a rank above 0, whose run goes on without it.

    Attributes:
        is_cut_short: The last `finish` came from a signal handler inside a call of the run, and could
            only begin.
        on_done: Called once everything is answered, offline: is on disk, and nothing is left to see to.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        attached: Attached,
        settings: Settings,
        *,
        ends_run: Collection[str] = STATUSES,
    ) -> None:
        self._pipeline = pipeline
        self._attached = attached
        self._settings = settings
        self._ends_run = ends_run
        # Guards finish: two threads must not write two ends. Re-entrant, because an exception of a signal
        # handler may strike when the lock is just taken: the thread's next call must not wait for itself.
        self._lock = RLock()
        # The thread that is inside `finish`; a handler that has interrupted it must not wait for it.
        self._finisher = 0
        self.is_cut_short = False
        # How far `finish` has come: whoever interrupts it, the next call goes on from there.
        self._has_ended = False
        self._has_told_end = False
        self._is_settled = False
        # How the run ended, if this process ends it.
        self._status: str | None = None
        self._has_handed_over = False
        self._is_released = False
        self._is_answered = False
        self._is_done = False
        self._last_beat_s = time.monotonic()
        self._told: dict[str, object] | None = None
        self.on_done: Callable[[], None] = _nothing

    @property
    def key(self) -> Key:
        """The key that the run's requests carry."""
        return self._attached.target.key

    def flush(self, timeout_s: float | None) -> bool:
        """Wait until everything is answered (offline: on disk)."""
        if self._is_done:
            return True
        end = time.monotonic() + (FOR_EVER_S if timeout_s is None else timeout_s)
        if not self._is_released and not self._pipeline.encoder.seal(max(0.0, end - time.monotonic())):
            return False
        return self._drain(end)

    def hurry(self) -> None:
        """Have what is in memory written to disk now; waits for nothing."""
        self._pipeline.encoder.wake()

    def finish(self, timeout_s: float, ending: Ending | None) -> bool:
        """End the run here, without an ending only here; True when all is answered (offline: on disk).

        False at once from a signal handler that has interrupted this thread's own call: what that one
        was about to record is not there yet, and the run is brought home when the process exits.
        """
        end = time.monotonic() + timeout_s
        if self._finisher == get_ident() or not self._lock.acquire(timeout=max(0.0, timeout_s)):
            return False
        try:
            self._finisher = get_ident()
            self.is_cut_short = self._pipeline.ring.is_inside
            if self._is_done:
                return True
            self._has_ended = True
            if not self._has_told_end:
                self._end(ending, end)
                self._has_told_end = True
            # Who leaves has others to leave too, and what is not on disk could not be left to anybody.
            seal_end = end if ending is not None else max(end, time.monotonic() + LEAVING_SEAL_S)
            self._is_answered = self._is_answered or (
                self._leave_ring(end, seal_end) and self._drain(end) and self._tell_rest(end)
            )
            if not self._is_answered:
                self._hand_over()
                return False
            self._close()
            return True
        finally:
            self._finisher = 0
            self._lock.release()

    def let_go(self) -> bool:
        """Send no more of what is on disk: the next run or `rundial sync` does.

        Returns:
            False where something is not on disk yet; then nothing was changed.
        """
        if not self._is_released:
            return False
        if not self._is_done:
            sender, source = self._attached.sender, self._attached.source
            if sender is not None and source is not None:
                sender.remove(source)
            self._stop_uploads()
            self._close_branches()
            self._attached.spool.close()
        return True

    def beat(self) -> None:
        """Do what is due now and then, on the encoder's thread."""
        hook = self._attached.hook
        if hook is not None:
            recorder = self._attached.recorder
            hook.look(recorder.ledger(), recorder.evicted(), self._pipeline.encoder.failure)
        self._beat()

    def _beat(self) -> None:
        """Say that the run lives; not while there is a backlog."""
        now = time.monotonic()
        if now - self._last_beat_s < HEARTBEAT_S or self._has_ended:
            return
        self._last_beat_s = now
        if self._attached.source is not None and self._waiting_frames() == 0:
            self._attached.recorder.event(semconv.EVENT_RUN_HEARTBEAT, {})

    @property
    def is_done(self) -> bool:
        """Whether everything is answered and nothing is left on disk."""
        return self._is_done

    def waiting(self) -> int:
        """Points, lines and spans that are not answered yet."""
        here = sum(account.waiting for account in self._attached.recorder.ledger().telemetry())
        return here + sum(branch.waiting() for branch in self._attached.branches)

    def waiting_files(self) -> int:
        """Artifacts that no server has taken yet."""
        return self._attached.recorder.ledger().artifacts.waiting

    def diagnostics(self, counts: Mapping[str, Any]) -> RundialDiagnostics:
        """Return a snapshot; `counts` are what the run itself counts."""
        from rundial.diagnostics import RundialDiagnostics

        ledger, places = self._ledgers()
        watch = self._attached.watch
        reports = self._reports()
        accounts = ledger.telemetry()
        uploads = self._attached.uploads
        lanes = [lane.counts() for lane in self._attached.spool.lanes.values()]
        last_error = next((report.last_error for report in reports if report.last_error), None)
        failure = self._pipeline.encoder.failure
        if failure is not None:
            last_error = f"the spool cannot be written: {failure}"
        elif last_error is None and uploads is not None:
            last_error = uploads.last_error
        return RundialDiagnostics(
            enqueued_points=sum(account.recorded for account in accounts),
            accepted_points=sum(account.delivered for account in accounts),
            dropped_points_queue_full=_dropped(ledger, "queue_full"),
            dropped_points_spool_eviction=sum(sum(account.evicted.values()) for account in accounts),
            dropped_points_non_retryable=_dropped(ledger, "invalid")
            + sum(account.rejected for account in accounts),
            dropped_points_retry_exhausted=0,
            failed_flush_attempts=sum(report.failed for report in reports),
            retry_attempts=sum(report.retries for report in reports),
            spool_segments=sum(lane.segments for lane in self._attached.spool.lanes.values()),
            spool_bytes=sum(lane.waiting_bytes for lane in lanes),
            non_finite_dropped=counts["non_finite"],
            queue_depth=sum(account.waiting_ring for account in accounts),
            worker_running=self._pipeline.encoder.is_running,
            last_error=last_error,
            out_of_order_step_writes=counts["out_of_order_steps"],
            config_truncations=counts["config_truncations"],
            system_samples_collected=watch.collected if watch else 0,
            system_samples_skipped_backpressure=watch.skipped if watch else 0,
            health=self._health(ledger, last_error, places),
            log_lines_truncated=counts["lines_truncated"],
            dropped_log_lines_queue_full=ledger.lines.dropped.get("queue_full", 0),
            dropped_log_lines_invalid=counts["lines_invalid"],
            pending_spooled_batches=sum(lane.waiting_frames for lane in lanes),
            durability=self._pipeline.durability,
            ledger=ledger,
            artifact_bytes_sent=uploads.sent if uploads else 0,
            artifact_failures=tuple(self._attached.spool.journal.failures),
            places=places,
        )

    def _ledgers(self) -> tuple[Ledger, tuple[PlaceLedger, ...]]:
        """The run's account and those of the further places, as they are at one moment."""
        if self._attached.recorder.is_interrupting:
            return self._ledgers_now()  # the lock may be held by a pass that waits for this thread
        with self._pipeline.encoder.pass_lock:
            return self._ledgers_now()

    def _ledgers_now(self) -> tuple[Ledger, tuple[PlaceLedger, ...]]:
        ledger = self._attached.recorder.ledger()
        return ledger, tuple(branch.ledger(ledger) for branch in self._attached.branches)

    def _end(self, ending: Ending | None, end: float) -> None:
        if self._attached.watch is not None:
            self._attached.watch.end(min(LAST_SAMPLE_S, max(0.0, end - time.monotonic())))
        # From here on nothing is accepted, so that what was is all there when it is counted.
        self._attached.recorder.close()
        if ending is not None and ending.status in self._ends_run:
            self._status = ending.status
            body = {**as_dict(ending), "finished_unix_ns": ending.finished_unix_ns or time.time_ns()}
            self._attached.recorder.event(semconv.EVENT_RUN_FINISH, body)

    def _leave_ring(self, end: float, seal_end: float) -> bool:
        if not self._is_settled:
            self._is_settled = self._settle(end, seal_end)
        if self._is_settled and not self._is_released:
            self._pipeline.release(self._attached)
            self._is_released = True
        return self._is_released

    def _settle(self, end: float, seal_end: float) -> bool:
        """Bring everything to disk, with the final account."""
        if not self._seal(seal_end):
            return False
        uploads = self._attached.uploads
        # A file that takes long to read leaves the records their half of the time.
        if uploads is not None and not uploads.prepared(max(0.0, end - time.monotonic()) / 2):
            # The rest of the rows is told by whoever has the spool next.
            logger.debug("run %s: not all files were looked at in time", self._attached.spool.meta.run_id)
        self._tell_ledger()
        if not self._seal(seal_end):
            return False
        # What the server refuses now belongs into the account that it is given.
        if self._drain(end) and self._account_to_tell() != self._told:
            self._tell_ledger()
            self._seal(end)
        ledger = self._attached.recorder.ledger()
        if any(account.waiting_ring for account in ledger.signals().values()):
            return False
        from rundial.api import account

        spool = self._attached.spool
        for branch in self._attached.branches:
            branch.settle(ledger, self._told or {})
        facts = {account.BESIDE: self._attached.recorder.beside(), account.TOLD: self._told}
        spool.update_meta(
            state="closed",
            drops={name: each.dropped for name, each in ledger.signals().items()},
            extra={**spool.meta.extra, **facts, "status": self._status},
        )
        return True

    def _tell_rest(self, end: float) -> bool:
        """Tell the server what was refused or given up since the final account; so each further place."""
        is_told = self._tell_rest_to_server(end)
        for branch in self._attached.branches:
            is_told &= branch.tell_rest(end)
        return is_told

    def _tell_rest_to_server(self, end: float) -> bool:
        if self._attached.sender is None:
            return True
        from rundial.api import account

        spool = self._attached.spool
        return account.tell_rest(spool, a2b_base64(spool.meta.resource_b64), lambda: self._drain(end))

    def _seal(self, end: float) -> bool:
        return self._pipeline.encoder.seal(max(0.0, end - time.monotonic()))

    def _tell_ledger(self) -> None:
        self._told = self._account_to_tell()
        self._attached.recorder.event(semconv.EVENT_RUN_LEDGER, self._told)

    def _account_to_tell(self) -> dict[str, Any]:
        """The account as all places are told it: what one of them refuses is told to that one, afterwards."""
        told: dict[str, Any] = self._attached.recorder.ledger().wire()
        if self._attached.branches:
            for signal, common in self._attached.recorder.beside().items():
                told[signal] = {**told[signal], "rejected": common["rejected"], "evicted": common["evicted"]}
        return told

    def _drain(self, end: float) -> bool:
        branches = self._attached.branches
        if not branches:
            return self._drain_first(end)
        from rundial.api.branches import drained

        return drained(branches, end, lambda: self._drain_first(end))

    def _drain_first(self, end: float) -> bool:
        spool = self._attached.spool
        if self._attached.uploads is None and spool.has_journal and spool.journal.counts().waiting:
            self._pipeline.see_to_files(self._attached, self._settings)
        sender, source, uploads = self._attached.sender, self._attached.source, self._attached.uploads
        is_sent = (
            sender is None or source is None or sender.drain(max(0.0, end - time.monotonic()), source=source)
        )
        # Both are waited for, also when one of them was not done in time: the other may be.
        return (uploads is None or uploads.drain(max(0.0, end - time.monotonic()))) and is_sent

    def _hand_over(self) -> None:
        """Tell the hook, once, that what is left waits for the next process or `rundial sync`."""
        hook = self._attached.hook
        if hook is not None and not self._has_handed_over:
            self._has_handed_over = True
            path = self._attached.spool.directory
            hook.tell("shutdown_spool_handoff", records=self.waiting(), path=path)

    def _close(self) -> None:
        """Let go of all that the run had here; each step may be repeated."""
        sender, source = self._attached.sender, self._attached.source
        spool = self._attached.spool
        if self._attached.hook is not None:
            self._attached.hook.close(HOOK_S)
        # Offline everything is on disk, and stays there for `rundial sync`.
        self._stop_uploads()
        self._close_branches()
        if sender is not None and source is not None:
            sender.remove(source)
            # A Collector takes no files: they wait for `rundial sync --to` a server.
            if spool.exists() and spool.journal.counts().waiting == 0:
                spool.remove()
        spool.close()
        self.on_done()
        self._is_done = True

    def _close_branches(self) -> None:
        # Their last accounts stay: `diagnostics` is asked after the end, too.
        for branch in self._attached.branches:
            branch.close()

    def _stop_uploads(self) -> None:
        if self._attached.uploads is not None:
            self._attached.uploads.stop(UPLOADS_STOP_S)

    def _waiting_frames(self) -> int:
        return sum(lane.waiting_frames for lane in self._attached.spool.lanes.values())

    def _reports(self) -> list[LaneReport]:
        sender, source = self._attached.sender, self._attached.source
        return [] if sender is None or source is None else list(sender.report(source).values())

    def _health(
        self, ledger: Ledger, last_error: str | None, places: Sequence[PlaceLedger]
    ) -> DiagnosticsHealth:
        if not self._is_released and not self._pipeline.encoder.is_running:
            return "error"
        if last_error or any(account.lost for account in ledger.signals().values()):
            return "degraded"
        if any(place.last_error or any(each.lost for each in place.telemetry()) for place in places):
            return "degraded"
        if self._attached.sender is None and any(account.waiting for account in ledger.signals().values()):
            return "offline_buffering"
        return "healthy"


def _nothing() -> None:
    """What `on_done` is until somebody wants to hear."""


def _dropped(ledger: Ledger, reason: str) -> int:
    return sum(account.dropped.get(reason, 0) for account in ledger.telemetry())
