"""Keeps instrumentation of HTTP clients from tracing what is sent: each request would be more to send.

Threads: the sender's.
"""

from __future__ import annotations

import sys

# The first is OpenTelemetry's own, the second that of instrumentations before it had one.
_KEYS = ("_SUPPRESS_INSTRUMENTATION_KEY", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY")
_LEGACY_KEY = "suppress_instrumentation"


def leave_untraced() -> bool:
    """Have this thread's requests not be traced from now on.

    Returns:
        False where OpenTelemetry's context is not loaded: nobody traces then, and importing it for this
        would take longer than a request.
    """
    context = sys.modules.get("opentelemetry.context")
    names = [getattr(context, key, None) for key in _KEYS]
    if context is None or None in names or not hasattr(context, "attach"):
        return False
    current = context.get_current()
    for name in (*names, _LEGACY_KEY):
        current = context.set_value(name, True, current)
    context.attach(current)
    return True
