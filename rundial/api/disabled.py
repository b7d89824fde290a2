"""A run that does nothing, with the same surface and the same validation of arguments.

For `mode="disabled"` and for the silent ranks of a distributed run: no file, no thread, no request.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rundial.api.ending import Ending
from rundial.api.key import Key

if TYPE_CHECKING:
    from rundial.diagnostics import Ledger, RundialDiagnostics
    from rundial.reasons import Reason, Signal

_TIMES = itertools.count(1, 2)


class _Keys:
    """Packs like a key set, and keeps nothing."""

    def __init__(self, names: Sequence[str]) -> None:
        from struct import Struct

        row = Struct(f"<{len(names)}d")
        self.names = tuple(names)
        self.size = len(names)
        self.pack = row.pack
        self.unpack = row.unpack


class DisabledSink:
    """Takes everything and keeps nothing."""

    def key_set(self, names: Sequence[str], attributes: tuple[tuple[str, str], ...]) -> _Keys:
        """Return something to pack a row with, so that values are checked as ever."""
        del attributes
        return _Keys(names)

    def row(self, keys: Any, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        """Accept a row."""
        del keys, body, step, explicit_ns
        return True

    def explicit_unix_ns(self, time_ms: int) -> int:
        """Return a time like the recorder's."""
        return time_ms * 1_000_000 + next(_TIMES) % 1_000_000

    def text(self, body: bytes, time_ms: int | None = None) -> bool:
        """Accept a line."""
        del body, time_ms
        return True

    def event(self, name: str, body: Mapping[str, object]) -> bool:
        """Accept an event."""
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

    def finish(self, timeout_s: float, ending: Ending) -> bool:
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
            config_truncations=0,
            system_samples_collected=0,
            system_samples_skipped_backpressure=0,
            health="healthy",
            log_lines_truncated=counts["lines_truncated"],
            dropped_log_lines_invalid=counts["lines_invalid"],
        )


def no_tracer(answers: object) -> Any:
    """Return OTel's tracer that records nothing."""
    del answers
    from opentelemetry.trace import NoOpTracerProvider

    return NoOpTracerProvider().get_tracer("rundial")
