"""Trace and span ids that count, so that a test can say which ones it expects."""

from __future__ import annotations

import itertools

from opentelemetry.sdk.trace.id_generator import IdGenerator


class IncrementalIds(IdGenerator):
    """OpenTelemetry's generator of ids, counting from 1.

    Give it to `rundial.testing.recording`, or to any `TracerProvider`.

    Threads: any; two never get the same id.
    """

    def __init__(self) -> None:
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        return next(self._traces)

    def generate_span_id(self) -> int:
        """Return the next span id."""
        return next(self._spans)
