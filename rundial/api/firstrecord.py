"""A sink that begins at the first record: the run's parts are made, or its threads started, only then.

For the runs of a forked child, and for `start_worker_on_init=False`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rundial.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.api.delivery import RunDelivery
    from rundial.api.ending import Ending
    from rundial.api.key import Key
    from rundial.api.sink import Sink
    from rundial.choices import Reason, Signal
    from rundial.diagnostics import Ledger, RundialDiagnostics
    from rundial.signals.records import SpanData


class FirstRecord:
    """Stands in for a run's sink until there is something to record.

    Args:
        begin: Makes or starts the run's parts, wires the run to them, and returns its sink; called again
            only by those who came at the same moment.
    """

    def __init__(self, begin: Callable[[], Sink]) -> None:
        self._begin = begin

    def key_set(self, names: Sequence[str], attributes: tuple[tuple[str, str], ...]) -> Any:
        """Begin, and return a key set."""
        return self._begin().key_set(names, attributes)

    def row(self, keys: Any, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        """Begin, and offer a row."""
        return self._begin().row(keys, body, step, explicit_ns)

    def data_point(self, scope: bytes, latest: Mapping[str, float]) -> bool:
        """Begin, and offer a data point of OpenTelemetry's metrics."""
        return self._begin().data_point(scope, latest)

    def explicit_unix_ns(self, time_ms: int) -> int:
        """Begin, and return a unique time."""
        return self._begin().explicit_unix_ns(time_ms)

    def text(self, body: bytes, time_ms: int | None = None) -> bool:
        """Begin, and offer a line."""
        return self._begin().text(body, time_ms)

    def job(self, job: Mapping[str, object], made: Any = None, size: int = 0) -> bool | None:
        """Begin, and offer a file."""
        return self._begin().job(job, made, size)

    def event(self, name: str, body: Mapping[str, object]) -> bool:
        """Begin, and offer an event."""
        return self._begin().event(name, body)

    def span_start(self, span: SpanData | bytes) -> bool:
        """Begin, and offer a span that has begun."""
        return self._begin().span_start(span)

    def span_end(self, span: SpanData | bytes) -> bool:
        """Begin, and offer a span that has ended."""
        return self._begin().span_end(span)

    def result(self, name: str, body: Mapping[str, object]) -> bool:
        """Begin, and offer a result."""
        return self._begin().result(name, body)

    def latest(self) -> Mapping[str, float]:
        """Return nothing: nothing was logged yet."""
        return {}

    def drop(self, signal: Signal, reason: Reason, units: int) -> None:
        """Begin, and count a loss."""
        self._begin().drop(signal, reason, units)

    def ledger(self) -> Ledger:
        """Return an empty account: nothing was recorded yet."""
        from rundial.diagnostics import Ledger

        return Ledger()


class FirstDelivery:
    """Stands in for a run's delivery meanwhile.

    Args:
        begin: As above.
        delivery: The run's own.
    """

    def __init__(self, begin: Callable[[], Sink], delivery: RunDelivery) -> None:
        self._begin = begin
        self._delivery = delivery

    @property
    def key(self) -> Key:
        """The key that the run's requests carry."""
        return self._delivery.key

    def flush(self, timeout_s: float | None) -> bool:
        """Begin, and wait until everything is answered."""
        self._begin()
        return self._delivery.flush(timeout_s)

    def hurry(self) -> None:
        """Nothing is in memory."""

    def finish(self, timeout_s: float, ending: Ending | None) -> bool:
        """Begin, and end the run."""
        self._begin()
        return self._delivery.finish(timeout_s, ending)

    def diagnostics(self, counts: Mapping[str, Any]) -> RundialDiagnostics:
        """Return a snapshot."""
        return self._delivery.diagnostics(counts)
