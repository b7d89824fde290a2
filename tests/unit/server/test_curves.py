"""Which points a curve shows, and how a long one is thinned."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rundial.server.curves import Shown, shown_points, thin
from rundial.server.rows import NO_STEP

_ATTEMPTS = {1: 1, 2: 2, 3: 2}
_ROWS = st.lists(
    st.tuples(st.integers(NO_STEP, 5), st.integers(1, 9), st.floats(-5, 5), st.sampled_from([1, 2, 3])),
    max_size=20,
)


@given(_ROWS)
def test_each_step_shows_the_latest_attempt_and_in_it_the_point_accepted_last(
    drawn: list[tuple[int, int, float, int]],
) -> None:
    """A curve never falls back to an older attempt or an overwritten value."""
    rows = sorted(((*row, accepted) for accepted, row in enumerate(drawn)), key=lambda row: row[0])

    shown = list(shown_points(rows, _ATTEMPTS))

    expected = {}
    for step in sorted({row[0] for row in rows} - {NO_STEP}):
        best = max((row for row in rows if row[0] == step), key=lambda row: (_ATTEMPTS[row[3]], row[4]))
        expected[step] = best[2]
    assert {point.step: point.value for point in shown if point.step is not None} == expected
    stepless = [point for point in shown if point.step is None]
    assert len(stepless) == sum(row[0] == NO_STEP for row in rows)
    assert [point.time_unix_ns for point in stepless] == sorted(point.time_unix_ns for point in stepless)


@given(st.lists(st.floats(-100, 100), max_size=300), st.integers(1, 60))
def test_thinning_keeps_order_bound_ends_and_extremes(values: list[float], max_points: int) -> None:
    """A spike of one point is still there, however few points are asked for."""
    points = [Shown(step, step, value) for step, value in enumerate(values)]

    kept = thin(points, max_points)

    steps = [point.step for point in kept if point.step is not None]
    assert len(kept) <= max(max_points, 0)
    assert steps == sorted(set(steps))
    assert set(kept) <= set(points)
    assert not points or kept[-1] == points[-1]
    if max_points >= 4 and points:
        assert kept[0] == points[0]
        assert {min(values), max(values)} <= {point.value for point in kept}


def test_a_short_curve_is_shown_whole() -> None:
    """Nothing is thinned that fits."""
    points = [Shown(step, step, 1.0) for step in range(10)]

    assert thin(points, 10) == points
