"""How the program's main part was left, which the interpreter tells no exit hook.

`sys.exit` can be watched; `raise SystemExit(3)` cannot: the exception is gone before exit hooks run, and
so is its status. What stays is the outermost frame of the main thread, if somebody holds it, and with it
the instruction that it stopped at: a return, or what raised. A frame of module level holds nothing
beside the module's own names, so holding it keeps nothing alive.

Threads: `of_process` may be called from any; the rest is for the exit.
"""

from __future__ import annotations

import sys
import threading

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

# What stands between the instructions that are looked for, on one Python or another.
_FILLERS = frozenset({"CACHE", "PRECALL", "PUSH_NULL", "NOP", "EXTENDED_ARG"})
_CALLS = frozenset({"CALL", "CALL_FUNCTION"})
_NAMES = frozenset({"LOAD_NAME", "LOAD_GLOBAL"})
_CONSTANTS = frozenset({"LOAD_CONST", "LOAD_SMALL_INT"})


class Unknown:
    """Stands for a status that cannot be known."""


class MainFrame:
    """The main thread's outermost frame, and the one of the module that the program is.

    Attributes:
        outermost: The program ends as this one does.
        module: The frame of `__main__`, often the same; None where there is none.
    """

    def __init__(self, outermost: FrameType, module: FrameType | None) -> None:
        self.outermost = outermost
        self.module = module

    @classmethod
    def of_process(cls) -> MainFrame | None:
        """Return the main thread's; None where Python runs inside another program."""
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        if frame is None:
            return None
        module, names = None, getattr(sys.modules.get("__main__"), "__dict__", None)
        while True:
            if frame.f_globals is names and frame.f_code.co_name == "<module>":
                module = frame
            if frame.f_back is None:
                return cls(frame, module)
            frame = frame.f_back

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

    def raised_status(self) -> object:
        """Return the status in a `raise SystemExit(status)` of module level; `Unknown` where it is none.

        A status that is written there, or stands under a name of the module, can be read. What a call
        has returned is gone.
        """
        if self.module is None:
            return Unknown
        last = _instructions_before(self.module.f_code, self.module.f_lasti)
        if _pop(last, {"RAISE_VARARGS"}) != 1:
            return Unknown
        given = _pop(last, _CALLS)
        status: object = None
        if given == 1:
            constant = _pop(last, _CONSTANTS)
            status = self._named(_pop(last, _NAMES)) if constant is Unknown else constant
        elif given not in (0, Unknown):
            return Unknown
        return status if _pop(last, _NAMES) == "SystemExit" else Unknown

    def _named(self, name: object) -> object:
        assert self.module is not None
        return self.module.f_globals.get(name, Unknown) if isinstance(name, str) else Unknown


def _instructions_before(code: CodeType, offset: int) -> list[tuple[str, Any]]:
    """Return the last few instructions up to an offset, as names and arguments."""
    import dis

    found = [(each.opname, each.argval) for each in dis.get_instructions(code) if each.offset <= offset]
    return [each for each in found[-32:] if each[0] not in _FILLERS]


def _pop(instructions: list[tuple[str, Any]], names: frozenset[str] | set[str]) -> Any:
    """Take the last instruction away if it is one of these, and return its argument; else `Unknown`."""
    if instructions and instructions[-1][0] in names:
        return instructions.pop()[1]
    return Unknown
