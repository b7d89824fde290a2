"""The loop: spool → request → outcome → ack.

One daemon thread sends one request at a time and goes round all lanes of all its sources,
so a long backlog of one delays no other by more than a request. What the server says
decides (see `rundial.export.outcome`); nothing is ever given up but what a server refuses
for good. A server that hangs holds up this thread alone, until the request's deadline.

Threads: `add`, `remove`, `wake`, `drain`, `stop` and `report` from any thread. The thread
waits on a condition until something wakes it or the next backoff ends; idle, it sleeps.
After a crash: nothing here is remembered; the lanes' acks are. What was in flight is sent
again and the server recognises it.
"""

from __future__ import annotations

import threading
from random import Random
from typing import TYPE_CHECKING

from rundial.clock import Clock, SystemClock
from rundial.export.notices import Notices
from rundial.export.outcome import Outcome, Pause, Retry
from rundial.export.policy import FOR_EVER, Policy
from rundial.export.slot import LaneReport, Slot
from rundial.export.untraced import leave_untraced

if TYPE_CHECKING:
    from rundial.export.delivery import Delivery
    from rundial.export.source import Source, Splitter, Transport

# How much of stop()'s time a request under way may still use; the rest is for cutting it.
_GRACE = 0.5


class Sender:
    """Delivers the lanes of its sources, one request at a time.

    Args:
        transport: How requests leave; closed when the thread ends.
        split: Halves a plain request body, by lane name; None for a single item.
        timeout_s: Seconds that a request may take in all.
        clock: Time of the backoffs.
        rng: Spread of the backoffs.

    Threads: owns one daemon thread, started by the first `add`.
    """

    def __init__(
        self,
        transport: Transport,
        split: Splitter,
        *,
        timeout_s: float = 10.0,
        clock: Clock | None = None,
        rng: Random | None = None,
    ) -> None:
        self._transport = transport
        self._split = split
        self._timeout_s = timeout_s
        self._clock = clock or SystemClock()
        self._rng = rng or Random()  # spreads retries, guards nothing
        self._notices = Notices(self._clock)
        # Guards _slots, _wakes and _is_stopping; held for moments, never during I/O.
        self._condition = threading.Condition()
        self._slots: tuple[Slot, ...] = ()
        self._wakes = 0
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        # Guards the acks: remove(), drain() and an expired stop() must not fall into the middle of one.
        self._settling = threading.Lock()
        self._is_abandoned = False
        # Asked until it is: the program may load an instrumentation at any time.
        self._is_untraced = False

    def add(self, source: Source, *, policy: Policy | None = None) -> None:
        """Deliver a source's lanes from now on; starts the thread at the first."""
        slots = tuple(Slot(source, name, lane, policy or FOR_EVER) for name, lane in source.lanes.items())
        with self._condition:
            self._slots += slots
            if self._thread is None and not self._is_stopping:
                thread = threading.Thread(target=self._run, name="rundial-sender", daemon=True)
                thread.start()
                self._thread = thread
        self.wake()

    def remove(self, source: Source) -> None:
        """Leave a source alone: once this returns, none of its frames is acknowledged any more."""
        with self._settling:
            for slot in self._slots:
                slot.is_removed = slot.is_removed or slot.source is source
        with self._condition:
            self._slots = tuple(slot for slot in self._slots if not slot.is_removed)
            self._condition.notify_all()

    def wake(self, *, reset: bool = False) -> None:
        """Look for new frames.

        Args:
            reset: Also end every backoff and pause, and forget what was learnt about the
                server: a key or an endpoint has changed.
        """
        with self._condition:
            if reset:
                for slot in self._slots:
                    slot.forget = True
                    slot.try_now = True
            self._wakes += 1
            self._condition.notify_all()

    def drain(self, deadline_s: float, *, source: Source | None = None) -> bool:
        """Wait until every frame that waits now is answered.

        Lanes that back off or pause are tried at once, then go on backing off.

        Args:
            deadline_s: Seconds to wait at most.
            source: Only this one's frames; None means every source's.

        Returns:
            Whether all were answered in time; False comes at the deadline or with `stop`,
            not before.
        """
        with self._settling:
            goals = [
                (slot, slot.answered + slot.lane.waiting_frames)
                for slot in self._slots
                if source is None or slot.source is source
            ]
        with self._condition:
            for slot, _ in goals:
                slot.try_now = True
            self._wakes += 1
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._is_stopping or _are_reached(goals), deadline_s)
            return _are_reached(goals)

    def stop(self, timeout_s: float) -> bool:
        """End the thread; what is not answered stays in the spool.

        A request under way may use half of the time, then its connection is cut.

        Args:
            timeout_s: Seconds to wait at most.

        Returns:
            Whether the thread has ended. If not, it touches no lane any more.
        """
        with self._condition:
            self._is_stopping = True
            self._condition.notify_all()
        thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_s * _GRACE)
        if thread.is_alive():
            self._transport.abort()
            thread.join(timeout_s * (1 - _GRACE))
        with self._settling:
            self._is_abandoned = thread.is_alive()
        return not thread.is_alive()

    def report(self, source: Source) -> dict[str, LaneReport]:
        """Return how delivery of a source goes, by lane; empty for an unknown source."""
        return {slot.name: slot.report() for slot in self._slots if slot.source is source}

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                wakes = self._wakes
                is_busy = False
                for slot in self._slots:
                    is_busy |= self._visit(slot)
                if not is_busy:
                    self._sleep(wakes)
        finally:
            self._transport.close()

    def _sleep(self, wakes: int) -> None:
        """Wait for the next backoff's end, the next look at a refused key, or a wake after `wakes`."""
        now = self._clock.monotonic_s()
        with self._condition:
            if self._wakes != wakes or self._is_stopping:
                return
            dates = (slot.wakes_at_s(now) for slot in self._slots)
            due = min((date for date in dates if date is not None), default=None)
            self._condition.wait(None if due is None else min(due - now, threading.TIMEOUT_MAX))

    def _visit(self, slot: Slot) -> bool:
        """Make a lane's next request.

        Returns:
            Whether the lane may have more to send at once.
        """
        if self._is_stopping or slot.is_removed:
            return False
        try:
            if not slot.is_due(self._clock.monotonic_s()):
                return False
            slot.start()
            delivery = slot.current(self._split)
            if delivery is None:
                return False
            return self._advance(slot, delivery)
        except Exception as error:  # noqa: BLE001 # our bug or a failing disk must not end delivery
            self._interrupt(slot, error)
            return False

    def _advance(self, slot: Slot, delivery: Delivery) -> bool:
        if not delivery.is_answered:
            part = delivery.next_part()
            url, headers = slot.source.url(slot.name), dict(slot.source.headers(slot.name))
            slot.requests += 1
            slot.retries += slot.is_repeat
            slot.sent_bytes += len(part.body)
            self._is_untraced = self._is_untraced or leave_untraced()
            outcome = self._transport.post(
                url, part.body, is_gzip=part.is_gzip, headers=headers, timeout_s=self._timeout_s
            )
            is_moving = delivery.take(outcome)
            self._note(slot, outcome, url, headers, is_moving)
            if not is_moving:
                return False
        if delivery.is_answered:
            self._settle(slot, delivery)
        return True

    def _note(self, slot: Slot, outcome: Outcome, url: str, headers: dict[str, str], is_moving: bool) -> None:
        slot.note(outcome, is_moving)
        wait_s = 0.0
        if isinstance(outcome, (Retry, Pause)) and not is_moving:
            wait_s = slot.back_off(outcome, headers, self._clock.monotonic_s(), self._rng)
        # A request that stop() cut or that outlived its source is nobody's fault.
        if not (self._is_stopping or slot.is_removed or (is_moving and isinstance(outcome, Pause))):
            self._notices.outcome(slot.source.label, slot.name, url, outcome, wait_s)
            slot.source.on_outcome(slot.name, outcome)

    def _settle(self, slot: Slot, delivery: Delivery) -> None:
        with self._settling:
            if self._is_abandoned or slot.is_removed:
                return
            rejected = delivery.settle(slot.lane)
            slot.answered += 1
            slot.delivery = None
        if rejected:
            self._notices.refused(slot.source.label, slot.name, rejected)
        with self._condition:
            self._condition.notify_all()

    def _interrupt(self, slot: Slot, error: Exception) -> None:
        """Wait as after a lost request when the spool or our own code failed."""
        if slot.is_removed or self._is_stopping:
            return
        slot.failed += 1
        slot.last_error = f"interrupted: {getattr(error, 'strerror', None) or type(error).__name__}"
        now = self._clock.monotonic_s()
        wait_s = slot.back_off(Retry(None, slot.last_error), {}, now, self._rng)
        self._notices.broken(slot.source.label, slot.name, error, wait_s)


def _are_reached(goals: list[tuple[Slot, int]]) -> bool:
    return all(
        slot.is_removed or slot.answered >= goal or slot.lane.waiting_frames == 0 for slot, goal in goals
    )
