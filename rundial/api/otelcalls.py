"""What a span needs of OpenTelemetry's API at each turn, found once.

Imports OpenTelemetry, so it is imported when the first span is made, and not by `init`.
"""

from __future__ import annotations

from opentelemetry.context import attach as attach
from opentelemetry.context import detach as detach
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace import set_span_in_context as set_span_in_context

KINDS = {kind.name.lower(): kind for kind in SpanKind}
OK = Status(StatusCode.OK)


def status(name: str, message: str) -> Status:
    """Return a status; only an error has words."""
    if name == "error":
        return Status(StatusCode.ERROR, message or None)
    return OK
