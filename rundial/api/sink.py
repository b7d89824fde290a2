"""The seam between the public run API and the recorder: what a run hands its records to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rundial.api.ending import Ending
from rundial.api.key import Key
from rundial.diagnostics import Ledger, RundialDiagnostics
from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from rundial.choices import Reason, Signal
    from rundial.signals.records import SpanData


class Keys(Protocol):
    """A row's names, ready to pack values with."""

    names: tuple[str, ...]
    size: int
    pack: Any
    unpack: Any


class Sink(Protocol):
    """Takes records; never waits, never raises for a full recorder but returns False."""

    def key_set(self, names: Sequence[str], attributes: tuple[tuple[str, str], ...]) -> Any:
        """Return the key set of these names."""
        ...

    def row(self, keys: Any, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        """Offer one row of points."""
        ...

    def data_point(self, scope: bytes, latest: Mapping[str, float]) -> bool:
        """Offer one data point of OpenTelemetry's metrics, as a ScopeMetrics message."""
        ...

    def explicit_unix_ns(self, time_ms: int) -> int:
        """Return a unique time for a user's own milliseconds."""
        ...

    def text(self, body: bytes, time_ms: int | None = None) -> bool:
        """Offer one packed text line."""
        ...

    def job(self, job: Mapping[str, object], made: Any = None, size: int = 0) -> bool | None:
        """Offer a file, a directory, or something made of which a file is still to be written.

        None where the run keeps nothing anyway.
        """
        ...

    def event(self, name: str, body: Mapping[str, object]) -> bool:
        """Offer one event in the life of the run."""
        ...

    def span_start(self, span: SpanData | bytes) -> bool:
        """Offer a span that has begun."""
        ...

    def span_end(self, span: SpanData | bytes) -> bool:
        """Offer a span that has ended."""
        ...

    def result(self, name: str, body: Mapping[str, object]) -> bool:
        """Offer one event that is a unit of the ledger, among the lines: a result of an evaluation."""
        ...

    def latest(self) -> Mapping[str, float]:
        """Return the last value of each metric that was logged without a context."""
        ...

    def drop(self, signal: Signal, reason: Reason, units: int) -> None:
        """Count units that never entered the recorder."""
        ...

    def ledger(self) -> Ledger:
        """Return the exact account."""
        ...


class Delivery(Protocol):
    """What happens to a run's records after they were accepted."""

    @property
    def key(self) -> Key:
        """The key that the run's requests carry."""
        ...

    def flush(self, timeout_s: float | None) -> bool:
        """Wait until everything is answered (offline: on disk)."""
        ...

    def hurry(self) -> None:
        """Have what is in memory written to disk now; waits for nothing."""
        ...

    def finish(self, timeout_s: float, ending: Ending | None) -> bool:
        """End the run here; True when everything is answered (offline: on disk).

        Without an ending the run itself goes on elsewhere.
        """
        ...

    def diagnostics(self, counts: Mapping[str, Any]) -> RundialDiagnostics:
        """Return a snapshot; `counts` are what the run itself counts."""
        ...
