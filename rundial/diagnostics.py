"""The ledger and what `run.diagnostics()` tells: plain values, no I/O.

The ledger's identity, per signal and at every moment:

    logged   = recorded + sum(dropped)
    recorded = delivered + rejected + sum(evicted) + waiting_ring + waiting_spool

`logged` is derived, never stored. Units are points, lines (of text, and results of evaluations), spans,
and artifacts: each call that hands over a file, a directory or a piece of media, and each piece of
evidence. Other run events are outside it. The reasons are a closed set and are API: they reach the
server and the web UI.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rundial.reasons import ACCOUNTS as ACCOUNTS
from rundial.reasons import REASONS as REASONS
from rundial.reasons import SIGNALS as SIGNALS
from rundial.typed import Literal

DiagnosticsHealth = Literal["healthy", "degraded", "offline_buffering", "error"]


@dataclass(frozen=True, slots=True)
class SignalLedger:
    """The account of one signal, in its own unit.

    Attributes:
        recorded: Units accepted into the recorder.
        dropped: Units never accepted, by reason.
        delivered: Units that a server answered for.
        rejected: Units that a server refused for good.
        evicted: Units lost after they were accepted, by reason.
        waiting_ring: Units accepted and not yet in the spool.
        waiting_spool: Units in the spool, not yet answered.
    """

    recorded: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    delivered: int = 0
    rejected: int = 0
    evicted: dict[str, int] = field(default_factory=dict)
    waiting_ring: int = 0
    waiting_spool: int = 0

    @property
    def logged(self) -> int:
        """Units that the program tried to log."""
        return self.recorded + sum(self.dropped.values())

    @property
    def waiting(self) -> int:
        """Units accepted and not yet answered, wherever they are."""
        return self.waiting_ring + self.waiting_spool

    @property
    def lost(self) -> int:
        """Units that will never arrive."""
        return sum(self.dropped.values()) + self.rejected + sum(self.evicted.values())

    @property
    def closes(self) -> bool:
        """Whether every recorded unit is accounted for."""
        settled = self.delivered + self.rejected + sum(self.evicted.values())
        return self.recorded == settled + self.waiting

    def wire(self) -> dict[str, object]:
        """The counters as the `rundial.run.ledger` event carries them."""
        return {
            "recorded": self.recorded,
            "dropped": dict(self.dropped),
            "evicted": sum(self.evicted.values()),
            "rejected": self.rejected,
        }


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of everything that a run logged in this process.

    Attributes:
        points: Metric points.
        lines: Text lines, and results of evaluations.
        spans: Spans; one still open is not counted yet.
        artifacts: Files, directories, media and evidence, one a call or value.
    """

    points: SignalLedger = field(default_factory=SignalLedger)
    lines: SignalLedger = field(default_factory=SignalLedger)
    spans: SignalLedger = field(default_factory=SignalLedger)
    artifacts: SignalLedger = field(default_factory=SignalLedger)

    def signals(self) -> dict[str, SignalLedger]:
        """All accounts by name."""
        return {
            "points": self.points,
            "lines": self.lines,
            "spans": self.spans,
            "artifacts": self.artifacts,
        }

    def telemetry(self) -> tuple[SignalLedger, SignalLedger, SignalLedger]:
        """The accounts of what travels as telemetry: points, lines and spans."""
        return self.points, self.lines, self.spans

    @property
    def closes(self) -> bool:
        """Whether every account closes."""
        return all(account.closes for account in self.signals().values())

    def wire(self) -> dict[str, object]:
        """The body of a `rundial.run.ledger` event."""
        return {name: account.wire() for name, account in self.signals().items()}


@dataclass(frozen=True, slots=True)
class PlaceLedger(Ledger):
    """What became of a run's records at one of the further places that get them.

    Attributes:
        place: The endpoint's URL, or the class of the exporter.
        last_error: What went wrong there last, in words; None when all is well.
    """

    place: str = ""
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class RundialDiagnostics:
    """A snapshot of a run's delivery; the published names keep their meaning.

    Attributes:
        enqueued_points: Units accepted into the recorder (points, lines and spans).
        accepted_points: Units that a server answered for.
        dropped_points_queue_full: Units refused because the ring was full.
        dropped_points_spool_eviction: Units evicted from a full or over-age spool, or from a full
            ring whose spool could not be written.
        dropped_points_non_retryable: Units that were invalid, or that a server refused for good.
        dropped_points_retry_exhausted: Always 0: a retryable failure is retried for ever.
        failed_flush_attempts: Requests that failed and will be tried again.
        retry_attempts: Requests that were tried again.
        spool_segments: Segment files in the spool.
        spool_bytes: Bytes in the spool that no server has answered for.
        non_finite_dropped: NaN and infinities dropped, by key.
        queue_depth: Units in the ring, not yet in the spool.
        worker_running: Whether the encoder thread is alive.
        last_error: The last delivery error in words, None when all is well.
        out_of_order_step_writes: Explicit steps lower than the highest seen; such points are kept.
        config_truncations: Config values that had to be shortened.
        system_samples_collected: Samples of the system metrics.
        system_samples_skipped_backpressure: Samples left out because ring or spool were too full.
        health: `healthy`, `degraded` (something was lost or is failing), `offline_buffering`, `error`.
        log_lines_truncated: Text lines cut at 8,192 bytes.
        dropped_log_lines_queue_full: Text lines refused because the ring was full.
        dropped_log_lines_invalid: Text lines that could not be turned into text or had a bad level.
        durability: What the ring survives: `disk`, `container`, `host` or `memory`.
        ledger: The exact account.
        artifact_bytes_sent: Bytes of files that were uploaded.
        artifact_failures: What became of files that were lost or refused, in words; the last 20.
        places: The accounts of further endpoints and exporters; `ledger` is that of the first endpoint.
    """

    enqueued_points: int
    accepted_points: int
    dropped_points_queue_full: int
    dropped_points_spool_eviction: int
    dropped_points_non_retryable: int
    dropped_points_retry_exhausted: int
    failed_flush_attempts: int
    retry_attempts: int
    spool_segments: int
    spool_bytes: int
    non_finite_dropped: dict[str, int]
    queue_depth: int
    worker_running: bool
    last_error: str | None
    out_of_order_step_writes: int
    config_truncations: int
    system_samples_collected: int
    system_samples_skipped_backpressure: int
    health: DiagnosticsHealth
    log_lines_truncated: int = 0
    dropped_log_lines_queue_full: int = 0
    dropped_log_lines_invalid: int = 0
    pending_spooled_batches: int = 0
    durability: str = "memory"
    ledger: Ledger = field(default_factory=Ledger)
    artifact_bytes_sent: int = 0
    artifact_failures: tuple[str, ...] = ()
    places: tuple[PlaceLedger, ...] = ()

    @property
    def dropped_points_non_finite(self) -> int:
        """NaN and infinities dropped, all keys together."""
        return sum(self.non_finite_dropped.values())
