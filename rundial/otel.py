"""OpenTelemetry programs without a run: their spans, logs and metrics on the recorder's crash-safe way.

    from opentelemetry.sdk.trace import TracerProvider
    from rundial.otel import RecordingSpanProcessor
    provider.add_span_processor(RecordingSpanProcessor(endpoint="http://127.0.0.1:8787"))

What a processor was handed survives `kill -9` (Linux) at once; what an exporter was handed survives it when
`export` returns. Both are bounded in memory and on disk, count what they lose, and are sent in the
background, to a Rundial server or to any OTLP endpoint. What a dead program left is delivered by the next
start with the same spool directory, or by `rundial sync`.

Nothing global is set. Parts that are made with the same settings share one ring, one spool and one sender.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from rundial.api.station import Station, Stations
from rundial.interrupts import let_through
from rundial.signals import otelrequests
from rundial.signals.otelrequests import LogRecordExporter, LogRecordExportResult, LogRecordProcessor

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import Span

    from rundial.choices import Signal
    from rundial.diagnostics import Ledger
    from rundial.signals.otelrequests import ReadableLogRecord, ReadWriteLogRecord

__all__ = [
    "RecordingLogRecordProcessor",
    "RecordingSpanProcessor",
    "SpoolingLogRecordExporter",
    "SpoolingMetricExporter",
    "SpoolingSpanExporter",
]

_STATIONS = Stations()
EXPORT_S = 30.0

# Here, and not with the first part: hooks run in the reverse order of their registration, and whatever a
# provider that is made later hands over at its own shutdown is then sent too.
atexit.register(_STATIONS.at_exit)
os.register_at_fork(
    before=_STATIONS.before_fork, after_in_parent=_STATIONS.after_fork, after_in_child=_STATIONS.in_child
)


class _Member:
    """What all five are: members of a station, of whose bugs none reaches the program.

    Args:
        **options: Settings of `rundial.init` by name, such as `endpoint`, `otlp_endpoint`, `api_key` and
            `spool_directory`, but for those that a run alone has.

    Raises:
        ConfigError: A setting is wrong; nothing was started.
    """

    def __init__(self, **options: object) -> None:
        self._station: Station = _STATIONS.join(options)
        self._is_shut_down = False

    def ledger(self) -> Ledger:
        """Return the exact account of what was recorded with the same settings in this process.

        Points, lines and spans are counted by what became of them: delivered, waiting, refused, or lost for a
        named reason; `after_finish` is what came after `shutdown`.
        """
        return self._station.ledger()

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Wait until everything is answered; offline, is on disk."""
        return self._is_shut_down or self._station.flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Send for a bounded time, the last of those with the same settings; what is left waits on disk.

        Idempotent.
        """
        del timeout_millis, kwargs
        if not self._is_shut_down:
            self._is_shut_down = True
            _STATIONS.leave(self._station)

    def _offer(self, signal: Signal, encode: Callable[[], bytes]) -> bool:
        """Record what a function encodes; False where it was refused, which is counted."""
        if self._is_shut_down:
            self._station.refuse(signal)
            return False
        try:
            return self._station.record(signal, encode())
        except Exception as error:  # noqa: BLE001 - counted: the program's own values are encoded here
            let_through(error)
            self._station.drop(signal)
            return False

    def _export_all(self, signal: Signal, encoders: Iterable[Callable[[], bytes]]) -> bool:
        """Record all, waiting for room, until they are on disk; False where one was refused or time is up."""
        is_taken, end = True, monotonic() + EXPORT_S
        for encode in encoders:
            if self._station.is_crowded and monotonic() < end:
                self._station.seal(end - monotonic())
            is_taken &= self._offer(signal, encode)
        return is_taken and not self._is_shut_down and self._station.seal(max(0.0, end - monotonic()))

    @property
    def _limit_bytes(self) -> int:
        """What one record may take; long values of a larger one are cut."""
        return self._station.max_record_bytes


class RecordingSpanProcessor(_Member, SpanProcessor):
    """Records each sampled span when it ends, on the thread that ends it; waits for nothing.

    Args:
        **options: Settings of `rundial.init` by name, such as `endpoint`, `otlp_endpoint`, `api_key` and
            `spool_directory`, but for those that a run alone has.

    Raises:
        ConfigError: A setting is wrong; nothing was started.
    """

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: a span is recorded when it ends."""

    def on_end(self, span: ReadableSpan) -> None:
        """Record a span that has ended."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self._offer("spans", lambda: otelrequests.span_request(span, self._limit_bytes))


class RecordingLogRecordProcessor(_Member, LogRecordProcessor):
    """Records each log record when it is emitted, on the thread that emits it; waits for nothing.

    Args:
        **options: As for `RecordingSpanProcessor`.

    Raises:
        ConfigError: A setting is wrong; nothing was started.
    """

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Record one."""
        self._offer(
            "lines", lambda: otelrequests.log_request(otelrequests.readable(log_record), self._limit_bytes)
        )


class SpoolingSpanExporter(_Member, SpanExporter):
    """Takes spans from any processor; `export` succeeds once they are on disk, whatever the network does.

    Args:
        **options: As for `RecordingSpanProcessor`.

    Raises:
        ConfigError: A setting is wrong; nothing was started.
    """

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Bring spans to disk; FAILURE where one was refused, which the ledger counts."""
        limit = self._limit_bytes
        is_done = self._export_all(
            "spans", (_later(otelrequests.span_request, span, limit) for span in spans)
        )
        return SpanExportResult.SUCCESS if is_done else SpanExportResult.FAILURE


class SpoolingLogRecordExporter(_Member, LogRecordExporter):
    """Takes log records from any processor; `export` succeeds once they are on disk.

    Args:
        **options: As for `RecordingSpanProcessor`.

    Raises:
        ConfigError: A setting is wrong; nothing was started.
    """

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Bring log records to disk; FAILURE where one was refused, which the ledger counts."""
        limit = self._limit_bytes
        encoders = (_later(otelrequests.log_request, record, limit) for record in batch)
        is_done = self._export_all("lines", encoders)
        return LogRecordExportResult.SUCCESS if is_done else LogRecordExportResult.FAILURE


class SpoolingMetricExporter(_Member, MetricExporter):
    """Takes collections from any metric reader; `export` succeeds once they are on disk.

    Args:
        preferred_temporality: Temporality by kind of instrument, as OpenTelemetry's exporters take it.
        preferred_aggregation: Aggregation by kind of instrument, as above.
        **options: As for `RecordingSpanProcessor`.

    Raises:
        ConfigError: A setting is wrong; nothing was started.
    """

    def __init__(
        self,
        preferred_temporality: dict[type, AggregationTemporality] | None = None,
        preferred_aggregation: dict[type, Any] | None = None,
        **options: object,
    ) -> None:
        MetricExporter.__init__(self, preferred_temporality, preferred_aggregation)
        _Member.__init__(self, **options)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """Bring a collection to disk; FAILURE where a point was refused, which the ledger counts."""
        del timeout_millis, kwargs
        points = (_later(bytes, request) for request in otelrequests.point_requests(metrics_data))
        is_done = self._export_all("points", points)
        return MetricExportResult.SUCCESS if is_done else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Wait until everything is answered; offline, is on disk."""
        return super().force_flush(timeout_millis)


def _later(encode: Callable[..., bytes], *arguments: Any) -> Callable[[], bytes]:
    return lambda: encode(*arguments)
