"""Where records of a forked child go while its spool cannot be opened: nowhere, and each is counted.

The program goes on: what a worker's full disk costs is its records, and never its work. Now and then the
next record tries again; once it succeeds, the run's account says what was lost before.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from rundial.api.disabled import DisabledDelivery, DisabledSink
from rundial.api.ending import Ending
from rundial.api.key import Key
from rundial.diagnostics import Ledger, RundialDiagnostics, SignalLedger
from rundial.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.api.sink import Sink
    from rundial.choices import Reason, Signal
    from rundial.signals.records import SpanData

AGAIN_S = 10.0


class Losses:
    """Counts records that had nowhere to go."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Signal, Reason]] = Counter()

    def add(self, signal: Signal, units: int = 1, reason: Reason = "internal_error") -> None:
        """Count some."""
        self._counts[signal, reason] += units

    def move_to(self, drop: Callable[[Signal, Reason, int], object]) -> None:
        """Have somebody else count them from now on."""
        while self._counts:
            (signal, reason), units = self._counts.popitem()
            drop(signal, reason, units)

    def ledger(self) -> Ledger:
        """Return the account of them."""
        drops: dict[Signal, dict[str, int]] = {}
        for (signal, reason), units in list(self._counts.items()):
            drops.setdefault(signal, {})[reason] = units
        return Ledger(**{signal: SignalLedger(dropped=dropped) for signal, dropped in drops.items()})


class Nowhere(DisabledSink):
    """Refuses every record and counts it; as a sink.

    Args:
        begin: Opens the spool, wires the run to it, and returns the sink; raises as opening does.
        losses: Counts.
    """

    def __init__(self, begin: Callable[[], Sink], losses: Losses) -> None:
        super().__init__()
        self._begin = begin
        self._losses = losses
        self._again_s = time.monotonic() + AGAIN_S

    def row(self, keys: Any, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        """Count a row's points."""
        del body, step, explicit_ns
        return self._lose("points", keys.size)

    def data_point(self, scope: bytes, latest: Mapping[str, float]) -> bool:
        """Count a data point of OpenTelemetry's metrics."""
        del scope, latest
        return self._lose("points")

    def text(self, body: bytes, time_ms: int | None = None) -> bool:
        """Count a line."""
        del body, time_ms
        return self._lose("lines")

    def job(self, job: Mapping[str, object], made: Any = None, size: int = 0) -> bool | None:  # type: ignore[override]  # a disabled run keeps nothing anyway, and this one loses it
        """Count a file."""
        del job, made, size
        return self._lose("artifacts")

    def span_start(self, span: SpanData | bytes) -> bool:
        """A span counts when it ends."""
        del span
        return False

    def span_end(self, span: SpanData | bytes) -> bool:
        """Count a span."""
        del span
        return self._lose("spans")

    def result(self, name: str, body: Mapping[str, object]) -> bool:
        """Count a result."""
        del name, body
        return self._lose("lines")

    def drop(self, signal: Signal, reason: Reason, units: int) -> None:
        """Count what was lost before it came here."""
        self._losses.add(signal, units, reason)

    def ledger(self) -> Ledger:
        """Return the account."""
        return self._losses.ledger()

    def _lose(self, signal: Signal, units: int = 1) -> bool:
        self._losses.add(signal, units)
        if time.monotonic() >= self._again_s:
            self._again_s = time.monotonic() + AGAIN_S
            # Of the next record: this one was packed for nobody.
            self._begin()
        return False


class NowhereDelivery(DisabledDelivery):
    """Says what was lost, and why.

    Args:
        key: What requests would carry.
        losses: What there is to say.
        why: In words.
    """

    def __init__(self, key: Key, losses: Losses, why: str) -> None:
        super().__init__(key)
        self._losses = losses
        self._why = why

    def flush(self, timeout_s: float | None) -> bool:
        """Nothing that was lost is answered."""
        del timeout_s
        return False

    def finish(self, timeout_s: float, ending: Ending | None) -> bool:
        """Nothing that was lost is delivered."""
        del timeout_s, ending
        return False

    def diagnostics(self, counts: Mapping[str, Any]) -> RundialDiagnostics:
        """Return what was lost."""
        found = super().diagnostics(counts)
        return replace(found, ledger=self._losses.ledger(), last_error=self._why, health="error")
