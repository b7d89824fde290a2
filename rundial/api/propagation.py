"""Where a span belongs: parents and links from elsewhere, W3C headers in and out, work handed to executors.

Imports OpenTelemetry, so it is imported when the first span is made, and not by `init`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Link, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from rundial.signals.attributes import clean_attributes

P = ParamSpec("P")
T = TypeVar("T")

TRACEPARENT = "traceparent"
_W3C = TraceContextTextMapPropagator()
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def inject(carrier: MutableMapping[str, str], *, environment: bool = False) -> MutableMapping[str, str]:
    """Write the current span into a request's headers or a process's environment, as W3C Trace Context.

    Args:
        carrier: Headers, or a copy of `os.environ`; gets `traceparent` and, where there is one, `tracestate`.
            Without a current span it stays as it is.
        environment: Write `TRACEPARENT` and `TRACESTATE`, as programs look for them in their environment.

    Returns:
        The carrier.
    """
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    for name, value in headers.items():
        carrier[name.upper() if environment else name] = value
    return carrier


def wrap_executor(executor: Executor) -> Executor:
    """Return an executor whose work has the submitter's current span as its parent.

    For threads, processes and any other `concurrent.futures.Executor`. It shares the pool of the given one:
    shutting one down shuts the other down.
    """
    return executor if isinstance(executor, _ContextExecutor) else _ContextExecutor(executor)


class _ContextExecutor(Executor):
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return self._executor.submit(_Carried(function, otel_context.get_current()), *args, **kwargs)

    def map(  # type: ignore[override]  # as it is called; typeshed names its first argument privately
        self, function: Callable[..., T], *iterables: Iterable[Any], **how: Any
    ) -> Iterator[T]:
        # The pool's own, which knows of chunks.
        return self._executor.map(_Carried(function, otel_context.get_current()), *iterables, **how)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait, cancel_futures=cancel_futures)


class _Carried:
    """A function that runs with a context; in another process, below the same span."""

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        self._function = function
        self._context = context

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        token = attach(self._context)
        try:
            return self._function(*args, **kwargs)
        finally:
            detach(token)

    def __reduce__(self) -> Any:
        headers: dict[str, str] = {}
        _W3C.inject(headers, self._context)
        return _carried_here, (self._function, headers)


def _carried_here(function: Callable[..., Any], headers: Mapping[str, str]) -> _Carried:
    return _Carried(function, _W3C.extract(headers))


def parent_of(given: object) -> Context | None:
    """Return the context of a parent from elsewhere; None where headers name none.

    Args:
        given: A `traceparent`; headers or an environment that hold one in any case; a span or span context.

    Raises:
        ValueError: It names no span.
        TypeError: It is nothing of the kind.
    """
    if isinstance(given, Context):
        return given
    if isinstance(given, str):
        given = {TRACEPARENT: given}
    if isinstance(given, Mapping):
        return _extracted(given)
    return otel.set_span_in_context(otel.NonRecordingSpan(span_context(given)))


def _extracted(carrier: Mapping[Any, Any]) -> Context | None:
    headers = {
        name.lower(): str(value)
        for name, value in carrier.items()
        if isinstance(name, str) and name.lower() in (TRACEPARENT, "tracestate")
    }
    if TRACEPARENT not in headers:
        return None
    context = _W3C.extract(headers, Context())
    if not otel.get_current_span(context).get_span_context().is_valid:
        raise ValueError(f"traceparent {headers[TRACEPARENT][:80]!r} names no span")
    # What else is in the program's context stays, such as its baggage.
    return otel.set_span_in_context(otel.get_current_span(context))


def span_context(given: object) -> SpanContext:
    """Return whom a link or a parent means.

    Args:
        given: A span of a run or of OpenTelemetry, a span context, or a `traceparent`.

    Raises:
        ValueError: It names no span.
        TypeError: It is nothing of the kind.
    """
    if isinstance(given, (str, Mapping)):
        found = parent_of(given)
        if found is None:
            raise ValueError("headers without a traceparent name no span")
        return otel.get_current_span(found).get_span_context()
    known = given if isinstance(given, SpanContext) else getattr(given, "get_span_context", lambda: None)()
    if not isinstance(known, SpanContext):
        raise TypeError(f"a {type(given).__name__} is neither a span nor a traceparent")
    if not known.is_valid:
        raise ValueError("it names no span")
    return known


def link_to(given: object, attrs: Mapping[str, object] | None = None) -> Link:
    """Return a link to a span; see `span_context` for whom and what it raises."""
    return Link(span_context(given), clean_attributes(attrs or {})[0])


def parent_of_ids(trace_id: str | None, parent_id: str | None, new_span_id: int) -> Context:
    """Return the context of a remote parent; without a parent's id, one that only names the trace.

    Raises:
        ValueError: An id cannot be read.
        TypeError: It is no text.
    """
    current = otel.get_current_span().get_span_context()
    return otel.set_span_in_context(
        otel.NonRecordingSpan(
            SpanContext(
                trace_id=int(trace_id, 16) if trace_id else current.trace_id,
                # A trace id alone has no parent to name; OTel's context needs one, and nothing refers to it.
                span_id=int(parent_id, 16) if parent_id else new_span_id,
                is_remote=True,
                trace_flags=_SAMPLED,
            )
        )
    )
