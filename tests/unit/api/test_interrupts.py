"""A handler that raises while its thread is inside a logging call: the user's exception, at any moment."""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import logging
import os
import signal
import sys
from collections import UserDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import TextIO

import pytest

import rundial
from rundial.api import session
from rundial.api.logging import LoggingHandler
from rundial.api.run import Run
from tests.support import recorded
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
def interrupted(is_moment: Callable[[FrameType, str], bool]) -> Iterator[list[int]]:
    """Send this process SIGUSR1, once, where the interpreter looks for signals in Rundial's code.

    That is where a function begins and after each call.

    Args:
        is_moment: Told of each of these; whether it shall be there.

    Yields:
        A list of one number, which is above 0 as long as the signal has not been sent.
    """
    left = [1]

    def look(frame: FrameType, event: str, argument: object) -> None:
        del argument
        if event == "c_call" or not left[0] or not frame.f_code.co_filename.startswith(SOURCES):
            return
        if is_moment(frame, event):
            left[0] = 0
            signal.raise_signal(signal.SIGUSR1)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield left
    finally:
        sys.setprofile(before)


def at(number: int) -> Callable[[FrameType, str], bool]:
    """Choose a moment by its number, from 1."""
    moments = itertools.count(1)
    return lambda _frame, _event: next(moments) == number


def somewhere_new(struck: set[tuple[CodeType, int, str]]) -> Callable[[FrameType, str], bool]:
    """Choose the first place in the code that is not among those struck before."""

    def is_new(frame: FrameType, event: str) -> bool:
        place = (frame.f_code, frame.f_lasti, event)
        return place not in struck and struck.add(place) is None

    return is_new


def log_quickly(run: Run, number: int) -> bool:
    """Log a point of a name that is known."""
    return run.log({"x": float(number)}, step=number)


def log_slowly(run: Run, number: int) -> bool:
    """Log a point with a context, which takes the way that looks closer."""
    return run.log({"x": float(number)}, step=number, context={"split": "val"})


def log_newly(run: Run, number: int) -> bool:
    """Log a point of a name that is not known yet, from a mapping that is no dict."""
    return run.log(UserDict({f"x{number}": float(number)}), step=number)


def say(run: Run, number: int) -> bool:
    """Log a line."""
    return run.log_text(str(number))


def write(run: Run, number: int) -> bool:
    """Write a line to stdout, which the run captures."""
    del run
    sys.stdout.write(f"{number}\n")
    return True


def warn(run: Run, number: int) -> bool:
    """Log a line by Python's own logging."""
    LoggingHandler(run).handle(logging.makeLogRecord({"msg": "%d", "args": (number,)}))
    return True


def trace(run: Run, number: int) -> bool:
    """Log a span."""
    with run.trace(str(number)) as span:
        pass
    return span.finish()


def numbers_of(found: Recorded) -> list[int]:
    """The numbers of whatever was logged."""
    named = [int(line.body) for line in found.lines] + [int(span.name) for span in found.spans]
    return sorted([*(point.step or 0 for point in found.points), *named])


@pytest.fixture
def out(tmp_path: Path) -> Iterator[TextIO]:
    """A real text file, to be stdout."""
    with (tmp_path / "out.txt").open("w", encoding="utf-8") as stream:
        yield stream


@pytest.mark.parametrize("log", [log_quickly, log_slowly, log_newly, say, write, warn, trace])
def test_an_exception_of_a_signal_handler_at_any_moment_of_a_call_spoils_nothing(
    start: Callable[..., Run],
    read: Callable[[Run], Recorded],
    out: TextIO,
    log: Callable[[Run, int], bool],
) -> None:
    """Wherever in a call a handler raises, what the call answered is true and the books close."""
    accepted = [0]
    doubtful = []
    with contextlib.redirect_stdout(out), handled_by_raising():
        run = start(capture_console=True)
        assert log(run, 0)
        for number in itertools.count(1):
            left = [1]
            try:
                with interrupted(at(number)) as left:
                    # In a context of its own: a span that is cut short may stay its context's current one.
                    is_kept = contextvars.copy_context().run(log, run, number)
            except TimeIsUpError:
                doubtful.append(number)
                continue
            assert left[0] > 0, "what the handler raised was taken for a failure of the call's"
            assert is_kept
            accepted.append(number)
            break

    found = numbers_of(read(run))
    assert len(doubtful) > 5
    assert len(found) == len(set(found))
    assert set(accepted) <= set(found) <= {*accepted, *doubtful}
    account = run.diagnostics().ledger
    assert account.closes
    assert sum(each.recorded for each in account.signals().values()) == len(found)
    assert sum(each.lost for each in account.signals().values()) <= len(doubtful)


@pytest.mark.timeout(90)  # it ends a run at hundreds of places
def test_a_finish_that_is_interrupted_goes_on_where_it_was(
    start: Callable[..., Run], spool_dir: Path, out: TextIO
) -> None:
    """Wherever a handler raises inside finish, its exception comes out; the next call ends the run whole."""
    struck: set[tuple[CodeType, int, str]] = set()
    runs = 0
    has_struck = True
    while has_struck:
        runs += 1
        with contextlib.redirect_stdout(out), handled_by_raising():
            run = start(capture_console=True, capture_environment=False)
            sys.stdout.write("half a line")
            with contextlib.suppress(TimeIsUpError), interrupted(somewhere_new(struck)) as left:
                assert run.finish(10)
                assert left[0] > 0, "what the handler raised was taken for a failure of the call's"
            has_struck = left[0] == 0
            assert run.finish(10)
            sys.stdout.write("of nobody's concern")

        assert run.diagnostics().ledger.closes
        assert run not in session.current().parts.live
        found = recorded.read(spool_dir / run.run_id)
        # A line that was struck while it was recorded may be nowhere, and is counted then.
        assert [line.body for line in found.lines] in ([], ["half a line"])
        lost = run.diagnostics().ledger.lines.lost
        assert lost == 1 or (found.lines and lost == 0)
        assert "rundial.run.finish" in [event.event_name for event in found.events]
    assert runs > 100
    assert found.lines


def test_a_config_whose_reading_is_interrupted_is_no_bad_config(start: Callable[..., Run]) -> None:
    """What a handler raises while `init` reads a config stops the program, as the program wished."""

    class Slow:
        def model_dump(self) -> dict[str, object]:
            signal.raise_signal(signal.SIGUSR1)
            return {"seed": 1}

    with handled_by_raising(), pytest.raises(TimeIsUpError):
        start(config=Slow())
