"""A few threads that work off things together; the first trouble ends it, and whoever waits is told.

Daemon threads, made for one piece of work: a store that hangs holds up no process's end.

Threads: the caller's works along; the others are named by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Lock, Thread
from typing import Generic, TypeVar

Thing = TypeVar("Thing")
Trouble = TypeVar("Trouble")


class Crew(Generic[Thing, Trouble]):
    """Works off things, in any order.

    Args:
        do: Does one; returns what came in the way, None for nothing.
        width: How many at a time.
        name: Of the threads beside the caller's.
    """

    def __init__(self, do: Callable[[Thing], Trouble | None], width: int, name: str) -> None:
        self._do = do
        self._width = width
        self._name = name
        # Guards the things, the trouble and the error.
        self._lock = Lock()
        self._left: Iterator[Thing] = iter(())
        self._ready: list[Thing] = []
        self._trouble: Trouble | None = None
        self._error: BaseException | None = None

    def work(self, things: Iterable[Thing]) -> Trouble | None:
        """Do everything; return what came in the way first. What is under way then is waited for.

        Raises:
            BaseException: What doing one of them raised first.
        """
        self._left = iter(things)
        # One thing needs no thread.
        self._ready = [each for each in (next(self._left, None), next(self._left, None)) if each is not None]
        count = self._width - 1 if len(self._ready) > 1 else 0
        helpers = [Thread(target=self._loop, name=self._name, daemon=True) for _ in range(count)]
        try:
            for helper in helpers:
                helper.start()
            self._loop()
        except BaseException as error:
            # The caller was interrupted: nobody works on behind its back.
            with self._lock:
                self._error = self._error or error
            raise
        finally:
            for helper in helpers:
                if helper.ident is not None:
                    helper.join()
        if self._error is not None:
            raise self._error
        return self._trouble

    def _next(self) -> Thing | None:
        with self._lock:
            if self._trouble is not None or self._error is not None:
                return None
            return self._ready.pop(0) if self._ready else next(self._left, None)

    def _loop(self) -> None:
        try:
            while (thing := self._next()) is not None:
                trouble = self._do(thing)
                if trouble is not None:
                    with self._lock:
                        self._trouble = self._trouble or trouble
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            with self._lock:
                self._error = self._error or error
