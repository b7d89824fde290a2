"""The status that a SystemExit ends the process with, seen when the interpreter reads it.

The interpreter reads `code` of the SystemExit that nobody caught, once, after the last of the program's
frames and before any exit hook, whose process has no other way to know. So `SystemExit.code` is a
descriptor of ours while a run may need it: it answers what the interpreter's own answers, in every
use, and remembers what was read from beneath no frame at all. A program that raises no SystemExit
never comes by here.

Only where this was tried, on CPython up to 3.13, is anything replaced; elsewhere the status stays unknown.
"""

from __future__ import annotations

import gc
import sys

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

NAME = "code"


class Unknown:
    """Stands for a status that cannot be known."""


class ExitCode:
    """`SystemExit.code`, and the last status that the interpreter itself read there.

    Attributes:
        status: What the process leaves with, as `sys.exit` takes it; `Unknown` before that.
    """

    def __init__(self) -> None:
        self.status: object = Unknown
        self._own: Any = vars(SystemExit)[NAME]
        self._names: dict[str, Any] | None = None

    def __get__(self, error: BaseException | None, kind: type | None = None) -> object:
        """Answer as the interpreter's own does."""
        if error is None:
            return self._own
        status: object = self._own.__get__(error, kind)
        if sys._getframe().f_back is None:
            self.status = status
        return status

    def __set__(self, error: BaseException, status: object) -> None:
        """Change the status of one exception."""
        self._own.__set__(error, status)

    def __delete__(self, error: BaseException) -> None:
        """Take the status from one exception."""
        self._own.__delete__(error)

    def install(self) -> bool:
        """Take the place of the interpreter's own; False where that cannot be done, or is done already."""
        if sys.implementation.name != "cpython" or sys.version_info >= (3, 14):
            return False
        # What `vars` of a class shows cannot be written to; what it shows it of can.
        found = [each for each in gc.get_referents(vars(SystemExit)) if type(each) is dict]
        if len(found) != 1 or found[0].get(NAME) is not self._own or type(self._own) is type(self):
            return False
        (self._names,) = found
        self._put(self)
        return True

    def restore(self) -> None:
        """Give the place back, where it is still ours."""
        if self._names is not None and self._names.get(NAME) is self:
            self._put(self._own)
        self._names = None

    def _put(self, descriptor: object) -> None:
        assert self._names is not None
        self._names[NAME] = descriptor
        # It remembers what it found under a name, without holding it: it would go on to use what was there
        # before, alive or not.
        forget = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
        forget()
