"""Telling the program's own exceptions from failures, where both may come up inside a call of ours.

A timeout that a program sets itself with `signal.alarm` may strike anywhere, also while we convert a
value whose code may raise anything. What a signal handler raises goes on its way, whatever it struck:
taken for the value's failure it would stop what it was meant to stop, and leave a record half made.
Exceptions that are none of `Exception`, such as KeyboardInterrupt, are caught nowhere in here.
"""

from __future__ import annotations

import functools
import threading
from types import CodeType, FunctionType, MethodType


def let_through(error: BaseException) -> None:
    """Raise an exception again that a signal handler of the program has raised; return for any other."""
    trace = error.__traceback__
    if trace is None or trace.tb_next is None:
        # Raised right where it was caught, by no function of Python's: the common case, and a cheap one.
        return
    if threading.current_thread() is not threading.main_thread():
        # No handler runs anywhere else.
        return
    import signal  # brings `enum` along, which no start waits for

    handlers = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    try:
        while trace is not None:
            if trace.tb_frame.f_code in handlers:
                raise error
            trace = trace.tb_next
    finally:
        # The traceback has this frame by now: with these in it, a circle that would keep what the
        # program's own frames hold, tensors perhaps, until the collector comes by.
        del error, trace


def _code_of(handler: object) -> CodeType | None:
    """The code that a signal handler begins with; None of what is no Python function."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if isinstance(handler, MethodType):
        handler = handler.__func__
    if not isinstance(handler, FunctionType):
        # An object whose class says what calling it does.
        handler = vars(type(handler)).get("__call__")
    return handler.__code__ if isinstance(handler, FunctionType) else None
