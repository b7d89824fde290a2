"""The OTel span processor that writes to the recorder.

A span's start is recorded as well as its end, so that a crash leaves an interrupted span rather than
nothing. Runs on the thread that starts and ends the span; packs, and offers to the ring.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from rundial.signals import attributes as cleaning
from rundial.signals import plainspan, semconv
from rundial.signals.compact import dump
from rundial.signals.records import MAX_NAME_CHARS, Kind, SpanData, Status

if TYPE_CHECKING:
    from opentelemetry.context import Context

Complete = Callable[[Mapping[str, Any]], Mapping[str, Any]]

# A span with these may have a cost.
_USAGE = frozenset({semconv.GEN_AI_INPUT_TOKENS, semconv.GEN_AI_OUTPUT_TOKENS})

_STATUS: dict[StatusCode, Status] = {
    StatusCode.UNSET: "unset",
    StatusCode.OK: "ok",
    StatusCode.ERROR: "error",
}


class Recorder(Protocol):
    """Where spans go: a run's recorder, or what makes one at the first record."""

    def span_start(self, span: SpanData | bytes) -> bool:
        """Offer a span that has begun."""
        ...

    def span_end(self, span: SpanData | bytes) -> bool:
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
        """Record that a span of the SDK has begun."""
        context = span.get_span_context()
        if context is not None and not self._is_muted:
            self.begin(context.span_id, _data(span))

    def on_end(self, span: ReadableSpan) -> None:
        """Record a span of the SDK that has ended."""
        context = span.get_span_context()
        if context is not None and context.span_id in self._open:
            self.finish(context.span_id, _data(span, self.completed))

    def begin(self, span_id: int, span: SpanData | bytes) -> None:
        """Record that a span has begun, packed or not."""
        if not self._is_muted:
            self._open.add(span_id)
            self._recorder.span_start(span)

    def finish(self, span_id: int, span: SpanData | bytes) -> None:
        """Record a span that has ended, if it began in this process; once."""
        if span_id not in self._open:
            return
        self._open.discard(span_id)
        is_taken = self._recorder.span_end(span)
        if span_id in self._answers:
            self._answers[span_id] = is_taken

    def is_complete(self, attributes: Mapping[str, Any]) -> bool:
        """Whether plain attributes are recorded as they are."""
        return self._complete is None or _USAGE.isdisjoint(attributes)

    def completed(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return attributes as they are recorded when their span ends."""
        return attributes if self._complete is None else self._complete(attributes)

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


def _data(span: ReadableSpan, complete: Complete | None = None) -> SpanData | bytes:
    """A span as it is recorded: packed where it is a plain one."""
    read: Any = span.attributes or {}
    # Reading them one by one takes OpenTelemetry longer than all the rest takes us.
    given: Mapping[str, Any] = read.copy() if hasattr(read, "copy") else dict(read)
    scope = span.instrumentation_scope
    if scope is not None and scope.name != semconv.SCOPE_NAME:
        made_by = {semconv.OTEL_SCOPE_NAME: scope.name, semconv.OTEL_SCOPE_VERSION: scope.version}
        given = {**given, **{name: value for name, value in made_by.items() if value}}
    given = given if complete is None else complete(given)
    if cleaning.is_plain(given):
        return _packed(span, given) or _whole(span, given, 0)
    return _whole(span, *cleaning.clean_attributes(given))


def _packed(span: ReadableSpan, attributes: Mapping[str, Any]) -> bytes:
    context, parent, status = span.get_span_context(), span.parent, span.status
    if span.events or span.links or status.description or len(span.name) > MAX_NAME_CHARS:
        return b""
    if context is None or span.dropped_attributes or span.dropped_events or span.dropped_links:
        return b""
    try:
        return plainspan.pack(
            context.trace_id,
            context.span_id,
            parent.span_id if parent else 0,
            span.name,
            span.kind.value,
            span.start_time or 0,
            span.end_time or 0,
            dump(attributes),
            status.status_code.value,
        )
    except struct.error:
        # A time beyond what the wire has.
        return b""


def _whole(span: ReadableSpan, attributes: Mapping[str, Any], lost: int) -> SpanData:
    context = span.get_span_context()
    assert context is not None
    kind: Kind = span.kind.name.lower()  # type: ignore[assignment]  # OTel's five kinds, lower case
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
