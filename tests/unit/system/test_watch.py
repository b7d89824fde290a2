"""When a run is sampled, and what becomes of a sample."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping

import pytest

from rundial.system.watch import BASELINE_S, Watch
from tests.support.clock import ManualClock
from tests.unit.system.builders import Sample, Samples

INTERVAL_S = 10.0
Make = Callable[..., Watch]


@pytest.fixture
def samples() -> Samples:
    """Where the points go."""
    return Samples()


@pytest.fixture
def make(samples: Samples, clock: ManualClock) -> Make:
    """Make a watch that begins now."""

    def begin(source: Callable[[], Mapping[str, object]] = lambda: {"a": 1.0}, **more: object) -> Watch:
        options = {"interval_s": INTERVAL_S, "is_pressed": lambda: False, "clock": clock, **more}
        return Watch(samples, lambda: source, **options)  # type: ignore[arg-type]  # a mixed mapping

    return begin


def run_until(watch: Watch, clock: ManualClock, seconds: float) -> None:
    """Do what a sampler does until a moment of the clock."""
    while watch.due_s <= seconds:
        clock.advance(max(0.0, watch.due_s - clock.monotonic_s()))
        watch.act()
    clock.advance(seconds - clock.monotonic_s())


def test_samples_come_at_each_interval_and_are_numbered(
    make: Make, samples: Samples, clock: ManualClock
) -> None:
    """The first sample is one interval after the start; steps count samples, not the user's steps."""
    watch = make(attributes=(("rundial.rank", "3"),))
    run_until(watch, clock, 35)

    assert samples.rows == [Sample(step, {"a": 1.0}, (("rundial.rank", "3"),)) for step in range(3)]
    assert (watch.collected, watch.skipped) == (3, 0)


def test_source_is_made_shortly_before_the_first_sample(samples: Samples, clock: ManualClock) -> None:
    """A run that ends early imports nothing and reads nothing."""
    made: list[float] = []

    def begin() -> Callable[[], Mapping[str, object]]:
        made.append(clock.monotonic_s())
        return dict

    watch = Watch(samples, begin, interval_s=INTERVAL_S, is_pressed=lambda: False, clock=clock)
    run_until(watch, clock, 25)

    assert made == [INTERVAL_S - BASELINE_S]


def test_run_shorter_than_an_interval_has_no_sample(make: Make, samples: Samples, clock: ManualClock) -> None:
    """A short run ends at once and without system metrics."""
    watch = make()
    run_until(watch, clock, 9.9)
    watch.end(0.0)

    assert samples.rows == []
    assert watch.is_over


def test_last_sample_is_taken_when_a_longer_run_ends(
    make: Make, samples: Samples, clock: ManualClock
) -> None:
    """The state at the end of a run is on record."""
    watch = make()
    run_until(watch, clock, 15)
    watch.wake = lambda: None if watch.is_over else watch.act()
    watch.end(5.0)

    assert [row.step for row in samples.rows] == [0, 1]
    assert watch.is_over


def test_nothing_is_offered_once_the_end_was_said(make: Make, samples: Samples, clock: ManualClock) -> None:
    """A source that takes longer than anybody waits loses its sample; it is not logged after the finish."""

    def slow() -> Mapping[str, object]:
        # The run ends on another thread meanwhile, and does not wait.
        watch.cancel()
        return {"a": 1.0}

    watch = make(slow)
    run_until(watch, clock, 10)
    watch.act()

    assert samples.rows == []
    assert watch.collected == 0


def test_provider_that_ends_its_own_run_does_not_wait_for_itself(make: Make, clock: ManualClock) -> None:
    """A provider may stop the run, for instance when a disk is nearly full."""

    def ending() -> Mapping[str, object]:
        watch.end(math.inf)
        return {}

    watch = make(ending)
    run_until(watch, clock, 9)
    clock.advance(6)
    watch.act()

    assert watch.is_over


def test_samples_are_left_out_under_pressure_and_keep_their_number(
    make: Make, samples: Samples, clock: ManualClock
) -> None:
    """When the run's own records need the room, samples give way, counted, and leave a gap in the steps."""
    pressed = [True]
    watch = make(is_pressed=lambda: pressed[0])
    run_until(watch, clock, 25)
    pressed[0] = False
    run_until(watch, clock, 45)

    assert [row.step for row in samples.rows] == [2, 3]
    assert (watch.collected, watch.skipped) == (2, 2)


def test_entries_that_are_no_points_are_counted(make: Make, samples: Samples, clock: ManualClock) -> None:
    """A provider's good values are kept; the others are in the ledger."""
    watch = make(lambda: {"a": 1, "b": float("nan"), "c": "text", "d": {"e": 2}})
    run_until(watch, clock, 10)

    assert [row.values for row in samples.rows] == [{"a": 1.0, "d/e": 2.0}]
    assert samples.dropped == [("points", "non_finite", 1), ("points", "invalid", 1)]


def test_provider_that_raises_is_told_of_once_and_asked_again(
    make: Make, samples: Samples, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider that fails costs samples, never the run, and one line in the log."""
    failures = [OSError("no sensor"), OSError("no sensor")]

    def flaky() -> Mapping[str, object]:
        if failures:
            raise failures.pop()
        return {"a": 1.0}

    watch = make(flaky)
    run_until(watch, clock, 35)

    assert [row.values for row in samples.rows] == [{"a": 1.0}]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_one_sample_is_enough_after_a_pause_of_the_machine(
    make: Make, samples: Samples, clock: ManualClock
) -> None:
    """A laptop that wakes up does not sample once for each interval that it slept."""
    watch = make()
    run_until(watch, clock, 10)
    clock.advance(3600)
    run_until(watch, clock, clock.monotonic_s() + 5)

    assert [row.step for row in samples.rows] == [0, 1]
