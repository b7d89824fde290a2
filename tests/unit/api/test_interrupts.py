"""A handler that raises while its thread is inside a logging call: the user's exception, at any moment."""

from __future__ import annotations

import contextvars
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

import rundial
from rundial.api.run import Run
from tests.support.recorded import Recorded

SOURCES = os.path.dirname(rundial.__file__)


class TimeIsUpError(Exception):
    """What a program's own timeout raises."""


@contextmanager
def handled_by_raising() -> Iterator[None]:
    """Have SIGUSR1 raise, as a program's own timeout does, as long as the context lasts."""

    def time_is_up(number: int, frame: FrameType | None) -> None:
        raise TimeIsUpError

    before = signal.signal(signal.SIGUSR1, time_is_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def interrupted_at(moment: int) -> Iterator[list[int]]:
    """Send this process SIGUSR1 where the interpreter looks for signals in Rundial's code.

    That is where a function begins and after each call.

    Args:
        moment: Which of these, from 1.

    Yields:
        A list of one number, which is above 0 as long as the signal has not been sent.
    """
    left = [moment]

    def look(frame: FrameType, event: str, argument: object) -> None:
        del argument
        if event != "c_call" and frame.f_code.co_filename.startswith(SOURCES):
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(signal.SIGUSR1)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield left
    finally:
        sys.setprofile(before)


def log_quickly(run: Run, number: int) -> bool:
    """Log a point of a name that is known."""
    return run.log({"x": float(number)}, step=number)


def log_slowly(run: Run, number: int) -> bool:
    """Log a point with a context, which takes the way that looks closer."""
    return run.log({"x": float(number)}, step=number, context={"split": "val"})


def say(run: Run, number: int) -> bool:
    """Log a line."""
    return run.log_text(str(number))


def trace(run: Run, number: int) -> bool:
    """Log a span."""
    with run.trace(str(number)) as span:
        pass
    return span.finish()


def numbers_of(found: Recorded) -> list[int]:
    """The numbers of whatever was logged."""
    named = [int(line.body) for line in found.lines] + [int(span.name) for span in found.spans]
    return sorted([*(point.step or 0 for point in found.points), *named])


@pytest.mark.parametrize("log", [log_quickly, log_slowly, say, trace])
def test_an_exception_of_a_signal_handler_at_any_moment_of_a_call_spoils_nothing(
    run: Run, read: Callable[[Run], Recorded], log: Callable[[Run, int], bool]
) -> None:
    """Wherever in a call a handler raises, what the call answered is true and the books close."""
    accepted = [0]
    doubtful = []
    refused = 0
    assert log(run, 0)
    with handled_by_raising():
        for number in itertools.count(1):
            left = [1]
            try:
                with interrupted_at(number) as left:
                    # In a context of its own: a span that is cut short may stay its context's current one.
                    is_kept = contextvars.copy_context().run(log, run, number)
            except TimeIsUpError:
                doubtful.append(number)
                continue
            refused += not is_kept
            accepted += [number] * is_kept
            if left[0] > 0:
                break

    found = numbers_of(read(run))
    assert len(doubtful) > 5
    assert len(found) == len(set(found))
    assert set(accepted) <= set(found) <= {*accepted, *doubtful}
    account = run.diagnostics().ledger
    assert account.closes
    assert sum(each.recorded for each in account.signals().values()) == len(found)
    assert refused <= sum(each.lost for each in account.signals().values()) <= refused + len(doubtful)
