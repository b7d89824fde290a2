"""The making of a run's own tracer provider, by its first span: it imports OpenTelemetry's SDK."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from rundial.api.guard import warn_user
from rundial.recorder.processors import RecorderSpanProcessor

if TYPE_CHECKING:
    from rundial.api.trace import Tracing

MAX_ATTRIBUTES = 128


def tracer_provider(tracing: Tracing, id_generator: Any) -> TracerProvider:
    """Return a provider whose spans go where the run's tracing says.

    Args:
        tracing: The run's; its `processor` is set.
        id_generator: Makes the ids of spans; None makes random ones.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        warn_user("OTEL_SDK_DISABLED is set: OpenTelemetry makes no spans, and the run records none")
    # Sampler and limits are named, so that variables meant for the application's own tracing
    # do not thin out a run's.
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attributes=MAX_ATTRIBUTES),
        id_generator=id_generator,
    )
    assert tracing.sink is not None
    tracing.processor = RecorderSpanProcessor(tracing.sink, tracing.answers, complete=tracing.completed)
    provider.add_span_processor(tracing.processor)
    return provider
