"""What a run counts by itself: entries that never became records, and what users are told of them."""

from __future__ import annotations

from threading import Lock

from rundial.api.guard import warn_user
from rundial.errors import RecordDroppedError

# Beyond this many keys a warning each would be a log storm of our own.
MAX_WARNED_KEYS = 1000
# The published client kept 31 keys and put the rest under one name; we keep more, and stay bounded.
MAX_COUNTED_KEYS = 1000
OTHER_KEYS = "__other__"


class Tally:
    """Counts of one run, exact on return of the call that changed them.

    Threads: any; its lock is held for a dictionary update.

    Args:
        strict: Raise on every loss.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._lock = Lock()
        self._warned: set[tuple[str, str]] = set()
        self.non_finite: dict[str, int] = {}
        self.lines_truncated = 0
        self.lines_invalid = 0
        self.out_of_order_steps = 0
        self.config_truncations = 0

    def count_non_finite(self, key: str) -> None:
        """Count a NaN or infinity, and warn the first time for its key."""
        with self._lock:
            name = key if key in self.non_finite or len(self.non_finite) < MAX_COUNTED_KEYS else OTHER_KEYS
            self.non_finite[name] = self.non_finite.get(name, 0) + 1
        self.lost(
            "non_finite",
            key,
            f"metric {key!r} is NaN or infinite; such points are dropped and counted in "
            "run.diagnostics().non_finite_dropped, the other entries of the call are kept",
        )

    def count_line(self, *, truncated: bool = False, invalid: bool = False) -> None:
        """Count a text line that was cut or refused."""
        with self._lock:
            self.lines_truncated += truncated
            self.lines_invalid += invalid

    def count_out_of_order(self) -> None:
        """Count an explicit step below the highest one seen; its points are kept."""
        with self._lock:
            self.out_of_order_steps += 1

    def count_config(self, changes: int) -> None:
        """Count values of a config or summary that could not be kept as they were."""
        with self._lock:
            self.config_truncations += changes

    def lost(self, reason: str, key: str, message: str) -> None:
        """Tell the user once per key that something is dropped; raise in strict mode.

        Raises:
            RecordDroppedError: In strict mode, every time.
        """
        if self._strict:
            raise RecordDroppedError(reason, message)
        self.tell(reason, key, message)

    def tell(self, reason: str, key: str, message: str) -> None:
        """Tell the user once per key; never raises."""
        with self._lock:
            is_new = (reason, key) not in self._warned and len(self._warned) < MAX_WARNED_KEYS
            if is_new:
                self._warned.add((reason, key))
        if is_new:
            warn_user(message)
