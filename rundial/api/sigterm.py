"""SIGTERM as an orderly exit, where the program has no handler of its own."""

from __future__ import annotations

import signal
import threading

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from rundial.api.session import Session

TERMINATED_EXIT = 128 + signal.SIGTERM


def catch_sigterm(session: Session) -> None:
    """Make SIGTERM end the program as `sys.exit` does, so that its runs end too."""
    if session.catches_sigterm or threading.current_thread() is not threading.main_thread():
        return
    session.catches_sigterm = True
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def leave(number: int, frame: FrameType | None) -> None:
        # Nothing but this: a handler may have interrupted anything, also our own lock.
        del number, frame
        session.was_terminated = True
        raise SystemExit(TERMINATED_EXIT)

    try:
        signal.signal(signal.SIGTERM, leave)
    except ValueError:
        # Not settable in a subinterpreter.
        return
