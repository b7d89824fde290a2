"""The never-raise boundary between a training loop and our own bugs.

Whatever goes wrong inside a logging call is counted and reported at most once a minute; it is never
the caller's exception. In strict mode, which tests and CI set, it is raised instead. KeyboardInterrupt,
SystemExit and the user's own exceptions pass through untouched.
"""

from __future__ import annotations

import sys
import time
import warnings
from types import FrameType

from rundial.logger import logger

REPEAT_S = 60.0


class Notices:
    """Says each thing at most once a minute, on the `rundial` logger."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def warn(self, key: str, message: str, *, error: BaseException | None = None) -> None:
        """Log a warning unless one with this key was logged in the last minute."""
        now = time.monotonic()
        if now - self._said.get(key, -REPEAT_S) < REPEAT_S:
            return
        self._said[key] = now
        logger.warning("%s", message, exc_info=error)


def warn_user(message: str) -> None:
    """Show a RuntimeWarning at the caller's line; where warnings are errors, log it instead."""
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=_depth_of_caller())
    except RuntimeWarning:
        logger.warning("%s", message)


def _depth_of_caller() -> int:
    """How many frames above `warn_user` the first one lies that is not ours."""
    depth = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("rundial."):
        frame = frame.f_back
        depth += 1
    return depth
