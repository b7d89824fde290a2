"""The one thread that samples all runs of a process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from rundial.system.sampler import Sampler
from rundial.system.watch import Watch
from tests.support.waiting import wait_until
from tests.unit.system.builders import Samples

INTERVAL_S = 0.02


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    """A sampler that ends with the test."""
    sampler = Sampler()
    yield sampler
    assert sampler.stop(5)


def watch_of(samples: Samples, source: Callable[[], dict[str, object]], interval_s: float) -> Watch:
    """Return a watch that is never under pressure."""
    return Watch(samples, lambda: source, interval_s=interval_s, is_pressed=lambda: False)


def threads() -> list[threading.Thread]:
    """The samplers' threads of this process."""
    return [thread for thread in threading.enumerate() if thread.name == "rundial-sampler"]


def test_runs_share_one_daemon_thread_that_is_not_the_callers(sampler: Sampler) -> None:
    """Ten runs are sampled by one thread, and never by one that trains."""
    places = [Samples() for _ in range(10)]
    seen: set[str] = set()

    def source() -> dict[str, object]:
        seen.add(threading.current_thread().name)
        return {"a": 1.0}

    watches = [watch_of(place, source, INTERVAL_S) for place in places]
    for watch in watches:
        sampler.add(watch)
    wait_until(lambda: all(watch.collected >= 2 for watch in watches), 10)
    (thread,) = threads()

    assert thread.daemon
    assert seen == {"rundial-sampler"}


def test_thread_ends_with_its_last_run_and_begins_again(sampler: Sampler) -> None:
    """Between runs nothing is awake; a later run is sampled as the first was."""
    for _ in range(2):
        samples = Samples()
        watch = watch_of(samples, lambda: {"a": 1.0}, INTERVAL_S)
        sampler.add(watch)
        wait_until(lambda: watch.collected >= 1, 10)  # noqa: B023 - asked before the next round
        before = watch.collected
        watch.end(10)
        wait_until(lambda: not threads(), 10)

        assert watch.collected > before, "the last sample"
        assert len(samples.rows) == watch.collected


def test_end_waits_no_longer_than_it_was_told(sampler: Sampler) -> None:
    """A source that hangs costs its own samples: the run ends in time, and nothing is logged after it."""
    begun, over = threading.Event(), threading.Event()
    samples = Samples()

    def hanging() -> dict[str, object]:
        begun.set()
        over.wait(10)
        return {"a": 1.0}

    watch = watch_of(samples, hanging, INTERVAL_S)
    sampler.add(watch)
    assert begun.wait(10)
    watch.end(0.05)
    assert watch.is_over
    over.set()
    wait_until(lambda: not threads(), 10)

    assert samples.rows == []


def test_end_of_a_short_run_waits_for_nothing(sampler: Sampler) -> None:
    """A run without samples ends at once, though its next wake-up is an hour away."""
    watch = watch_of(Samples(), dict, 3600.0)
    sampler.add(watch)
    watch.end(float("inf"))
    wait_until(lambda: not threads(), 10)

    assert watch.collected == 0
