"""Which threads of ours a test has to answer for: those that began after it did.

Other tests of the same process may leave some behind, such as those that stand in for a killed program.
"""

from __future__ import annotations

import threading

from tests.support.waiting import wait_until

_before: set[threading.Thread] = set()


def note_threads() -> None:
    """Leave out of account what is alive now."""
    _before.clear()
    _before.update(threading.enumerate())


def threads() -> set[str]:
    """The names of our threads that have begun since and are alive."""
    began = set(threading.enumerate()) - _before
    return {thread.name for thread in began if thread.name.startswith("rundial")}


def wait_for_no_threads() -> None:
    """Wait until all of them are gone; on a busy machine the last ones need a moment."""
    wait_until(lambda: threads() == set(), 10)
