"""How many alerts pass, and what they say."""

from __future__ import annotations

from rundial.api.alerts import MAX_PER_WINDOW, AlertLimit, body_of
from tests.support.clock import ManualClock


def test_a_title_passes_again_after_a_minute(clock: ManualClock) -> None:
    """An alert that still holds is repeated, with the number of those held back."""
    limit = AlertLimit(clock.monotonic_s)
    admitted = [limit.admit("nan"), limit.admit("nan"), limit.admit("nan")]
    clock.advance(59)
    admitted.append(limit.admit("nan"))
    clock.advance(1)
    admitted.append(limit.admit("nan"))

    assert admitted == [0, None, None, None, 3]


def test_titles_that_a_program_makes_up_are_bounded_together(clock: ManualClock) -> None:
    """A step number in the title does not turn alerts into a flood."""
    limit = AlertLimit(clock.monotonic_s)
    passed = [number for number in range(100) if limit.admit(f"step {number}") is not None]
    clock.advance(60)

    assert passed == list(range(MAX_PER_WINDOW))
    assert limit.admit("step 100") == 80


def test_body_bounds_title_and_text() -> None:
    """An alert of any size is an event of a known one."""
    body = body_of("t" * 300, 3, "warn", 0)

    assert body == {"title": "t" * 256, "text": "3", "level": "warn"}
