"""How many alerts a run may raise, and what an alert's event says."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import RLock

from rundial.signals.records import cap_text

LEVELS = ("info", "warn", "error")
MAX_TITLE_CHARS = 256
WINDOW_S = 60.0
MAX_PER_WINDOW = 20


class AlertLimit:
    """Lets each title through once a minute, and all together at most 20 in a minute.

    Args:
        now_s: Monotonic seconds.

    Threads: any. Its lock is re-entrant, because a signal handler may raise an alert.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = RLock()
        self._taken: deque[tuple[float, str]] = deque()
        self._held_back = 0

    def admit(self, title: str) -> int | None:
        """Return how many alerts were held back since the last one, None to hold this one back too."""
        with self._lock:
            now = self._now_s()
            while self._taken and now - self._taken[0][0] >= WINDOW_S:
                self._taken.popleft()
            if len(self._taken) >= MAX_PER_WINDOW or any(known == title for _, known in self._taken):
                self._held_back += 1
                return None
            self._taken.append((now, title))
            held_back, self._held_back = self._held_back, 0
            return held_back


def body_of(title: object, text: object, level: str, held_back: int) -> dict[str, object]:
    """Return the body of an alert's event."""
    from rundial.signals.redaction import redact_text

    shown, original_bytes = cap_text(text)
    body: dict[str, object] = {
        "title": redact_text(cap_text(title)[0].decode()[:MAX_TITLE_CHARS]),
        "text": redact_text(shown.decode()),
        "level": level,
    }
    if original_bytes is not None:
        body["original_bytes"] = original_bytes
    if held_back:
        body["held_back"] = held_back
    return body
