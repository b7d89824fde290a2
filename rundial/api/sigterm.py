"""SIGTERM as an orderly exit, where the program has no handler of its own."""

from __future__ import annotations

import threading

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from types import FrameType

    from rundial.api.session import Session

else:
    try:
        # What `signal` wraps. Around it there is an enumeration of its numbers, which costs a start 1 ms and
        # is not needed here.
        import _signal as signal
    except ImportError:
        import signal

TERMINATED_EXIT = 128 + signal.SIGTERM


def catch_sigterm(session: Session) -> None:
    """Make SIGTERM end the program as `sys.exit` does, so that its runs end too."""
    if session.catches_sigterm or threading.current_thread() is not threading.main_thread():
        return
    session.catches_sigterm = True
    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
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
