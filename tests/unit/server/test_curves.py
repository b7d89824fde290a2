"""What a curve shows."""

from __future__ import annotations

from rundial.server.curves import Curve, Shown
from rundial.server.rows import NO_STEP


def test_a_point_without_a_step_shows_none() -> None:
    """Steps that were never given are not made up."""
    curve = Curve()
    curve.extend([NO_STEP, 0, 1], [7, 8, 9], [1.0, 2.0, 3.0])

    assert curve.shown() == [Shown(None, 7, 1.0), Shown(0, 8, 2.0), Shown(1, 9, 3.0)]
