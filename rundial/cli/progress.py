"""A bar for what takes long: on a terminal alone, with rich where it is installed; silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TypeVar

from rundial.cli.output import Output

_T = TypeVar("_T")


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
def counted(output: Output, what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told how many bytes of how many are done, and shows it on stderr.

    Args:
        output: How this invocation prints.
        what: What is being done, one word.
    """
    is_shown = not output.is_json and not output.is_quiet and sys.stderr.isatty()
    if not is_shown or find_spec("rich") is None:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True, no_color=not output.paints(sys.stderr))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
