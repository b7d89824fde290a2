"""The clock that stands still until a test moves it; it is public, for users' tests too."""

from __future__ import annotations

from rundial.testing.clock import START_UNIX_NS, ManualClock

__all__ = ["START_UNIX_NS", "ManualClock"]
