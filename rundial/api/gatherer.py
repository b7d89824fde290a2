"""The thread that gathers a run's environment, and tells it once.

Light to import: what the gathering itself needs is imported on the thread. On the caller of `init`
only what may change later is noted. A run that ends sooner waits a moment and sends what there is.

Threads: its own, for as long as the gathering takes; `close` may be called from any.
After a fork: the environment is the parent's, and the child tells nothing.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping

from rundial.logger import logger
from rundial.typed import Any

MAX_ARGUMENTS = 256
# The program's own start comes first: imports on another thread would slow down both.
START_AFTER_S = 0.25
# How long what one run has found is good for the next one of the same process.
FRESH_S = 60.0
# How long the end of a run waits for an environment that is still being gathered.
LAST_WAIT_S = 0.25

Tell = Callable[[Mapping[str, Any]], object]


class Program:
    """What may change while a process runs, as it is now.

    Attributes:
        argv: The command line, interpreter and all.
        cwd: The current directory; None when it is gone.
        main_file: The script's file, None for a notebook or `python -c`.
    """

    def __init__(self) -> None:
        self.argv = list(sys.orig_argv[:MAX_ARGUMENTS])
        try:
            self.cwd: str | None = os.getcwd()
        except OSError:
            self.cwd = None
        self.main_file: str | None = getattr(sys.modules.get("__main__"), "__file__", None)

    def is_like(self, other: Program) -> bool:
        """Whether it was started alike, in the same place."""
        return vars(self) == vars(other)


class Gatherer:
    """Gathers the environment of one run.

    Args:
        tell: Takes the environment, once; called on the gathering thread, or on the caller of `close`.
        with_diff: Also gather what differs from the commit.
    """

    def __init__(self, tell: Tell, *, with_diff: bool) -> None:
        self._tell = tell
        self._with_diff = with_diff
        self._program = Program()
        self._found: dict[str, Any] = {}
        # Whoever takes the first turn tells; `close` takes what is left. No lock, for telling waits for
        # the recorder, which one who has interrupted it, and ends the run, would wait for in turn.
        self._turns = itertools.count()
        self._began_s = time.monotonic()
        self._pid = os.getpid()
        self._done = threading.Event()
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="rundial-environment", daemon=True)

    def start(self, before: Gatherer | None = None) -> None:
        """Begin, or tell at once what an earlier run of this process has just found."""
        if before is not None and before._is_fresh_for(self):
            self._found, self._began_s = before._found, before._began_s
            self._done.set()
            self._send()
            return
        self._thread.start()

    def _is_fresh_for(self, other: Gatherer) -> bool:
        return (
            self._done.is_set()
            and time.monotonic() - self._began_s < FRESH_S
            and self._with_diff == other._with_diff
            and self._program.is_like(other._program)
        )

    def close(self, timeout_s: float) -> None:
        """Tell what there is, after a short wait for the rest; nothing is told from then on."""
        if os.getpid() != self._pid:
            return
        self._is_ending.set()
        self._done.wait(min(LAST_WAIT_S, max(timeout_s, 0.0) / 2))
        self._send()
        next(self._turns)

    def _work(self) -> None:
        self._is_ending.wait(START_AFTER_S)
        try:
            from rundial.api.environment import parts

            for part in parts(self._program, with_diff=self._with_diff):
                # Replaced, not changed: the caller of `close` may be reading it.
                self._found = {**self._found, **part}
        except Exception as error:  # noqa: BLE001 - logged; a run without its environment is a run all the same
            logger.warning("the environment of a run could not be gathered whole", exc_info=error)
        self._send()
        self._done.set()

    def _send(self) -> None:
        found = self._found
        if found and next(self._turns) == 0:
            self._tell(found)
