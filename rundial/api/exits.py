"""How a process leaves, as far as it can be known from inside: its status makes the run's.

Nothing tells an exit hook the process's status. So `sys.exit`, and `exit` and `quit` of the `site` module,
are watched; and the frame of the program's main part tells whether an exception ended it at all.
"""

from __future__ import annotations

import builtins
import sys

from rundial.api.mainframe import MainFrame, Unknown
from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from rundial.api.ending import Ending


class Exits:
    """What this process was told to leave with."""

    def __init__(self) -> None:
        self._status: object = Unknown
        self._main: MainFrame | None = None
        self._restore: list[Callable[[], None]] = []

    def watch(self) -> None:
        """Begin to remember what the program leaves with; once a process."""
        self.renew()
        self._watch_sys_exit()
        self._watch_quitter()

    def renew(self) -> None:
        """Begin anew: nothing was said yet, and in a forked child another thread may be the main one."""
        self._status = Unknown
        self._main = MainFrame.of_process()

    def restore(self) -> None:
        """Give back what was replaced, where it is still ours."""
        while self._restore:
            self._restore.pop()()

    def ending(self) -> Ending:
        """Return how the process ends. For exit hooks."""
        from rundial.api.ending import Ending, of_exception, of_status

        # At a prompt and in a notebook, each line is a program of its own, and the session goes on.
        is_prompt = hasattr(sys, "ps1")
        main = None if is_prompt or self._main is None or self._main.is_running else self._main
        if main is not None and main.has_returned:
            return Ending("completed")
        # Set when an uncaught exception is printed; the interpreter leaves it for such as us.
        error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        if error is not None and not is_prompt:
            return of_exception(error)
        status = Unknown if main is None else main.raised_status()
        if status is Unknown:
            status = self._status
        if status is Unknown and main is not None:
            return Ending("aborted", "SystemExit")
        return of_status(None if status is Unknown else status)

    def _watch_sys_exit(self) -> None:
        leave = sys.exit

        def remember(status: Any = None, /) -> NoReturn:
            self._status = status
            leave(status)

        def restore() -> None:
            if sys.exit is remember:
                sys.exit = leave

        remember.__name__, remember.__qualname__, remember.__doc__ = "exit", "exit", leave.__doc__
        sys.exit = remember
        self._restore.append(restore)

    def _watch_quitter(self) -> None:
        # Not there with `python -S`, and something else in IPython.
        kind: Any = type(getattr(builtins, "exit", None))
        if kind.__module__ != "_sitebuiltins":
            return
        leave = kind.__call__

        def remember(quitter: Any, code: Any = None) -> None:
            self._status = code
            leave(quitter, code)

        def restore() -> None:
            if kind.__call__ is remember:
                kind.__call__ = leave

        remember.__name__, remember.__qualname__ = leave.__name__, leave.__qualname__
        kind.__call__ = remember
        self._restore.append(restore)
