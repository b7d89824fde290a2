"""`Span`: one timed operation, as a context manager, a decorator, or finished by hand.

A span is a real OpenTelemetry span of a provider that is the run's own; nothing global is set. The
current span lives in OTel's context, so parents are right across asyncio tasks and threads that
carry the context, and any instrumentation nests under it.

Imported when the first span is made, and not by `init`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rundial.api.ending import reason_of
from rundial.interrupts import let_through
from rundial.signals import semconv
from rundial.signals.attributes import clean_attributes
from rundial.signals.redaction import redact_shapes

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from opentelemetry import trace as otel
    from opentelemetry.context import Context

    from rundial.api.trace import Tracing

KINDS = ("internal", "server", "client", "producer", "consumer", "tool")
STATUSES = ("ok", "error", "unset")
_CURRENT = (None, None, None)

F = TypeVar("F", bound=Callable[..., Any])


class Span:
    """One timed operation; made by `run.trace`.

    Nothing here raises into the caller, and an exception that leaves the `with` block is recorded
    and goes on its way untouched.
    """

    def __init__(  # noqa: PLR0913 - a span's facts, by name; an object for them would cost more than the span
        self,
        tracing: Tracing,
        name: str,
        *,
        kind: str = "internal",
        attrs: Mapping[str, object] | None = None,
        parent: object = None,
        trace_id: str | None = None,
        parent_id: str | None = None,
        links: Sequence[object] = (),
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}; no span was started")
        self._tracing = tracing
        self._name = str(name)
        self._kind = kind
        self._attrs = attrs
        self._parent = (parent, trace_id, parent_id)
        self._links = links
        self._start_unix_ns = time.time_ns()
        self._span: otel.Span | None = None
        self._token: Token[Any] | None = None
        self._status: str | None = None
        self._message = ""
        self._has_ended = False
        self._is_kept = False

    def __repr__(self) -> str:
        return f"Span({self._name!r})"

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.get_span_context().trace_id:032x}"

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return f"{self.get_span_context().span_id:016x}"

    @property
    def traceparent(self) -> str:
        """The span as W3C Trace Context names it, to give to another process as `parent`."""
        context = self.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def get_span_context(self) -> otel.SpanContext:
        """Return the ids in OpenTelemetry's form."""
        return self._started().get_span_context()

    def set_attrs(self, attrs: Mapping[str, object] | None = None, **more: object) -> None:
        """Set attributes; any value is made fit for OpenTelemetry."""
        try:
            self._started().set_attributes(dict(self._tracing.cleaned({**(attrs or {}), **more})))
        except Exception as error:  # noqa: BLE001 - counted, and raised in strict mode
            self._failed("set_attrs", error)

    def event(
        self, name: str, attrs: Mapping[str, object] | None = None, *, timestamp_ns: int | None = None
    ) -> None:
        """Add an event, now or at a time in nanoseconds since the Unix epoch."""
        try:
            cleaned, _ = clean_attributes(attrs or {})
            self._started().add_event(str(name), cleaned, timestamp_ns)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("event", error)

    def link(self, to: object, attrs: Mapping[str, object] | None = None) -> None:
        """Link to another span that this one has to do with, but is not below.

        Args:
            to: A span of any run, one of OpenTelemetry, a span context, or a `traceparent`.
            attrs: What the two have to do with each other.
        """
        try:
            from rundial.api.propagation import link_to

            link = link_to(to, attrs)
            self._started().add_link(link.context, link.attributes)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("link", error)

    def exception(self, error: BaseException, attrs: Mapping[str, object] | None = None) -> None:
        """Record an exception that was caught, with its stack; the span's status stays as it is."""
        try:
            cleaned, _ = clean_attributes(attrs or {})
            self._started().record_exception(error, cleaned)
        except Exception as ours:  # noqa: BLE001 - as above
            self._failed("record an exception", ours)

    def set_status(self, status: str, message: str = "") -> None:
        """Say how the operation ends, whatever then ends the span but an exception.

        Args:
            status: `ok`, `error` or `unset`.
            message: In words, for `error`.

        Raises:
            ValueError: The status is not one of the three.
        """
        _check(status)
        self._status, self._message = status, str(message)

    def finish(self, *, status: str = "ok", end_ns: int | None = None) -> bool:
        """End the span; a second call does nothing.

        Args:
            status: `ok`, `error` or `unset`; what `set_status` said stands against an `ok`.
            end_ns: Nanoseconds since the Unix epoch, not before the start; None is now.

        Returns:
            Whether the span is recorded; False when the recorder was full or the run had finished, which
            `diagnostics()` counts, and for an end before the start, which is dropped.

        Raises:
            ValueError: The status is not one of the three.
        """
        if status != "ok":
            _check(status)
            if status != self._status:
                self._status, self._message = status, ""
        if self._has_ended:
            return self._is_kept
        if end_ns is not None and end_ns < self._start_unix_ns:
            return False
        try:
            self._end(end_ns)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("finish", error)
        return self._is_kept

    def __enter__(self) -> Span:
        try:
            self._attach()
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("start", error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._detach()
        except Exception as ours:  # noqa: BLE001 - as above
            self._failed("end", ours)
        self.leave(error)

    def __call__(self, function: F) -> F:
        """Wrap a function of any kind, generators too, in a span of its own for each call."""
        from rundial.api.traced import wrapped

        return wrapped(function, self._again)  # type: ignore[return-value]  # same signature by functools.wraps

    def leave(self, error: BaseException | None) -> None:
        """End the span as its block or function ended; for what wraps one, not for users."""
        if self._has_ended:
            return
        try:
            if error is not None:
                self._status, self._message = "error", redact_shapes(reason_of(error))
                self._note(error)
            self._end(None)
        except Exception as ours:  # noqa: BLE001 - as above
            self._failed("end", ours)

    def called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Take note of a decorated function's call; not for users."""

    def returned(self, result: object) -> None:
        """Take note of what it returned; not for users."""

    def resumed(self) -> _Resumed:
        """Return a block in which the span is the current one, and which does not end it; not for users."""
        return _Resumed(self)

    def _note(self, error: BaseException) -> None:
        try:
            self._started().record_exception(error)
        except Exception as ours:  # noqa: BLE001 - as above
            self._failed("record its exception", ours)

    def _attach(self) -> None:
        span, calls = self._started(), self._tracing.calls
        self._token = calls.attach(calls.set_span_in_context(span))

    def _detach(self) -> None:
        if self._token is not None:
            token, self._token = self._token, None
            self._tracing.calls.detach(token)

    def _again(self) -> Span:
        parent, trace_id, parent_id = self._parent
        return type(self)(
            self._tracing,
            self._name,
            kind=self._kind,
            attrs=self._attrs,
            parent=parent,
            trace_id=trace_id,
            parent_id=parent_id,
            links=self._links,
        )

    def _end(self, end_ns: int | None) -> None:
        self._has_ended = True
        span, answers = self._started(), self._tracing.answers
        if self._status is None:
            # An instrumentation may have said that the span failed.
            if span.is_recording() and span.status.is_unset:  # type: ignore[attr-defined]  # the SDK's have one
                span.set_status(self._tracing.calls.OK)
        elif self._status != "unset":
            span.set_status(self._tracing.calls.status(self._status, self._message))
        span_id = span.get_span_context().span_id
        answers[span_id] = True
        try:
            span.end(end_ns)
            self._is_kept = answers.get(span_id, True)
        finally:
            answers.pop(span_id, None)

    def _started(self) -> otel.Span:
        """The OTel span, begun at the moment that `run.trace` was called."""
        span = self._span
        return self._start() if span is None else span

    def _start(self) -> otel.Span:
        tracing, attrs, kind = self._tracing, self._attrs or {}, self._kind
        if kind == "tool":
            attrs, kind = {**attrs, semconv.SPAN_KIND: "tool"}, "internal"
        tracer = tracing.tracer()
        span: otel.Span = tracer.start_span(
            self._name,
            context=None if self._parent == _CURRENT else self._remote(),
            kind=tracing.calls.KINDS[kind],
            attributes=tracing.cleaned(attrs),
            start_time=self._start_unix_ns,
        )
        self._span = span
        for link in self._links:
            self.link(link)
        return span

    def _remote(self) -> Context | None:
        """The context of a parent that the caller named; None for the current one, also where it is none."""
        from rundial.api import propagation

        parent, trace_id, parent_id = self._parent
        try:
            if parent is not None:
                return propagation.parent_of(parent)
            return propagation.parent_of_ids(trace_id, parent_id, self._start_unix_ns)
        except (ValueError, TypeError) as error:
            # The span is worth more than its place in somebody else's trace.
            self._tracing.on_failure("take its parent", error)
            return None

    def _failed(self, what: str, error: Exception) -> None:
        let_through(error)
        self._tracing.on_failure(what, error)


class _Resumed:
    """A block in which a span is the current one."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        try:
            self._span._attach()
        except Exception as error:  # noqa: BLE001 - counted, and raised in strict mode
            self._span._failed("start", error)

    def __exit__(self, *error: object) -> None:
        try:
            self._span._detach()
        except Exception as ours:  # noqa: BLE001 - as above
            self._span._failed("end", ours)


def _check(status: str) -> None:
    if status not in STATUSES:
        raise ValueError(f"status must be ok, error or unset, not {status!r}; the span goes on")
