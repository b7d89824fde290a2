"""Which exceptions are failures of ours, and which are the program's own that struck inside a call."""

from __future__ import annotations

import functools
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from rundial.interrupts import let_through


class TimeIsUp(Exception):
    """What a program's own timeout raises."""


def time_is_up(number: int, frame: FrameType | None) -> None:
    """Raise, as a handler of SIGALRM does."""
    del number, frame
    raise TimeIsUp


class Watch:
    """Handlers that are no plain function."""

    def method(self, number: int, frame: FrameType | None) -> None:
        """Raise."""
        time_is_up(number, frame)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise."""
        time_is_up(number, frame)


def with_name(name: str, number: int, frame: FrameType | None) -> None:
    """Raise, knowing more than a handler is given."""
    assert name
    time_is_up(number, frame)


@contextmanager
def handled(handler: Any) -> Iterator[None]:
    """Install a handler of SIGUSR1 as long as the context lasts."""
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


HANDLERS = [
    pytest.param(time_is_up, id="function"),
    pytest.param(Watch().method, id="method"),
    pytest.param(Watch(), id="object"),
    pytest.param(functools.partial(with_name, "partial"), id="partial"),
]


@pytest.mark.parametrize("handler", HANDLERS)
def test_what_a_signal_handler_raises_is_let_through(handler: Any) -> None:
    """However a handler is written, what it raises is told from a failure of ours."""
    with handled(handler):
        with pytest.raises(TimeIsUp) as raised:
            signal.raise_signal(signal.SIGUSR1)

        with pytest.raises(TimeIsUp) as again:
            let_through(raised.value)
    assert again.value is raised.value


@pytest.mark.parametrize("handler", [*HANDLERS, signal.SIG_IGN, signal.default_int_handler])
def test_what_no_handler_raised_is_kept_back(handler: Any) -> None:
    """A value whose own code raises stops no training run, whatever handlers are installed."""
    with handled(handler):
        try:
            raise TimeIsUp
        except TimeIsUp as error:
            let_through(error)
