"""How a process leaves, as far as it can be known from inside: its status makes the run's."""

from __future__ import annotations

import sys
import threading

from rundial.api.exitcode import ExitCode, Unknown
from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, NoReturn

    from rundial.api.ending import Ending


class Exits:
    """What this process leaves with."""

    def __init__(self) -> None:
        self._code = ExitCode()
        # What `sys.exit` was last called with, where the interpreter does not let its status be seen.
        self._said: object = Unknown
        self._is_seen = False
        self._main: MainFrame | None = None
        self._restore: list[Callable[[], None]] = []

    def watch(self) -> None:
        """Begin to see what the program leaves with; once a process."""
        self.renew()
        self._is_seen = self._code.install()
        self._restore.append(self._code.restore)
        if not self._is_seen or sys.version_info < (3, 12):
            self._watch_sys_exit()

    def renew(self) -> None:
        """Begin anew: nothing was said yet, and in a forked child another thread may be the main one."""
        self._said = self._code.status = Unknown
        self._main = MainFrame.of_process()

    def restore(self) -> None:
        """Give back what was replaced, where it is still ours."""
        while self._restore:
            self._restore.pop()()

    def ending(self) -> Ending:
        """Return how the process ends. For exit hooks."""
        from rundial.api.ending import Ending, of_exception, of_status

        if self._code.status is not Unknown:
            return of_status(self._code.status)
        # At a prompt and in a notebook, each line is a program of its own, and the session goes on.
        is_prompt = hasattr(sys, "ps1")
        main = None if is_prompt or self._main is None or self._main.is_running else self._main
        if main is not None and main.has_returned:
            return Ending("completed")
        # Set when an uncaught exception is printed; the interpreter leaves it for such as us.
        error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        if error is not None and not is_prompt:
            return of_exception(error)
        if self._said is not Unknown and not self._is_seen:
            return of_status(self._said)
        return Ending("completed") if main is None else Ending("aborted", "SystemExit")

    def _watch_sys_exit(self) -> None:
        leave = sys.exit

        def remember(status: Any = None, /) -> NoReturn:
            self._said = status
            try:
                leave(status)
            except SystemExit:
                # Until 3.11 it is no exception yet, with a `code` to be read, before somebody has caught it.
                raise

        def restore() -> None:
            if sys.exit is remember:
                sys.exit = leave
            _rename(remember, leave)

        remember.__name__, remember.__qualname__, remember.__doc__ = "exit", "exit", leave.__doc__
        sys.exit = remember
        _rename(leave, remember)
        self._restore.append(restore)


def _rename(before: object, after: object) -> None:
    """Have modules that said `from sys import exit` call one function in place of another.

    The program itself may call it by any name; elsewhere one look a module has to do.
    """
    for known, module in list(sys.modules.items()):
        try:
            # Past the module's own way to answer: a lazy one would be loaded.
            names = object.__getattribute__(module, "__dict__")
        except AttributeError:
            continue
        if type(names) is not dict:
            continue
        for name in list(names) if known == "__main__" else ("exit",):
            if names.get(name) is before:
                names[name] = after


class MainFrame:
    """The main thread's outermost frame: it tells how the program's main part was left.

    Whether it returned or was ended by an exception is gone before exit hooks run. What stays is this frame,
    if somebody holds it, and with it the instruction that it stopped at: a return, or what raised. A frame
    of module level holds nothing beside the module's own names, so holding it keeps nothing alive.

    Threads: `of_process` may be called from any; the rest is for the exit.

    Attributes:
        outermost: The program ends as this one does.
    """

    def __init__(self, outermost: FrameType) -> None:
        self.outermost = outermost

    @classmethod
    def of_process(cls) -> MainFrame | None:
        """Return the main thread's; None where Python runs inside another program."""
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        if frame is None:
            return None
        while frame.f_back is not None:
            frame = frame.f_back
        return cls(frame)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet: somebody runs the exit hooks within the program."""
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        while frame is not None and frame is not self.outermost:
            frame = frame.f_back
        return frame is not None

    @property
    def has_returned(self) -> bool:
        """Whether the program came to its end; False when an exception ended it."""
        from opcode import opname

        code = self.outermost.f_code.co_code
        return opname[code[self.outermost.f_lasti]].startswith("RETURN_")
