"""What the application's own providers are given: it passes on to the runs that are attached.

OpenTelemetry has no way to take a processor off a provider, so each provider gets one of these, once; without
a run it does nothing. A span belongs to the run that was attached last when the span began.

Threads: any; starts and ends come from the threads of the spans.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import SpanProcessor

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.trace import ReadableSpan, Span


class _Targets:
    """The processors of the runs that are attached, the latest last."""

    def __init__(self) -> None:
        # Replaced as a whole, so that who reads it needs no lock.
        self._all: tuple[Any, ...] = ()

    @property
    def latest(self) -> Any:
        """The one of the run that was attached last; None without a run."""
        known = self._all
        return known[-1] if known else None

    def add(self, processor: Any) -> Callable[[], None]:
        """Let one in; return what takes it off."""
        self._all = (*self._all, processor)

        def take_off() -> None:
            self._all = tuple(each for each in self._all if each is not processor)

        return take_off


class SpanRelay(SpanProcessor):
    """Passes a provider's spans on."""

    def __init__(self) -> None:
        self._targets = _Targets()
        # Which run has the start of a span that is open.
        self._open: dict[tuple[int, int], Any] = {}

    def add(self, processor: SpanProcessor) -> Callable[[], None]:
        """Pass spans on to a run from now on; return what ends that."""
        return self._targets.add(processor)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass a start on."""
        target = self._targets.latest
        if target is not None:
            self._open[_ids(span)] = target
            target.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass an end on, to the run that has the start."""
        target = self._open.pop(_ids(span), None)
        if target is not None:
            target.on_end(span)

    def shutdown(self) -> None:
        """Nothing is kept here."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Everything is with the recorder already."""
        return True


class LogRelay(LogRecordProcessor):
    """Passes a provider's log records on."""

    def __init__(self) -> None:
        self._targets = _Targets()

    def add(self, processor: LogRecordProcessor) -> Callable[[], None]:
        """Pass log records on to a run from now on; return what ends that."""
        return self._targets.add(processor)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Pass one on."""
        target = self._targets.latest
        if target is not None:
            target.on_emit(log_record)

    def shutdown(self) -> None:
        """Nothing is kept here."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Everything is with the recorder already."""
        return True


def _ids(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    return (context.trace_id, context.span_id) if context is not None else (0, 0)
