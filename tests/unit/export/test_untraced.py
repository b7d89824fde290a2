"""What the sender sends is traced by nobody."""

from __future__ import annotations

import subprocess
import sys
import threading

from opentelemetry import context

from rundial.export.untraced import leave_untraced


def test_a_thread_that_sends_is_left_out_by_instrumentation() -> None:
    """An instrumented HTTP client makes no span of an export; other threads are traced as before."""
    seen: list[object] = []

    def send() -> None:
        seen.append(leave_untraced())
        seen.append(context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY))
        seen.append(context.get_value("suppress_instrumentation"))

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()

    assert seen == [True, True, True]
    assert context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY) is None


def test_nothing_is_loaded_for_it() -> None:
    """Where nobody traces, there is nothing to be left out of."""
    script = (
        "import sys; from rundial.export.untraced import leave_untraced; "
        "assert not leave_untraced(); assert 'opentelemetry' not in sys.modules"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=15).returncode == 0
