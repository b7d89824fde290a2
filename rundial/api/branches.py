"""Further places that get a whole run: OTLP endpoints beside the first, and exporters of OpenTelemetry's.

Each has a spool, a ledger, notices and, for each origin, a sender of its own, so one that is away holds up
neither the run nor the others. An endpoint's spool is on disk beside the run's, and whoever comes later
delivers it; an exporter lives in this process, and so does what waits for it.

Threads: made and closed on the caller of `init` and `finish`.
"""

from __future__ import annotations

import os
import time
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, Any

from rundial.api import account
from rundial.api.key import Key
from rundial.api.target import RunSource, Target, collector_of
from rundial.diagnostics import Ledger, PlaceLedger, SignalLedger
from rundial.errors import RundialError
from rundial.recorder.mirror import Mirror
from rundial.spool.spool import Spool
from rundial.value import changed

if TYPE_CHECKING:
    from rundial.api.pipeline import Attached, Pipeline
    from rundial.export.policy import Policy
    from rundial.export.sender import Sender
    from rundial.settings import Settings

# How long an exporter that hangs is waited for at the end.
STOP_S = 0.2
EXPORTER_BYTES = 64 << 20


class Branch:
    """One further place.

    Args:
        name: What people call it: a URL, or the exporter's class.
        mirror: Its spool.

    Attributes:
        source: What the sender asks; None offline.
        sender: Who sends it; None offline.
    """

    def __init__(self, name: str, mirror: Mirror) -> None:
        self.name = name
        self.mirror = mirror
        self.source: RunSource | None = None
        self.sender: Sender | None = None
        self._ends_sender = False
        self._policy: Policy | None = None
        # A directory that goes with the process; empty where it stays.
        self._volatile = ""

    @classmethod
    def to_endpoint(cls, endpoint: str, attached: Attached, settings: Settings, number: int) -> Branch:
        """Return the branch of an OTLP endpoint; nothing is sent yet."""
        # The run's key is its server's, and goes nowhere else.
        target = collector_of(settings, endpoint, Key(None))
        meta = attached.spool.meta
        meta = changed(
            meta,
            instance_id=f"{meta.instance_id}.{number}",
            endpoint=endpoint,
            lane_endpoints=target.lane_urls,
            server_id=None,
            extra={**meta.extra, "announced": True, "is_plain_otlp": True, "is_mirror": True},
        )
        branch = cls(
            endpoint, Mirror(_spool(settings.spool_directory, meta, attached), lambda: branch.wake())
        )
        branch.source = RunSource(branch.mirror.spool.lanes, target, label=f"run {meta.run_id} to {endpoint}")
        return branch

    @classmethod
    def to_exporter(cls, exporter: Any, attached: Attached, number: int) -> Branch:
        """Return the branch of an exporter object; nothing is sent yet."""
        from rundial.api import volatile
        from rundial.export.exporter import ExporterTransport, lanes_of
        from rundial.export.sender import Sender
        from rundial.signals import otelobjects
        from rundial.signals.split import split_request

        name = type(exporter).__name__
        root = volatile.make()
        meta = attached.spool.meta
        meta = changed(meta, instance_id=f"{meta.instance_id}.{number}", endpoint="", server_id=None)
        spool = _spool(root, meta, attached, max_bytes=EXPORTER_BYTES)
        lanes = lanes_of(exporter)
        branch = cls(name, Mirror(spool, lambda: branch.wake(), lanes=lanes))
        branch._volatile = root
        branch._ends_sender = True
        target = Target("", Key(None), urls={lane: f"{name}:{lane}" for lane in spool.lanes})
        branch.source = RunSource(spool.lanes, target, label=f"run {meta.run_id} to {name}")
        branch.sender = Sender(ExporterTransport(exporter, otelobjects.decode), split_request)
        return branch

    @property
    def is_endpoint(self) -> bool:
        """Whether what waits for it may be left to a later process."""
        return not self._volatile

    def begin(self, pipeline: Pipeline, settings: Settings, policy: Policy) -> None:
        """Send it from now on."""
        if self.source is None:
            return
        self._policy = policy
        self.sender = self.sender or pipeline.sender(self.source.target, settings)
        self.sender.add(self.source, policy=policy)

    def remake(self, pass_lock: RLock) -> None:
        """Go on in a new spool where somebody deleted the directory; on the encoder's thread."""
        old = self.mirror.spool
        if old.exists():
            return
        root = os.path.dirname(os.path.dirname(old.directory))
        limits = old.limits
        fresh = Spool.create(
            root,
            old.meta,
            max_bytes=limits.max_bytes,
            max_age_s=limits.max_age_s,
            durability=limits.durability,
        )
        source, sender = self.source, self.sender
        if sender is not None and source is not None:
            sender.remove(source)
        with pass_lock:
            self.mirror.move_to(fresh)
        old.close()
        if source is not None:
            self.source = RunSource(fresh.lanes, source.target, label=source.label)
            if sender is not None:
                sender.add(self.source, policy=self._policy)

    def wake(self) -> None:
        """Have the sender look."""
        if self.sender is not None:
            self.sender.wake()

    def drain(self, deadline_s: float) -> bool:
        """Wait until all of it is answered; offline, nothing."""
        if self.sender is None or self.source is None:
            return True
        return self.sender.drain(deadline_s, source=self.source)

    def settle(self, ledger: Ledger, told: Mapping[str, Any]) -> None:
        """Say on disk that the run has written its last frame, and what was lost before it came here."""
        spool = self.mirror.spool
        own = self.ledger(ledger)
        beside = {}
        for signal, lane in account.LANE_OF.items():
            here = spool.lanes[lane].counts().evicted
            lost = sum(own.signals()[signal].evicted.values()) - sum(here.values())
            delivered, rejected, _ = self.mirror.carried[lane]
            recorded = delivered + rejected + lost
            beside[signal] = {"recorded": recorded, "evicted": lost, "rejected": rejected}
        drops = {name: each.dropped for name, each in ledger.signals().items()}
        with suppress(RundialError, OSError):
            spool.update_meta(state="closed", drops=drops, extra={**spool.meta.extra, account.BESIDE: beside})
            told = {**told, "artifacts": account.of(spool)["artifacts"]}
            spool.update_meta(extra={**spool.meta.extra, account.TOLD: told})

    def tell_rest(self, end: float) -> bool:
        """Tell the endpoint what it refused or its spool gave up since the run's own account."""
        if self.sender is None or self._volatile:
            return True
        spool = self.mirror.spool
        resource = a2b_base64(spool.meta.resource_b64)
        try:
            return account.tell_rest(spool, resource, lambda: self.drain(max(0.0, end - time.monotonic())))
        except (RundialError, OSError):
            return False

    def close(self) -> None:
        """Let go; what is answered leaves nothing on disk, and the rest of an endpoint's waits there."""
        spool = self.mirror.spool
        if self.sender is not None and self.source is not None:
            self.sender.remove(self.source)
        if self._ends_sender and self.sender is not None:
            self.sender.stop(STOP_S)
        with suppress(RundialError, OSError):
            # Before a run has written its last frame the ring holds the rest, which is for this place, too.
            is_settled = spool.meta.state == "closed"
            if self.sender is not None and is_settled and spool.exists() and spool.is_empty():
                spool.remove()
        spool.close()
        if self._volatile:
            from rundial.api import volatile

            volatile.remove(self._volatile)

    def waiting(self) -> int:
        """Points, lines and spans without an answer."""
        return sum(lane.waiting_units for lane in self.mirror.spool.lanes.values())

    def ledger(self, of_run: Ledger) -> PlaceLedger:
        """Return the account of this place, which begins where the run's own does."""
        accounts = {
            signal: self._account(of_run.signals()[signal], lane) for signal, lane in account.LANE_OF.items()
        }
        sender, source = self.sender, self.source
        reports = list(sender.report(source).values()) if sender is not None and source is not None else []
        error = next((report.last_error for report in reports if report.last_error), None)
        return PlaceLedger(**accounts, place=self.name, last_error=error)

    def _account(self, run: SignalLedger, lane: str) -> SignalLedger:
        counts = self.mirror.spool.lanes[lane].counts()
        delivered, rejected, gone = self.mirror.carried[lane]
        delivered, rejected = delivered + counts.delivered, rejected + counts.rejected
        evicted = dict(counts.evicted)
        if gone:
            evicted["internal_error"] = evicted.get("internal_error", 0) + gone
        unwanted = not self.mirror.wants(lane)
        settled = delivered + rejected + sum(evicted.values()) + counts.waiting
        # What the ring gave up before anybody could have it, or this spool had no room for.
        lost = 0 if unwanted else run.recorded - run.waiting_ring - settled
        if lost:
            evicted["spool_full"] = evicted.get("spool_full", 0) + lost
        return SignalLedger(
            recorded=0 if unwanted else run.recorded,
            dropped={} if unwanted else run.dropped,
            delivered=delivered,
            rejected=rejected,
            evicted={reason: count for reason, count in evicted.items() if count},
            waiting_ring=0 if unwanted else run.waiting_ring,
            waiting_spool=counts.waiting,
        )


def open_all(attached: Attached, settings: Settings) -> list[Branch]:
    """Return a run's branches; its encoder writes into them from now on.

    Raises:
        SpoolError: A spool directory cannot be used.
        OSError: As above.
    """
    branches: list[Branch] = []
    first = 1 if settings.is_plain_otlp else 0
    for endpoint in settings.otlp_endpoint[first:]:
        branches.append(Branch.to_endpoint(endpoint, attached, settings, len(branches) + 1))
    if settings.mode == "online":
        for exporter in settings.exporters:
            branches.append(Branch.to_exporter(exporter, attached, len(branches) + 1))
    attached.run_encoder.mirrors = [branch.mirror for branch in branches]
    return branches


def drained(branches: list[Branch], end: float, main: Callable[[], bool]) -> bool:
    """Wait for all places at once: each is told to hurry before one of them is waited for."""
    for branch in branches:
        branch.drain(0.0)
    is_done = main()
    for branch in branches:
        is_done &= branch.drain(max(0.0, end - time.monotonic()))
    return is_done


def _spool(root: str, meta: Any, attached: Attached, *, max_bytes: int | None = None) -> Spool:
    limits = attached.spool.limits
    return Spool.create(
        root,
        meta,
        max_bytes=max_bytes or limits.max_bytes,
        max_age_s=limits.max_age_s,
        durability=limits.durability,
    )
