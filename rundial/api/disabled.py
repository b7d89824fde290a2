"""A run that does nothing, with the same surface and the same validation of arguments.

For `mode="disabled"` and for the silent ranks of a distributed run: no file, no thread, no request.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from rundial.api.ending import Ending
from rundial.api.key import Key
from rundial.signals import semconv
from rundial.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.choices import Reason, Signal
    from rundial.diagnostics import Ledger, RundialDiagnostics
    from rundial.signals.records import SpanData

# Names that a program makes up without end must not fill memory.
MAX_LATEST = 4096

_TIMES = itertools.count(1, 2)


class _Keys:
    """Packs like a key set, and keeps nothing."""

    def __init__(self, names: Sequence[str], attributes: tuple[tuple[str, str], ...]) -> None:
        from struct import Struct

        row = Struct(f"<{len(names)}d")
        self.names = tuple(names)
        self.size = len(names)
        self.pack = row.pack
        self.unpack = row.unpack
        # As `rundial.recorder.latest`: a point with a context is no metric of the summary.
        self.is_plain = all(name == semconv.RANK for name, _ in attributes)


class DisabledSink:
    """Takes everything and keeps nothing but each metric's last value, which `run.summary` shows."""

    def __init__(self) -> None:
        self._rows: dict[Any, bytes] = {}

    def key_set(self, names: Sequence[str], attributes: tuple[tuple[str, str], ...]) -> _Keys:
        """Return something to pack a row with, so that values are checked as ever."""
        return _Keys(names, attributes)

    def row(self, keys: Any, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        """Accept a row."""
        del step, explicit_ns
        if keys.is_plain:
            # The order of a dictionary is that of its first writes; this row is the last one now.
            self._rows.pop(keys, None)
            self._rows[keys] = body
            if len(self._rows) > MAX_LATEST:
                self._rows.pop(next(iter(self._rows)))
        return True

    def data_point(self, scope: bytes, latest: Mapping[str, float]) -> bool:
        """Accept a data point of OpenTelemetry's metrics."""
        del scope, latest
        return True

    def latest(self) -> Mapping[str, float]:
        """Return the last value of each metric."""
        found: dict[str, float] = {}
        for keys, body in list(self._rows.items()):
            found.update(zip(keys.names, keys.unpack(body), strict=True))
        return found

    def explicit_unix_ns(self, time_ms: int) -> int:
        """Return a time like the recorder's."""
        return time_ms * 1_000_000 + next(_TIMES) % 1_000_000

    def text(self, body: bytes, time_ms: int | None = None) -> bool:
        """Accept a line."""
        del body, time_ms
        return True

    def job(self, job: Mapping[str, object], made: Any = None, size: int = 0) -> None:
        """Keep no file, and say so."""
        del job, made, size

    def event(self, name: str, body: Mapping[str, object]) -> bool:
        """Accept an event."""
        del name, body
        return True

    def span_start(self, span: SpanData | bytes) -> bool:
        """Accept a span that has begun."""
        del span
        return True

    def span_end(self, span: SpanData | bytes) -> bool:
        """Accept a span that has ended."""
        del span
        return True

    def result(self, name: str, body: Mapping[str, object]) -> bool:
        """Accept a result."""
        del name, body
        return True

    def drop(self, signal: Signal, reason: Reason, units: int) -> None:
        """Nothing is counted."""

    def ledger(self) -> Ledger:
        """Return an empty account."""
        from rundial.diagnostics import Ledger

        return Ledger()


class DisabledDelivery:
    """Has nothing to deliver.

    Attributes:
        key: What requests would carry.
    """

    def __init__(self, key: Key | None = None) -> None:
        self.key = key or Key(None)

    def flush(self, timeout_s: float | None) -> bool:
        """All of nothing is answered."""
        del timeout_s
        return True

    def hurry(self) -> None:
        """Nothing is in memory."""

    def finish(self, timeout_s: float, ending: Ending | None) -> bool:
        """Nothing ends."""
        del timeout_s, ending
        return True

    def diagnostics(self, counts: Mapping[str, Any]) -> RundialDiagnostics:
        """Return zeros, and what the run itself counted."""
        from rundial.diagnostics import RundialDiagnostics

        return RundialDiagnostics(
            enqueued_points=0,
            accepted_points=0,
            dropped_points_queue_full=0,
            dropped_points_spool_eviction=0,
            dropped_points_non_retryable=0,
            dropped_points_retry_exhausted=0,
            failed_flush_attempts=0,
            retry_attempts=0,
            spool_segments=0,
            spool_bytes=0,
            non_finite_dropped=counts["non_finite"],
            queue_depth=0,
            worker_running=False,
            last_error=None,
            out_of_order_step_writes=counts["out_of_order_steps"],
            config_truncations=counts["config_truncations"],
            system_samples_collected=0,
            system_samples_skipped_backpressure=0,
            health="healthy",
            log_lines_truncated=counts["lines_truncated"],
            dropped_log_lines_invalid=counts["lines_invalid"],
        )


def no_provider(tracing: object) -> Any:
    """Return OTel's tracer provider that records nothing."""
    del tracing
    from opentelemetry.trace import NoOpTracerProvider

    return NoOpTracerProvider()
