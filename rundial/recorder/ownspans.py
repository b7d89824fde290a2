"""Spans of OpenTelemetry's API that go straight to the recorder, at a third of the SDK's price.

`run.trace` makes these as long as nobody but the run listens to its provider; whoever adds a processor to it
gets spans of the SDK instead. To the program, to instrumentations and to OpenTelemetry's context both are the
same: a current span with ids, attributes, events, links and a status.

Runs on the threads that begin and end spans. A span is written when it begins and when it ends; what was
packed at its beginning is not packed again where nothing has changed.
"""

from __future__ import annotations

import struct
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as otel
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from rundial.signals import attributes as cleaning
from rundial.signals import plainspan, records, semconv
from rundial.signals.compact import dump
from rundial.signals.records import SpanData
from rundial.signals.redaction import redact_shapes

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from rundial.recorder.processors import RecorderSpanProcessor

MAX_ATTRIBUTES = 128
MAX_ALL_ATTRIBUTES = 192
MAX_LINKS = 128
_CONVENTIONS = ("gen_ai.", "error.", "rundial.")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
# W3C Trace Context level 2: the trace id was drawn at random.
_RANDOM = 2
_SAMPLED_RANDOM = TraceFlags(TraceFlags.SAMPLED | _RANDOM)
_UNSET, _OK, _ERROR = range(3)
_STATUSES = (Status(StatusCode.UNSET), Status(StatusCode.OK), Status(StatusCode.ERROR))


class OwnTracer:
    """Begins spans; what of OpenTelemetry's tracer `run.trace` needs.

    Args:
        processor: Takes the spans, and knows which of them began in this process.
        id_generator: Makes their ids.
    """

    def __init__(self, processor: RecorderSpanProcessor, id_generator: Any) -> None:
        self._processor = processor
        self._ids = id_generator
        is_random = getattr(id_generator, "is_trace_id_random", None)
        self._root_flags = _SAMPLED_RANDOM if is_random is not None and is_random() else _SAMPLED

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        start_time: int | None = None,
    ) -> OwnSpan:
        """Begin a span, and record that it has begun.

        Args:
            name: Its name.
            context: Whose current span is its parent; None for the current one.
            kind: OpenTelemetry's kind.
            attributes: Cleaned by `rundial.signals.attributes`.
            start_time: Nanoseconds since the Unix epoch; None is now.
        """
        parent = otel.get_current_span(context).get_span_context()
        if parent.is_valid:
            trace_id, parent_id, state = parent.trace_id, parent.span_id, parent.trace_state
            flags = _SAMPLED_RANDOM if parent.trace_flags & _RANDOM else _SAMPLED
        else:
            trace_id, parent_id, state = self._ids.generate_trace_id(), 0, None
            flags = self._root_flags
        own = SpanContext(trace_id, self._ids.generate_span_id(), False, flags, state)
        span = OwnSpan(self._processor, name, own, parent_id, kind)
        span.begin(attributes or {}, time.time_ns() if start_time is None else start_time)
        return span


class OwnSpan(otel.Span):
    """One span; see `opentelemetry.trace.Span` for what its methods do.

    Attributes:
        name: Its name.
        kind: OpenTelemetry's kind.
        attributes: By name; for reading.
        start_time: Nanoseconds since the Unix epoch.
        end_time: The same; None while it is open.
    """

    def __init__(
        self,
        processor: RecorderSpanProcessor,
        name: str,
        context: SpanContext,
        parent_id: int,
        kind: SpanKind,
    ) -> None:
        self.name = name
        self.kind = kind
        self.attributes: dict[str, Any] = {}
        self.start_time = 0
        self.end_time: int | None = None
        self._processor = processor
        self._context = context
        self._parent_id = parent_id
        self._status = _UNSET
        self._words = ""
        self._events: list[tuple[str, int, Any]] | None = None
        self._links: list[tuple[int, int, Any]] | None = None
        self._dropped = [0, 0, 0]
        # The attributes as they were packed last; empty once one has changed.
        self._packed = b""

    @property
    def status(self) -> Status:
        """Its status, without words."""
        return _STATUSES[self._status]

    def get_span_context(self) -> SpanContext:
        """Return its ids."""
        return self._context

    def is_recording(self) -> bool:
        """Whether it is open."""
        return self.end_time is None

    def begin(self, attributes: Mapping[str, Any], start_unix_ns: int) -> None:
        """Record that it has begun."""
        self.start_time = start_unix_ns
        if len(attributes) <= MAX_ATTRIBUTES:
            self.attributes.update(attributes)
        else:
            self._take(attributes)
        self._processor.begin(self._context.span_id, self._plain() or self._data(0))

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute; those beyond `MAX_ATTRIBUTES` are dropped, counted.

        What a model answered comes last, and does not lose its place to what a program made up before: names
        of the conventions have room of their own.
        """
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes; as above."""
        if self.end_time is not None:
            return
        self._packed = b""
        if not cleaning.is_plain(attributes):
            attributes, lost = cleaning.clean_attributes(attributes)
            self._dropped[0] += lost
        self._take(attributes)

    def _take(self, attributes: Mapping[str, Any]) -> None:
        known = self.attributes
        for key, value in attributes.items():
            room = MAX_ALL_ATTRIBUTES if key.startswith(_CONVENTIONS) else MAX_ATTRIBUTES
            if len(known) < room or key in known:
                known[key] = value
            else:
                self._dropped[0] += 1

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Add an event; the latest `MAX_SPAN_EVENTS` are kept and the others counted."""
        if self.end_time is not None:
            return
        cleaned = cleaning.clean_attributes(attributes)[0] if attributes else {}
        events = self._events = [] if self._events is None else self._events
        if len(events) >= 2 * records.MAX_SPAN_EVENTS:
            # Half of them at a time: moving them all for each would take long for long spans.
            del events[: records.MAX_SPAN_EVENTS]
            self._dropped[1] += records.MAX_SPAN_EVENTS
        events.append((name, time.time_ns() if timestamp is None else timestamp, cleaned))

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Add a link; the first `MAX_LINKS` are kept and the others counted."""
        if self.end_time is not None:
            return
        links = self._links = [] if self._links is None else self._links
        if len(links) < MAX_LINKS:
            cleaned = cleaning.clean_attributes(attributes)[0] if attributes else {}
            links.append((context.trace_id, context.span_id, cleaned))
        else:
            self._dropped[2] += 1

    def update_name(self, name: str) -> None:
        """Give it another name."""
        if self.end_time is None:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set its status: OK stays, and nothing makes a status unset again."""
        if isinstance(status, StatusCode):
            status = Status(status, description)
        code: int = status.status_code.value
        if self.end_time is None and self._status != _OK and code != _UNSET:
            self._status, self._words = code, (status.description or "") if code == _ERROR else ""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an event with the exception's type, message and stack, without known shapes of secrets."""
        del escaped
        kind = type(exception)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        stack = "".join(traceback.format_exception(kind, exception, exception.__traceback__))
        found = {
            semconv.EXCEPTION_TYPE: f"{module}{kind.__qualname__}",
            semconv.EXCEPTION_MESSAGE: redact_shapes(str(exception)),
            semconv.EXCEPTION_STACKTRACE: redact_shapes(stack),
            **(attributes or {}),
        }
        self.add_event("exception", found, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End it, and record it; a second call does nothing."""
        if self.end_time is not None:
            return
        self.end_time = time.time_ns() if end_time is None else end_time
        self._processor.finish(self._context.span_id, self._plain() or self._data(self.end_time))

    def _plain(self) -> bytes:
        """Its body in the ring, where it is a plain one and has no cost to be found; else empty."""
        if self._events or self._links or self._words or len(self.name) > records.MAX_NAME_CHARS:
            return b""
        packed = self._packed
        if not packed:
            # A copy, which another thread cannot change while it is read.
            known = dict(self.attributes)
            if not cleaning.is_plain(known) or not self._processor.is_complete(known):
                return b""
            packed = self._packed = dump(known)
        if self._dropped != [0, 0, 0]:
            return b""
        context = self._context
        kind = self.kind
        try:
            return plainspan.pack(
                context.trace_id,
                context.span_id,
                self._parent_id,
                self.name,
                0 if kind is SpanKind.INTERNAL else kind.value,
                self.start_time,
                self.end_time or 0,
                packed,
                self._status,
            )
        except struct.error:
            # A time beyond what the wire has.
            return b""

    def _data(self, end_unix_ns: int) -> SpanData:
        known = dict(self.attributes)
        given = self._processor.completed(known) if end_unix_ns else known
        attributes, lost = cleaning.clean_attributes(given)
        events = (self._events or [])[-records.MAX_SPAN_EVENTS :]
        return SpanData(
            trace_id=self._context.trace_id,
            span_id=self._context.span_id,
            parent_span_id=self._parent_id,
            name=self.name,
            kind=plainspan.KINDS[self.kind.value],
            start_unix_ns=self.start_time,
            end_unix_ns=end_unix_ns,
            attributes=attributes,
            events=events,
            links=self._links or (),
            status=plainspan.STATUSES[self._status],
            status_message=self._words,
            dropped_attributes=self._dropped[0] + lost,
            dropped_events=self._dropped[1] + len(self._events or ()) - len(events),
            dropped_links=self._dropped[2],
        )
