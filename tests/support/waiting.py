"""Waiting for what sends no event: a file that another process makes, a count on a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PAUSE_S = 0.02


def wait_until(is_true: Callable[[], bool], deadline_s: float) -> None:
    """Ask again and again until something is true.

    Raises:
        AssertionError: It was not within `deadline_s` seconds.
    """
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while not is_true():
        assert time.monotonic() < end, f"not true within {deadline_s} s"
        pause.wait(PAUSE_S)
