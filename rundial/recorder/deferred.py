"""What is logged while its own thread is inside the ring: by a signal handler, finaliser or logging handler.

The interrupted call does it before it leaves. The ring's lock guards it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import wraps

from rundial.recorder.slots import RunSlot
from rundial.typed import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from rundial.recorder.ring import Ring

P = ParamSpec("P")
R = TypeVar("R")

# More than this from one interruption is refused.
MAX_DEFERRED = 1024

Action = tuple[Callable[..., bool], tuple[object, ...]]
# Slot, signal and reason.
Counter = tuple[RunSlot, int, int]


class Deferred:
    """Actions that wait for the interrupted call, and counts of those that there was no room for.

    Attributes:
        actions: What to do, oldest first.
        refused: Units to count.
    """

    __slots__ = ("actions", "refused")

    def __init__(self) -> None:
        self.actions: deque[Action] = deque()
        self.refused: dict[Counter, int] = {}

    def __bool__(self) -> bool:
        return bool(self.actions or self.refused)

    def put(self, action: Action, counter: Counter, units: int) -> bool:
        """Keep an action; return whether there was room."""
        if len(self.actions) < MAX_DEFERRED:
            self.actions.append(action)
            return True
        self.refused[counter] = self.refused.get(counter, 0) + units
        return False


def alone(method: Callable[Concatenate[Ring, P], R]) -> Callable[Concatenate[Ring, P], R]:
    """Have a method of the ring hold its lock as a call does: what its thread logs meanwhile is deferred.

    No context manager of Python's own code: an exception of a signal handler that strikes while one is
    entered leaves it half entered, and the lock held.
    """

    @wraps(method)
    def hold(ring: Ring, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with ring._lock:
            if ring._busy:
                return method(ring, *args, **kwargs)
            try:
                ring._busy = True
                return method(ring, *args, **kwargs)
            finally:
                ring._busy = False
                ring._drain_later()

    return hold
