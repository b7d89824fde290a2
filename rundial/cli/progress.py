"""A bar for what takes long: on a terminal alone, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from rundial.cli.output import Output, size

if TYPE_CHECKING:
    from rundial.demo.render import ProgressBar

_T = TypeVar("_T")


class OnProgress(Protocol):
    """Is told how much of how much is done, None where nobody knows, and perhaps of what."""

    def __call__(self, done: int, total: int | None, text: str = "") -> None:
        """Show it."""
        ...


def tracked(output: Output, what: str, things: Sequence[_T], weight: Callable[[_T], int]) -> Iterator[_T]:
    """Yield things, showing how far it is on stderr.

    Args:
        output: How this invocation prints.
        what: What is being done, one word.
        things: In this order.
        weight: How much of the whole one of them is.
    """
    # An empty file is something to do all the same.
    weights = [max(1, weight(thing)) for thing in things]
    done = 0
    with counted(output, what) as on_bytes:
        for thing, each in zip(things, weights, strict=True):
            yield thing
            done += each
            on_bytes(done, sum(weights))


@contextmanager
def counted(output: Output, what: str, *, shown: Callable[[int], str] = size) -> Iterator[OnProgress]:
    """Give a function that is told how much of how much is done, and shows it on stderr.

    Args:
        output: How this invocation prints.
        what: What is being done, one word.
        shown: Writes a number: of bytes, unless it is told otherwise.
    """
    if output.is_json or output.is_quiet or not sys.stderr.isatty():
        yield lambda done, total, text="": None
        return
    from rundial.cli.abovebar import above
    from rundial.demo.render import ProgressBar

    bar: ProgressBar | None = None
    length: int | None = None

    def show(done: int, total: int | None, text: str = "") -> None:
        nonlocal bar, length
        # Its length is known with the first report, and what has several parts has one of each.
        if bar is None or total != length:
            bar, length = ProgressBar(sys.stderr, total, label=what, shown=shown), total
        bar.update(done, text)

    def clear() -> None:
        if bar is not None:
            bar.clear()

    try:
        with above(clear):
            yield show
    finally:
        clear()
