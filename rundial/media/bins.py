"""Values → counts in ranges of equal width; with numpy where they are an array, else in plain Python."""

from __future__ import annotations

import math
import sys
from array import array
from typing import Any


def taken(values: Any) -> Any:
    """Return a copy of the numbers, flat.

    Raises:
        TypeError: They are no numbers.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    if hasattr(values, "ravel") and "numpy" in sys.modules:
        return values.ravel().astype("float64", copy=True)
    return array("d", [float(value) for value in values])


def counted(numbers: Any, bins: int) -> dict[str, Any]:
    """Return `counts`, `edges`, and how many numbers were not finite.

    Args:
        numbers: As from `taken`.
        bins: How many ranges.
    """
    if isinstance(numbers, array):
        return _counted(numbers, bins)
    numpy = sys.modules["numpy"]
    kept = numbers[numpy.isfinite(numbers)]
    left_out = len(numbers) - len(kept)
    if not len(kept):
        return {"counts": [0], "edges": [0.0, 1.0], "nonFinite": left_out}
    counts, edges = numpy.histogram(kept, bins=bins)
    return {"counts": counts.tolist(), "edges": edges.tolist(), "nonFinite": left_out}


def _counted(numbers: array[float], bins: int) -> dict[str, Any]:
    kept = [number for number in numbers if math.isfinite(number)]
    left_out = len(numbers) - len(kept)
    if not kept:
        return {"counts": [0], "edges": [0.0, 1.0], "nonFinite": left_out}
    low, high = min(kept), max(kept)
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = (high - low) / bins
    counts = [0] * bins
    for number in kept:
        counts[min(bins - 1, int((number - low) / width))] += 1
    edges = [low + width * number for number in range(bins)]
    return {"counts": counts, "edges": [*edges, high], "nonFinite": left_out}
