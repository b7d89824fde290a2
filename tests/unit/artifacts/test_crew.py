"""Threads that work off things together: each once, and the first trouble ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rundial.artifacts.crew import Crew

WIDTH = 4


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_everything_is_done_once(count: int) -> None:
    """However many there are, none is left out and none is done twice."""
    done: list[int] = []

    def do(thing: int) -> None:
        done.append(thing)

    assert Crew[int, str](do, WIDTH, "rundial-test").work(range(1, count + 1)) is None
    assert sorted(done) == list(range(1, count + 1))


def test_the_first_trouble_ends_it() -> None:
    """What comes behind it is not begun; what is under way is waited for."""
    done: list[int] = []

    def do(thing: int) -> str | None:
        done.append(thing)
        return "no room" if thing == 3 else None

    assert Crew[int, str](do, 1, "rundial-test").work(range(1, 100)) == "no room"
    assert done == [1, 2, 3]


@pytest.mark.parametrize("raised", [OSError("gone"), KeyboardInterrupt()])
def test_an_error_of_any_thread_is_raised_by_the_one_that_waits(raised: BaseException) -> None:
    """Nobody who is interrupted leaves threads behind."""
    both = threading.Barrier(2)

    def do(thing: int) -> None:
        if thing < 3:
            both.wait(10)
        if thing == 2:
            raise raised

    with pytest.raises(type(raised)):
        Crew[int, str](do, 2, "rundial-test").work([1, 2, 3, 4])
    assert [thread.name for thread in threading.enumerate() if thread.name == "rundial-test"] == []


def test_things_that_cannot_be_listed_end_it() -> None:
    """A server that breaks off in the middle of a list is told as what it is."""

    def things() -> Iterator[int]:
        yield from (1, 2, 3)
        raise OSError("broke off")

    with pytest.raises(OSError, match="broke off"):
        Crew[int, str](lambda thing: None, WIDTH, "rundial-test").work(things())
