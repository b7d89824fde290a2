"""The making of a run's own tracer provider, by its first span: it imports OpenTelemetry's SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from rundial.recorder.ownspans import MAX_ATTRIBUTES, MAX_LINKS, OwnTracer
from rundial.recorder.processors import RecorderSpanProcessor
from rundial.signals.records import MAX_SPAN_EVENTS

if TYPE_CHECKING:
    from rundial.api.trace import Tracing


class RunTracerProvider(TracerProvider):
    """A run's tracer provider.

    As long as nobody adds a processor, `run.trace` makes spans without the SDK; what is added then is told of
    each span that begins after it.

    Args:
        tracing: The run's; its `processor` and `own_tracer` are set.
        id_generator: Makes the ids of spans; None makes random ones.
    """

    def __init__(self, tracing: Tracing, id_generator: Any) -> None:
        # Sampler and limits are named, so that variables meant for the application's own tracing
        # do not thin out a run's.
        super().__init__(
            sampler=ALWAYS_ON,
            shutdown_on_exit=False,
            span_limits=SpanLimits(
                max_span_attributes=MAX_ATTRIBUTES,
                max_events=MAX_SPAN_EVENTS,
                max_links=MAX_LINKS,
                max_event_attributes=MAX_ATTRIBUTES,
                max_link_attributes=MAX_ATTRIBUTES,
                max_attribute_length=SpanLimits.UNSET,
                max_span_attribute_length=SpanLimits.UNSET,
            ),
            id_generator=id_generator,
        )
        assert tracing.sink is not None
        self._tracing = tracing
        processor = RecorderSpanProcessor(tracing.sink, tracing.answers, complete=tracing.completed)
        super().add_span_processor(processor)
        tracing.processor = processor
        tracing.own_tracer = OwnTracer(processor, id_generator or RandomIdGenerator())

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Have another processor told of the run's spans too."""
        super().add_span_processor(span_processor)
        self._tracing.share()
