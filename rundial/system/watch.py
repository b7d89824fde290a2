"""One run under observation: when it is sampled, what becomes of a sample, what is counted.

The first sample comes one interval after the start, so that a short run has none, and a last one when
a run ends that was longer than that. A point's step is the number of its sample, and a sample that was
left out keeps its number: a gap in the steps is a gap in time. A resumed run goes on counting.

Threads: `act` is the sampler's; `end` and the counters are anybody's.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

from rundial.clock import Clock, SystemClock
from rundial.logger import logger
from rundial.signals import values
from rundial.system.readings import Source
from rundial.typed import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rundial.choices import Reason, Signal

# What is measured against a time before (CPU) needs one; taken so long before the first sample.
BASELINE_S = 1.0

Attributes = tuple[tuple[str, str], ...]


class PointSink(Protocol):
    """Takes rows of points; never waits."""

    def key_set(self, names: Sequence[str], attributes: Attributes) -> Any:
        """Return what rows of these names are packed with."""
        ...

    def row(self, keys: Any, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        """Offer one row; False when it was refused and counted."""
        ...

    def drop(self, signal: Signal, reason: Reason, units: int) -> None:
        """Count points that never became a row."""
        ...


class Watch:
    """The samples of one run.

    Args:
        sink: Where its points go.
        begin: Makes the run's source, on the sampler's thread, shortly before the first sample.
        interval_s: Seconds between two samples.
        is_pressed: Whether the run's own records need all the room there is.
        attributes: Attributes of every point.
        clock: Time of the samples.

    Attributes:
        first_step: Number of the first sample: where an earlier attempt of the run had got to. Set before
            the sampler has the watch.
        collected: Samples taken.
        skipped: Samples left out under pressure.
    """

    def __init__(
        self,
        sink: PointSink,
        begin: Callable[[], Source],
        *,
        interval_s: float,
        is_pressed: Callable[[], bool],
        attributes: Attributes = (),
        clock: Clock | None = None,
    ) -> None:
        self._sink = sink
        self._begin = begin
        self._interval_s = interval_s
        self._is_pressed = is_pressed
        self._attributes = attributes
        self._clock = clock or SystemClock()
        self._first_s = self._clock.monotonic_s() + interval_s
        self._due_s = self._first_s - min(BASELINE_S, interval_s / 2)
        self._source: Source | None = None
        self._has_failed = False
        self._is_ending = False
        self._is_over = False
        self._done = threading.Event()
        self._actor = 0
        # Guards the end: once `end` returns, no point of the run is offered any more.
        self._lock = threading.RLock()
        self.wake: Callable[[], None] = _nobody
        self.first_step = 0
        self.collected = 0
        self.skipped = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is to come."""
        return self._is_over

    @property
    def due_s(self) -> float:
        """When `act` wants to be called, in the clock's seconds."""
        return -math.inf if self._is_ending else self._due_s

    def act(self) -> None:
        """Do what is due; never raises."""
        self._actor = threading.get_ident()
        try:
            if self._source is None:
                self._source = self._begin()
                self._due_s = self._first_s
            else:
                self._sample(self._source)
                self._due_s += self._interval_s
                now = self._clock.monotonic_s()
                if self._due_s <= now:
                    # The machine was suspended: one sample stands for all that were missed.
                    self._due_s = now + self._interval_s
        except Exception as error:  # noqa: BLE001 - the provider is the user's, and the run goes on without
            self._tell(error)
        finally:
            self._actor = 0
            if self._is_ending:
                self.cancel()

    def end(self, timeout_s: float) -> None:
        """Have the last sample taken, if the run was long enough to have any, and stop.

        Args:
            timeout_s: Seconds to wait for it at most; without it the run ends without that sample.
        """
        is_long = self._clock.monotonic_s() > self._first_s and self._source is not None
        # A provider that ends its own run must not wait for itself.
        if is_long and not self._is_over and self._actor != threading.get_ident():
            self._is_ending = True
            self.wake()
            self._done.wait(timeout_s)
        self.cancel()
        self.wake()

    def cancel(self) -> None:
        """Stop at once."""
        with self._lock:
            self._is_over = True
        self._done.set()

    def _sample(self, source: Source) -> None:
        step = self.first_step + self.collected + self.skipped
        if self._is_pressed():
            self.skipped += 1
            return
        found = values.examine(source())
        with self._lock:
            if self._is_over:
                return
            self.collected += 1
            if found.names:
                keys = self._sink.key_set(found.names, self._attributes)
                self._sink.row(keys, keys.pack(*found.values), step)
            if found.non_finite:
                self._sink.drop("points", "non_finite", len(found.non_finite))
            if found.invalid:
                self._sink.drop("points", "invalid", len(found.invalid))

    def _tell(self, error: Exception) -> None:
        # An interval from now, not from when it was due: what failed is not tried in a hurry.
        self._due_s = self._clock.monotonic_s() + self._interval_s
        if not self._has_failed:
            self._has_failed = True
            logger.warning("system metrics: a sample failed; the run goes on without it", exc_info=error)


def _nobody() -> None:
    """What `wake` is before a sampler has the watch."""
