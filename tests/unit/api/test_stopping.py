"""Asking whether to stop: on another thread, now and then, and never waiting."""

from __future__ import annotations

import threading

from rundial.api.stopping import StopWatch
from tests.support.waiting import wait_until


def test_look_never_waits_for_the_answer() -> None:
    """A server that takes for ever to answer holds up no training step."""
    asked, answer = threading.Event(), threading.Event()

    def ask() -> bool:
        asked.set()
        return answer.wait(20)

    watch = StopWatch(ask)
    looks = [watch.should_stop for _ in range(1000)]
    assert asked.wait(10)
    looks += [watch.should_stop for _ in range(1000)]
    answer.set()
    wait_until(lambda: watch.should_stop, 10)

    assert set(looks) == {False}


def test_looks_between_two_answers_ask_nobody() -> None:
    """A loop that looks at each step asks the server every ten seconds."""
    times: list[int] = []
    asked = threading.Event()

    def ask() -> bool:
        times.append(1)
        asked.set()
        return False

    watch = StopWatch(ask)
    for _ in range(10_000):
        assert watch.should_stop is False
    assert asked.wait(10)

    assert len(times) == 1


def test_watch_without_anyone_to_ask_says_no() -> None:
    """Where there is no server, nothing is asked and no thread made."""
    before = threading.active_count()

    assert StopWatch(None).should_stop is False
    assert threading.active_count() == before
