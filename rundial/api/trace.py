"""`run.trace`: spans as context managers, decorators, or finished by hand.

A span is a real OpenTelemetry span of a provider that is the run's own; nothing global is set. The
current span lives in OTel's context, so parents are right across asyncio tasks and threads that
carry the context, and any instrumentation nests under it.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Mapping
from threading import Lock

from rundial.api.ending import reason_of
from rundial.interrupts import let_through
from rundial.signals.attributes import clean_attributes
from rundial.typed import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from opentelemetry import trace as otel

KINDS = ("internal", "server", "client", "producer", "consumer", "tool")
# OTel has no such kind: a tool call is an internal span that says so.
TOOL_KIND = "rundial.span.kind"
# Where a failure of ours costs the whole span.
LOSING_SPANS = ("end", "finish")

F = TypeVar("F", bound=Callable[..., Any])
# By span id, whether the recorder took a span that is being ended; OTel's `end` cannot say.
Answers = dict[int, bool]


class Tracing:
    """A run's tracer, made at the first span: importing OTel's SDK costs more than a short run.

    Args:
        make: Makes the tracer, given where to say what became of a span that has ended.
        on_failure: Told of a failure of ours, with what failed; counts it, and raises in strict mode.
    """

    def __init__(
        self, make: Callable[[Answers], otel.Tracer], *, on_failure: Callable[[str, Exception], None]
    ) -> None:
        self._make = make
        self.answers: Answers = {}
        self.on_failure = on_failure
        # Puts a reference in the place of each long value; None leaves them to be cut.
        self.offload: Callable[[Mapping[str, object]], Mapping[str, object]] | None = None
        self._tracer: otel.Tracer | None = None
        self._current: Callable[[], otel.Span] | None = None
        # Guards the making; two providers would write each span twice.
        self._lock = Lock()

    def tracer(self) -> otel.Tracer:
        """Return the run's tracer."""
        if self._tracer is None:
            with self._lock:
                if self._tracer is None:
                    self._tracer = self._make(self.answers)
        return self._tracer

    def cleaned(self, attrs: Mapping[str, object]) -> Mapping[str, Any]:
        """Return attributes fit for OpenTelemetry, long ones replaced by references."""
        if self.offload is not None:
            attrs = self.offload(attrs)
        return clean_attributes(attrs)[0]

    def current_ids(self) -> tuple[int, int]:
        """Return the trace and span id of the current span, the run's own or any other; zeros without one."""
        if self._current is None:
            # Where nobody has imported it, nobody has a span.
            module = sys.modules.get("opentelemetry.trace")
            self._current = getattr(module, "get_current_span", None)
            if self._current is None:
                return 0, 0
        span = self._current()
        context = span.get_span_context()
        return context.trace_id, context.span_id

    def tracer_again(self) -> otel.Tracer:
        """Return the tracer of the parts that have just been wired; for a forked child."""
        return self._make(self.answers)

    def restart(self, make: Callable[[Answers], otel.Tracer]) -> None:
        """Start anew in a forked child."""
        self._lock = Lock()
        self._tracer = None
        self._make = make


class Span:
    """One timed operation; made by `run.trace`.

    Nothing here raises into the caller, and an exception that leaves the `with` block is recorded
    and goes on its way untouched.
    """

    def __init__(
        self,
        tracing: Tracing,
        name: str,
        *,
        kind: str,
        attrs: Mapping[str, object] | None,
        trace_id: str | None,
        parent_id: str | None,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}; no span was started")
        self._tracing = tracing
        self._name = str(name)
        self._kind = kind
        self._attrs = attrs
        self._parent = (trace_id, parent_id)
        self._start_unix_ns = time.time_ns()
        self._span: otel.Span | None = None
        self._token: Token[Any] | None = None
        self._has_ended = False
        self._is_kept = False

    def __repr__(self) -> str:
        return f"Span({self._name!r})"

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._started().get_span_context().trace_id:032x}"

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return f"{self._started().get_span_context().span_id:016x}"

    def set_attrs(self, attrs: Mapping[str, object] | None = None, **more: object) -> None:
        """Set attributes; any value is made fit for OpenTelemetry."""
        with _Quietly(self._tracing, "set_attrs"):
            for key, value in self._tracing.cleaned({**(attrs or {}), **more}).items():
                self._started().set_attribute(key, value)

    def event(
        self, name: str, attrs: Mapping[str, object] | None = None, *, timestamp_ns: int | None = None
    ) -> None:
        """Add an event, now or at a time in nanoseconds since the Unix epoch."""
        with _Quietly(self._tracing, "event"):
            cleaned, _ = clean_attributes(attrs or {})
            self._started().add_event(str(name), cleaned, timestamp_ns)

    def finish(self, *, status: str = "ok", end_ns: int | None = None) -> bool:
        """End the span; a second call does nothing.

        Args:
            status: `ok`, `error` or `unset`.
            end_ns: Nanoseconds since the Unix epoch, not before the start; None is now.

        Returns:
            Whether the span is recorded; False when the recorder was full or the run had finished, which
            `diagnostics()` counts, and for an end before the start, which is dropped.

        Raises:
            ValueError: The status is not one of the three.
        """
        if status not in ("ok", "error", "unset"):
            raise ValueError(f"status must be ok, error or unset, not {status!r}; the span goes on")
        if self._has_ended:
            return self._is_kept
        if end_ns is not None and end_ns < self._start_unix_ns:
            return False
        with _Quietly(self._tracing, "finish"):
            from opentelemetry.trace import StatusCode

            codes = {"ok": StatusCode.OK, "error": StatusCode.ERROR}
            if status in codes:
                self._started().set_status(codes[status])
            self._end(end_ns)
        return self._is_kept

    def __enter__(self) -> Span:
        with _Quietly(self._tracing, "start"):
            from opentelemetry import context, trace

            self._token = context.attach(trace.set_span_in_context(self._started()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _Quietly(self._tracing, "end"):
            from opentelemetry import context
            from opentelemetry.trace import Status, StatusCode

            if self._token is not None:
                context.detach(self._token)
                self._token = None
            if self._has_ended:
                return
            span = self._started()
            if error is not None:
                with _Quietly(self._tracing, "record its exception"):
                    span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, reason_of(error)))
            else:
                span.set_status(StatusCode.OK)
            self._end(None)

    def __call__(self, function: F) -> F:
        """Wrap a function, sync or async, in a span of its own for each call."""
        import inspect

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced_async(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return traced_async  # type: ignore[return-value]  # same signature by functools.wraps

        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return traced  # type: ignore[return-value]  # same signature by functools.wraps

    def _again(self) -> Span:
        trace_id, parent_id = self._parent
        return Span(
            self._tracing,
            self._name,
            kind=self._kind,
            attrs=self._attrs,
            trace_id=trace_id,
            parent_id=parent_id,
        )

    def _end(self, end_ns: int | None) -> None:
        self._has_ended = True
        span, answers = self._started(), self._tracing.answers
        span_id = span.get_span_context().span_id
        answers[span_id] = True
        try:
            span.end(end_ns)
            self._is_kept = answers.get(span_id, True)
        finally:
            answers.pop(span_id, None)

    def _started(self) -> otel.Span:
        """The OTel span, begun at the moment that `run.trace` was called."""
        if self._span is None:
            from opentelemetry.trace import SpanKind

            attrs = dict(self._attrs or {})
            kind = self._kind
            if kind == "tool":
                attrs, kind = {**attrs, TOOL_KIND: "tool"}, "internal"
            cleaned = self._tracing.cleaned(attrs)
            try:
                parent = _parent_context(*self._parent)
            except (ValueError, TypeError) as error:
                # The span is worth more than its place in somebody else's trace.
                self._tracing.on_failure("take its parent", error)
                parent = None
            self._span = self._tracing.tracer().start_span(
                self._name,
                context=parent,
                kind=SpanKind[kind.upper()],
                attributes=cleaned,
                start_time=self._start_unix_ns,
            )
        return self._span


class _Quietly:
    """Keeps our own failures out of the caller's code; has them counted."""

    def __init__(self, tracing: Tracing, what: str) -> None:
        self._tracing = tracing
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> bool:
        if isinstance(error, Exception):
            let_through(error)
            self._tracing.on_failure(self._what, error)
            return True
        return False


def _parent_context(trace_id: str | None, parent_id: str | None) -> Any:
    """A context whose current span is the given remote one; None for what is current."""
    if trace_id is None and parent_id is None:
        return None
    from opentelemetry import trace

    current = trace.get_current_span().get_span_context()
    context = trace.SpanContext(
        trace_id=int(trace_id, 16) if trace_id else current.trace_id,
        span_id=int(parent_id, 16) if parent_id else _new_span_id(),
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(context))


def _new_span_id() -> int:
    # A trace id alone has no parent to name; OTel's context needs one, and nothing refers to it.
    return time.time_ns() & (2**64 - 1)
