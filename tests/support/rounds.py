"""How often a fault is repeated: a few times in every test run, as often as wanted by hand.

`make faults` makes twenty times as many, or `FAULT_SCALE` times; every time limit grows with it.
"""

from __future__ import annotations

import os

# What the running test has asked for, which a plain function has no other way to tell the page of
# faults; see `tests.support.faultpage`.
asked: list[int] = []


def rounds(quick: int) -> int:
    """Return how many rounds to make, where `quick` are enough for every day; call it in the test."""
    count = quick * scale()
    asked.append(count)
    return count


def scale() -> int:
    """Return how many times more is done than on every day."""
    return max(1, int(os.environ.get("FAULT_SCALE", "1")))
