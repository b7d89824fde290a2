"""How often a fault is repeated: a few times in every test run, as often as wanted by hand.

`make faults` makes twenty times as many, or `FAULT_SCALE` times; every time limit grows with it.
"""

from __future__ import annotations

import os


def rounds(quick: int) -> int:
    """Return how many rounds to make, where `quick` are enough for every day."""
    return quick * scale()


def scale() -> int:
    """Return how many times more is done than on every day."""
    return max(1, int(os.environ.get("FAULT_SCALE", "1")))
