"""Growth of a count over time."""

from __future__ import annotations

import pytest

from rundial.system.rate import Rate
from tests.support.clock import ManualClock


def test_rate_is_growth_by_the_second_since_the_last_answer(clock: ManualClock) -> None:
    """A CPU time of one second in two is half a core, whatever went before."""
    rate = Rate(10.0, clock=clock)
    clock.advance(2)
    assert rate.of(11.0) == pytest.approx(0.5)
    clock.advance(4)

    assert rate.of(19.0) == pytest.approx(2.0)


def test_rate_asked_again_at_once_has_no_answer_and_loses_nothing(clock: ManualClock) -> None:
    """A moment is too short for a share of it; the next answer covers it."""
    rate = Rate(0.0, clock=clock)
    clock.advance(0.05)
    assert rate.of(5.0) is None
    clock.advance(0.95)

    assert rate.of(6.0) == pytest.approx(6.0)


def test_rate_of_a_count_that_went_back_is_unknown(clock: ManualClock) -> None:
    """A counter that begins anew costs one answer, not a negative one."""
    rate = Rate(100.0, clock=clock)
    clock.advance(1)
    assert rate.of(1.0) is None
    clock.advance(1)

    assert rate.of(2.0) == pytest.approx(1.0)
