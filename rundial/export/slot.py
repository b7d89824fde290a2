"""A lane at the sender: its frame on its way, when it is next due, what it has counted.

Lanes know nothing of each other: a pause of one stops no other.

Threads: the sender's, but for `try_now` and `is_removed`, single stores that any thread
may make, and the counters, which any thread may read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rundial.export.backoff import pause_s, schedule
from rundial.export.delivery import Delivery, Habits
from rundial.export.outcome import Pause, Retry
from rundial.export.policy import FOR_EVER, Policy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from rundial.export.outcome import Outcome
    from rundial.export.source import FrameSource, Source, Splitter


# How often a lane that was refused looks whether its key has changed: a key may be stored by another
# process, which nobody tells of.
LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class LaneReport:
    """How delivery of one lane goes.

    Attributes:
        requests: Requests made.
        retries: Requests that repeated one before.
        failed: Requests that were not accepted, whatever became of them later.
        last_error: What went wrong last, without secrets; None when the last answer was an accept.
        is_paused: Whether only a change of key, endpoint or server helps, or its attempts are used up.
        sent_bytes: Bytes of request bodies, repeated ones included, whatever became of them.
    """

    requests: int
    retries: int
    failed: int
    last_error: str | None
    is_paused: bool
    sent_bytes: int


@dataclass(slots=True, eq=False)
class Slot:
    """One lane of one source, as the sender keeps it."""

    source: Source
    name: str
    lane: FrameSource
    policy: Policy = FOR_EVER
    habits: Habits = field(default_factory=Habits)
    delivery: Delivery | None = None
    due_s: float = 0.0
    attempt: int = 0
    pauses: int = 0
    refused_headers: Mapping[str, str] | None = None
    try_now: bool = False
    forget: bool = False
    is_removed: bool = False
    is_repeat: bool = False
    requests: int = 0
    retries: int = 0
    failed: int = 0
    sent_bytes: int = 0
    answered: int = 0
    last_error: str | None = None

    def report(self) -> LaneReport:
        """Return the counters as they stand; any thread."""
        return LaneReport(
            self.requests, self.retries, self.failed, self.last_error, self.is_paused, self.sent_bytes
        )

    @property
    def is_paused(self) -> bool:
        """Whether the lane waits for somebody to do something."""
        return self.pauses > 0 or self.due_s == math.inf

    def is_due(self, now_s: float) -> bool:
        """Whether the lane may make a request now."""
        if self.try_now or now_s >= self.due_s:
            return True
        return (
            self.refused_headers is not None and dict(self.source.headers(self.name)) != self.refused_headers
        )

    def wakes_at_s(self, now_s: float) -> float | None:
        """Return when to see to the lane again without being asked; None when it is due or has no date."""
        if self.due_s <= now_s:
            # Due and not sent: it has nothing to send.
            return None
        return self.due_s if self.refused_headers is None else min(self.due_s, now_s + LOOK_S)

    def start(self) -> None:
        """Take note that a visit begins; what asks for haste from now on counts for the next one."""
        if self.try_now:
            self.try_now = False
            self.attempt = 0
            self.pauses = 0
        if self.forget:
            self.forget = False
            self.habits = Habits()
            self.delivery = None

    def current(self, split: Splitter) -> Delivery | None:
        """Return the delivery of the lane's oldest frame; None when nothing waits."""
        found = self.lane.peek()
        if found is None:
            self.delivery = None
            return None
        if self.delivery is None or self.delivery.cursor != found[0]:
            # Another cursor than before: the frame on its way was evicted, and counted there.
            self.delivery = Delivery(self.name, found, self.habits, split)
        return self.delivery

    def note(self, outcome: Outcome, is_moving: bool) -> None:
        """Count an outcome and forget or lengthen the backoff."""
        self.refused_headers = None
        if isinstance(outcome, (Retry, Pause)) and not is_moving:
            self.failed += 1
            self.last_error = outcome.why
            return
        self.attempt = self.pauses = 0
        self.due_s = 0.0
        self.is_repeat = False
        why = getattr(outcome, "why", None)
        if why is None:
            self.last_error = None
        else:
            self.failed += 1
            self.last_error = why

    def back_off(
        self, outcome: Retry | Pause, headers: Mapping[str, str], now_s: float, rng: Random
    ) -> float:
        """Set when the lane is due again.

        Returns:
            Seconds until then.
        """
        self.is_repeat = True
        if isinstance(outcome, Pause):
            self.attempt = 0
            self.pauses += 1
            self.refused_headers = headers
            wait = pause_s(self.pauses)
        else:
            self.pauses = 0
            self.attempt += 1
            wait = schedule(self.attempt, outcome.after_s, rng, self.policy)
        self.due_s = now_s + wait
        return wait
