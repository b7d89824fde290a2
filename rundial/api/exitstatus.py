"""The status that a program leaves with, as far as it can be seen from inside."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rundial.api.session import Session


def watch_exit(session: Session) -> None:
    """Remember what `sys.exit` is called with: nothing else tells an exit hook the process's status."""
    leave = sys.exit

    @functools.wraps(leave)
    def remember(status: Any = None, /) -> NoReturn:
        session.exit_status = status
        leave(status)

    sys.exit = remember
    session.restore_exit = lambda: _restore(remember, leave)


def _restore(ours: Callable[..., NoReturn], former: Callable[..., NoReturn]) -> None:
    if sys.exit is ours:
        sys.exit = former
