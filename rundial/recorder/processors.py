"""The OTel span processor that writes to the recorder.

A span's start is recorded as well as its end, so that a crash leaves an interrupted span rather than
nothing. Runs on the thread that starts and ends the span; packs, and offers to the ring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from rundial.signals import attributes as cleaning
from rundial.signals import semconv
from rundial.signals.records import Kind, SpanData, Status

if TYPE_CHECKING:
    from opentelemetry.context import Context

Complete = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_STATUS: dict[StatusCode, Status] = {
    StatusCode.UNSET: "unset",
    StatusCode.OK: "ok",
    StatusCode.ERROR: "error",
}


class Recorder(Protocol):
    """Where spans go: a run's recorder, or what makes one at the first record."""

    def span_start(self, span: SpanData) -> bool:
        """Offer a span that has begun."""
        ...

    def span_end(self, span: SpanData) -> bool:
        """Offer a span that has ended."""
        ...


class RecorderSpanProcessor(SpanProcessor):
    """Writes spans to one run's recorder.

    Args:
        recorder: Where they go.
        answers: Where to say whether a span was taken, for the ids that somebody has entered there.
        complete: Returns a span's attributes as they are to be recorded when it ends; None for as they are.
    """

    def __init__(
        self,
        recorder: Recorder,
        answers: dict[int, bool] | None = None,
        *,
        complete: Complete | None = None,
    ) -> None:
        self._recorder = recorder
        self._answers = {} if answers is None else answers
        self._complete = complete
        # Spans that began in this process. After a fork the child ends copies of its parent's open
        # spans; those belong to the parent.
        self._open: set[int] = set()
        self._is_muted = False

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Record that a span has begun."""
        if self._is_muted:
            return
        data = _data(span)
        self._open.add(data.span_id)
        self._recorder.span_start(data)

    def on_end(self, span: ReadableSpan) -> None:
        """Record a span that has ended."""
        data = _data(span, self._complete)
        if data.span_id in self._open:
            self._open.discard(data.span_id)
            is_taken = self._recorder.span_end(data)
            if data.span_id in self._answers:
                self._answers[data.span_id] = is_taken

    def mute(self) -> None:
        """In a forked child: record nothing before `redirect`, and no span that the parent has begun."""
        self._open = set()
        self._is_muted = True

    def redirect(self, recorder: Recorder) -> None:
        """Have spans go elsewhere from now on, those that are open included."""
        self._recorder = recorder
        self._is_muted = False

    def shutdown(self) -> None:
        """Nothing is kept here."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Everything is with the recorder already."""
        return True


def _data(span: ReadableSpan, complete: Complete | None = None) -> SpanData:
    context = span.get_span_context()
    assert context is not None
    kind: Kind = span.kind.name.lower()  # type: ignore[assignment]  # OTel's five kinds, lower case
    given: Mapping[str, Any] = span.attributes or {}
    scope = span.instrumentation_scope
    if scope is not None and scope.name != semconv.SCOPE_NAME:
        given = {**given, semconv.OTEL_SCOPE_NAME: scope.name, semconv.OTEL_SCOPE_VERSION: scope.version}
        given = {name: value for name, value in given.items() if value}
    attributes, lost = cleaning.clean_attributes(given if complete is None else complete(given))
    return SpanData(
        trace_id=context.trace_id,
        span_id=context.span_id,
        parent_span_id=span.parent.span_id if span.parent else 0,
        name=span.name,
        kind=kind,
        start_unix_ns=span.start_time or 0,
        end_unix_ns=span.end_time or 0,
        attributes=attributes,
        events=[(event.name, event.timestamp, _clean(event.attributes)) for event in span.events],
        links=[(link.context.trace_id, link.context.span_id, _clean(link.attributes)) for link in span.links],
        status=_STATUS[span.status.status_code],
        status_message=span.status.description or "",
        dropped_attributes=span.dropped_attributes + lost,
        dropped_events=span.dropped_events,
        dropped_links=span.dropped_links,
    )


def _clean(attributes: Any) -> Any:
    return cleaning.clean_attributes(attributes)[0] if attributes else {}
