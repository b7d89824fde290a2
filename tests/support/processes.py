"""Runs inside the test's own process, with parts of their own that end with the test.

A process makes its ring, encoder and senders once. A test needs fresh ones, and needs them gone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rundial.api import leaving, session
from rundial.api.session import Session


@contextmanager
def own_parts() -> Iterator[Session]:
    """Give the runs begun inside what a fresh process would give them; leaving is that process's exit.

    No exit hook, fork hook or signal handler is installed.
    """
    mine = Session()
    mine.has_hooks = mine.catches_sigterm = True
    before = session.exchange(mine)
    try:
        yield mine
    finally:
        session.exchange(before)
        leaving.at_exit(mine)
        join_adopters()


def join_adopters(deadline_s: float = 10.0) -> None:
    """Wait until no thread is left that delivers what earlier processes have left.

    Raises:
        AssertionError: One is still at it at the deadline.
    """
    for thread in threading.enumerate():
        if thread.name == "rundial-adopter":
            thread.join(deadline_s)
            assert not thread.is_alive(), "the adopter did not end"
