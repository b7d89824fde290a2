"""OpenTelemetry's providers of a run, and its parts in the application's own.

Real providers of OpenTelemetry's SDK; nothing global is set. `attach` adds a run to the providers that the
application has set globally, and `detach` takes it off. Imported by the first of them, and not by `init`.

Threads: a meter provider has OpenTelemetry's own, which collects.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from rundial.recorder.otellogs import RecorderLogProcessor
from rundial.recorder.relays import LogRelay, SpanRelay

if TYPE_CHECKING:
    from rundial.api.sink import Sink
    from rundial.api.trace import Tracing
    from rundial.recorder.otelmetrics import Context

LogsProvider = _logs.LoggerProvider
# What each of the application's providers was given, once: there is no way to take a processor off again.
_RELAYS: dict[int, tuple[weakref.ref[Any], Any]] = {}
FINISH_S = 5.0


class Providers:
    """The logger and meter provider of one run, and where it is attached.

    Args:
        tracing: The run's; knows where its records go.
        attributes: Of every point and line, such as the rank.
        interval_s: Seconds from one collection of metrics to the next.
        first_step: The first collection's step.
        before_finish: Gets what is to end before the run does, given a deadline in seconds.
    """

    def __init__(
        self,
        tracing: Tracing,
        *,
        attributes: Context,
        interval_s: float,
        first_step: int,
        before_finish: list[Callable[[float], None]],
    ) -> None:
        self._tracing = tracing
        self._attributes = attributes
        self._interval_s = interval_s
        self._first_step = first_step
        self._before_finish = before_finish
        self._logger_provider: Any = None
        self._meter_provider: Any = None
        self._attached: dict[str, Callable[[float], None]] = {}

    @property
    def logger_provider(self) -> LogsProvider:
        """A logger provider whose records are the run's text lines."""
        if self._logger_provider is None:
            if self._tracing.is_silent:
                self._logger_provider = _logs.NoOpLoggerProvider()
            else:
                self._logger_provider = LoggerProvider(shutdown_on_exit=False)
                self._logger_provider.add_log_record_processor(self._log_processor())
        provider: LogsProvider = self._logger_provider
        return provider

    @property
    def meter_provider(self) -> metrics.MeterProvider:
        """A meter provider whose metrics are the run's points."""
        if self._meter_provider is None:
            if self._tracing.is_silent:
                self._meter_provider = NoOpMeterProvider()
            else:
                reader = self._reader()
                self._meter_provider = MeterProvider([reader], shutdown_on_exit=False)
                self._before_finish.append(reader.end)
        provider: metrics.MeterProvider = self._meter_provider
        return provider

    def attach(self) -> tuple[str, ...]:
        """Add the run to the global providers; return of which of the three signals there is one."""
        if self._tracing.is_silent:
            return ()
        if not self._attached:
            self._before_finish.append(self.detach)
        for signal, attach in (
            ("traces", self._attach_traces),
            ("logs", self._attach_logs),
            ("metrics", self._attach_metrics),
        ):
            if signal not in self._attached:
                taken_off = attach()
                if taken_off is not None:
                    self._attached[signal] = taken_off
        return tuple(self._attached)

    def detach(self, timeout_s: float = FINISH_S) -> None:
        """Take the run off the global providers, within a deadline in seconds. Idempotent."""
        until_s = time.monotonic() + timeout_s
        while self._attached:
            self._attached.popitem()[1](max(0.0, until_s - time.monotonic()))

    def _attach_traces(self) -> Callable[[float], None] | None:
        provider = trace.get_tracer_provider()
        own = self._tracing.provider()
        if provider is own or not hasattr(provider, "add_span_processor"):
            return None
        relay = _relay_of(provider, SpanRelay, provider.add_span_processor)
        return _at_once(relay.add(self._tracing.processor))

    def _attach_logs(self) -> Callable[[float], None] | None:
        provider = _logs.get_logger_provider()
        if provider is self._logger_provider or not hasattr(provider, "add_log_record_processor"):
            return None
        relay = _relay_of(provider, LogRelay, provider.add_log_record_processor)
        return _at_once(relay.add(self._log_processor()))

    def _attach_metrics(self) -> Callable[[float], None] | None:
        provider = metrics.get_meter_provider()
        if provider is self._meter_provider or not hasattr(provider, "remove_metric_reader"):
            return None
        reader = self._reader()
        provider.add_metric_reader(reader)  # type: ignore[attr-defined]  # where one can be removed

        def take_off(timeout_s: float) -> None:
            # First: a reader that was taken off cannot collect a last time.
            reader.end(timeout_s)
            provider.remove_metric_reader(reader)

        return take_off

    def _log_processor(self) -> RecorderLogProcessor:
        offload = self._tracing.offload
        return RecorderLogProcessor(self._sink, offload=offload, attributes=dict(self._attributes))

    def _sink(self) -> Sink:
        # Not kept: a forked child has another one.
        assert self._tracing.sink is not None
        return self._tracing.sink

    def _reader(self) -> _Reader:
        # It needs protobuf, which who has logs and spans alone does not. Now, and not by the last collection:
        # OpenTelemetry's encoders begin threads, which an interpreter that is leaving refuses.
        from rundial.recorder.otelmetrics import RecorderMetricExporter

        exporter = RecorderMetricExporter(
            self._sink, attributes=self._attributes, first_step=self._first_step
        )
        return _Reader(exporter, export_interval_millis=self._interval_s * 1000)


class _Reader(PeriodicExportingMetricReader):
    """A reader that may be shut down by anybody, and again by the run."""

    _has_ended = False

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Collect a last time and end the thread; a second call does nothing."""
        if not self._has_ended:
            self._has_ended = True
            super().shutdown(timeout_millis, **kwargs)

    def end(self, timeout_s: float) -> None:
        """The same, with a deadline in seconds."""
        self.shutdown(timeout_s * 1000)


def _at_once(take_off: Callable[[], None]) -> Callable[[float], None]:
    return lambda _timeout_s: take_off()


def _relay_of(provider: Any, made: Callable[[], Any], add: Callable[[Any], object]) -> Any:
    # By identity: not every provider can be hashed.
    known = _RELAYS.get(id(provider))
    if known is not None and known[0]() is provider:
        return known[1]
    relay = made()
    add(relay)
    _RELAYS[id(provider)] = (weakref.ref(provider), relay)
    return relay
