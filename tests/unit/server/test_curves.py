"""How a long curve is thinned."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rundial.server.curves import Curve, Shown, places_kept
from rundial.server.rows import NO_STEP


@given(st.lists(st.floats(-100, 100), max_size=300), st.integers(1, 60))
def test_thinning_keeps_order_bound_ends_and_extremes(values: list[float], max_points: int) -> None:
    """A spike of one point is still there, however few points are asked for."""
    kept = list(places_kept(values, max_points))

    assert len(kept) <= max_points
    assert kept == sorted(set(kept))
    assert set(kept) <= set(range(len(values)))
    assert not values or kept[-1] == len(values) - 1
    if max_points >= 4 and values:
        assert kept[0] == 0
        assert {min(values), max(values)} <= {values[place] for place in kept}


def test_a_short_curve_is_shown_whole() -> None:
    """Nothing is thinned that fits, and a point without a step has none."""
    curve = Curve()
    curve.extend([NO_STEP, 0, 1], [7, 8, 9], [1.0, 2.0, 3.0])

    assert curve.thin(3) == [Shown(None, 7, 1.0), Shown(0, 8, 2.0), Shown(1, 9, 3.0)]
