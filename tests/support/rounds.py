"""How often a fault is repeated: a few times in every test run, as often as wanted by hand.

`FAULT_SCALE=50 make faults` makes fifty rounds of each; such a run may need a longer timeout.
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
    """Return how many times more than every day."""
    return int(os.environ.get("FAULT_SCALE", "1"))
