"""The OTel span processor that writes to the recorder.

A span's start is recorded as well as its end, so that a crash leaves an interrupted span rather than
nothing. Runs on the thread that starts and ends the span; packs, and offers to the ring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from rundial.recorder.runrecorder import RunRecorder
from rundial.signals import attributes as cleaning
from rundial.signals.records import Kind, SpanData, Status

if TYPE_CHECKING:
    from opentelemetry.context import Context

_STATUS: dict[StatusCode, Status] = {
    StatusCode.UNSET: "unset",
    StatusCode.OK: "ok",
    StatusCode.ERROR: "error",
}


class RecorderSpanProcessor(SpanProcessor):
    """Writes spans to one run's recorder.

    Args:
        recorder: Where they go.
        answers: Where to say whether a span was taken, for the ids that somebody has entered there.
    """

    def __init__(self, recorder: RunRecorder, answers: dict[int, bool] | None = None) -> None:
        self._recorder = recorder
        self._answers = {} if answers is None else answers
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
        data = _data(span)
        if data.span_id in self._open:
            self._open.discard(data.span_id)
            is_taken = self._recorder.span_end(data)
            if data.span_id in self._answers:
                self._answers[data.span_id] = is_taken

    def mute(self) -> None:
        """Record nothing any more, in a forked child."""
        self._open = set()
        self._is_muted = True

    def shutdown(self) -> None:
        """Nothing is kept here."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Everything is with the recorder already."""
        return True


def _data(span: ReadableSpan) -> SpanData:
    context = span.get_span_context()
    assert context is not None
    kind: Kind = span.kind.name.lower()  # type: ignore[assignment]  # OTel's five kinds, lower case
    attributes, lost = cleaning.clean_attributes(span.attributes)
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
