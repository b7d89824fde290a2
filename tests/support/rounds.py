"""How often a fault is repeated: a few times in every test run, as often as wanted by hand.

`FAULT_SCALE=50 make faults` makes fifty rounds of each; such a run may need a longer timeout.
"""

from __future__ import annotations

import os


def rounds(quick: int) -> int:
    """Return how many rounds to make, where `quick` are enough for every day."""
    return quick * int(os.environ.get("FAULT_SCALE", "1"))
