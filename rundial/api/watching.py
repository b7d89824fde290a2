"""The system metrics of this process's runs: which sources a run has, and when it is under pressure.

A forked child watches its own process only: the machine is its parent's too, and the parent goes on
sampling it. The child's points carry its `process.pid`, so that they are series of their own.

A fork waits a moment for the import of psutil or a sample that is under way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from rundial.api.quiet import Quiet
from rundial.settings import Settings
from rundial.signals import semconv
from rundial.system.sampler import Sampler
from rundial.system.watch import Attributes, Watch
from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from rundial.api.pipeline import Attached
    from rundial.recorder.ring import Ring
    from rundial.system.gpu import Gpus
    from rundial.system.owncost import Burden
    from rundial.system.readings import Readings, Source


class Watching:
    """The sampler of a process, and what its runs share of it.

    Args:
        ring: The process's ring.
        is_child: Whether the process was forked from one that watches the machine.
    """

    def __init__(self, ring: Ring, *, is_child: bool) -> None:
        self._ring = ring
        self._is_child = is_child
        self._sampler = Sampler()
        self._gpus: Gpus | None = None
        # Held while our sources are imported and read.
        self.quiet = Quiet()

    def watch(self, attached: Attached, settings: Settings, rank: int | None, *, first_step: int = 0) -> None:
        """Sample for a run until `attached.watch` ends, where its settings want that."""
        if not settings.system_metrics:
            return
        attributes: Attributes = () if rank is None else ((semconv.RANK, str(rank)),)
        if self._is_child:
            attributes += ((semconv.PROCESS_PID, str(os.getpid())),)
        attached.watch = Watch(
            attached.recorder,
            lambda: self._source(attached, settings),
            interval_s=settings.system_metrics_interval_seconds,
            is_pressed=_pressure(self._ring, attached, settings),
            attributes=attributes,
        )
        attached.watch.first_step = first_step
        self._sampler.add(attached.watch)

    def stop(self, timeout_s: float) -> None:
        """End the thread."""
        self._sampler.stop(timeout_s)

    def _source(self, attached: Attached, settings: Settings) -> Source:
        if settings.system_metrics_provider is not None:
            # Not under the lock: a provider may take as long as it likes, and may fork.
            return settings.system_metrics_provider
        with self.quiet:
            readings = self._readings(attached, settings)

        def read() -> Mapping[str, object]:
            with self.quiet:
                return readings()

        return read

    def _readings(self, attached: Attached, settings: Settings) -> Readings:
        # psutil and NVML are imported on the sampler's thread, by runs that live long enough to be sampled.
        from rundial.system.gpu import Gpus
        from rundial.system.host import Host
        from rundial.system.owncost import OwnCost
        from rundial.system.process import ThisProcess
        from rundial.system.readings import Readings

        own = [ThisProcess().read, OwnCost(lambda: _burden(self._ring, attached)).read]
        if self._is_child:
            return Readings(own)
        self._gpus = self._gpus or Gpus()
        return Readings([*Host(settings.spool_directory).sources, *own, self._gpus.read])


def _pressure(ring: Ring, attached: Attached, settings: Settings) -> Callable[[], bool]:
    threshold = settings.system_metrics_backpressure_threshold

    def is_pressed() -> bool:
        waiting = sum(lane.waiting_bytes for lane in attached.spool.lanes.values())
        return max(ring.filled, waiting / settings.spool_max_bytes) >= threshold

    return is_pressed


def _burden(ring: Ring, attached: Attached) -> Burden:
    from rundial.system.owncost import Burden

    lanes = [lane.counts() for lane in attached.spool.lanes.values()]
    sender, source = attached.sender, attached.source
    reports = [] if sender is None or source is None else sender.report(source).values()
    return Burden(
        ring_filled=ring.filled,
        queue_depth=sum(account.waiting_ring for account in attached.recorder.ledger().signals().values()),
        spool_bytes=sum(lane.waiting_bytes for lane in lanes),
        written_bytes=sum(lane.written_bytes for lane in lanes),
        sent_bytes=sum(report.sent_bytes for report in reports),
    )
