"""`event_hook`: a user's function that is told what delivery goes through.

Threads: owns one daemon thread, which calls the function; nobody else waits for it. What it raises is
swallowed, and warned of once; when it is slow, events beyond a thousand are left out, and the next one
that gets through says how many (`left_out`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.diagnostics import Ledger
    from rundial.export.outcome import Outcome

logger = logging.getLogger("rundial")

MAX_WAITING = 1000


class Hook:
    """Tells a function of events, each a mapping with `event`, `run_id` and facts.

    Args:
        call: The user's function.
        run_id: The run that is spoken of.
    """

    def __init__(self, call: Callable[[dict[str, object]], object], run_id: str) -> None:
        self._call = call
        self._run_id = run_id
        self._waiting: SimpleQueue[dict[str, object] | None] = SimpleQueue()
        self._ring_evicted = self._spool_evicted = self._internal = 0
        self._has_failed = False
        self._has_raised = False
        self._left_out = 0
        self._thread = Thread(target=self._work, name="rundial-events", daemon=True)
        self._thread.start()

    def tell(self, event: str, **facts: object) -> None:
        """Tell of an event; never waits, never raises."""
        if self._waiting.qsize() >= MAX_WAITING:
            self._left_out += 1
            return
        if self._left_out:
            facts["left_out"], self._left_out = self._left_out, 0
        self._waiting.put({"event": event, "run_id": self._run_id, **facts})

    def on_outcome(self, lane: str, outcome: Outcome, *, is_spent: bool) -> None:
        """Tell what became of a request, where it was not simply taken."""
        # The sender has imported it; a run without one never comes here.
        from rundial.export.outcome import Partial, Pause, Reject, Retry, Split

        why = getattr(outcome, "why", None)
        if isinstance(outcome, (Retry, Pause)):
            self.tell("flush_failure", lane=lane, why=why)
        if isinstance(outcome, Retry):
            name = "retry_exhausted_pause" if is_spent else "retry_scheduled"
            self.tell(name, lane=lane, retry_after_seconds=outcome.after_s)
        if isinstance(outcome, Split):
            self.tell("spool_segment_split", lane=lane, why=why)
        if isinstance(outcome, Reject):
            self.tell("non_retryable_drop", lane=lane, why=why)
        if isinstance(outcome, Partial) and outcome.rejected_items:
            self.tell("non_retryable_drop", lane=lane, why=outcome.message, records=outcome.rejected_items)

    def look(self, ledger: Ledger, ring_evicted: Mapping[str, int], failure: Exception | None) -> None:
        """Tell what has been lost or has failed since the last look; on the encoder's thread."""
        accounts = ledger.signals().values()
        from_ring = sum(ring_evicted.values())
        evicted = sum(sum(account.evicted.values()) for account in accounts) - from_ring
        internal = sum(account.dropped.get("internal_error", 0) for account in accounts)
        if evicted > self._spool_evicted:
            self.tell("spool_eviction", records=evicted - self._spool_evicted)
        if from_ring > self._ring_evicted:
            self.tell("memory_backlog_eviction", records=from_ring - self._ring_evicted)
        if internal > self._internal:
            self.tell("worker_drop", records=internal - self._internal)
        if failure is not None and not self._has_failed:
            self.tell("spool_failure", why=str(failure))
        self._spool_evicted, self._ring_evicted, self._internal = evicted, from_ring, internal
        self._has_failed = failure is not None

    def close(self, timeout_s: float) -> None:
        """Wait a moment for what has been told, and end the thread."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while True:
            event = self._waiting.get()
            if event is None:
                return
            self._pass_on(event)

    def _pass_on(self, event: dict[str, Any]) -> None:
        try:
            self._call(event)
        except Exception as error:
            if not self._has_raised:
                self._has_raised = True
                logger.warning(
                    "event_hook raised; it is called again, and not warned of again", exc_info=error
                )
