"""Warnings of the parts that a command uses, above the bar that it draws and not behind it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rundial.cli.output import write
from rundial.logger import NAME


class _Above(logging.Handler):
    """Takes the bar away, and writes a line in its place.

    Args:
        clear: Takes the bar away; it is drawn again by itself.
    """

    def __init__(self, clear: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._clear = clear

    def emit(self, record: logging.LogRecord) -> None:
        """Write a warning."""
        self._clear()
        write(sys.stderr, [self.format(record)])


@contextmanager
def above(clear: Callable[[], None]) -> Iterator[None]:
    """Write warnings above a bar while it is drawn."""
    handler, logger = _Above(clear), logging.getLogger(NAME)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
