"""Delivering what dead processes left: `rundial sync`, and the same in the background of a run.

Adopting is idempotent and may be killed at any point. Nothing of a live process is touched, and data
recorded for one server goes to no other unless the user says so.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rundial import profiles
from rundial.api import account, consolecount
from rundial.api.client import Client
from rundial.api.key import Key
from rundial.api.late import LateAnnouncement
from rundial.api.pipeline import make_sender
from rundial.api.target import RunSource, Target, said_headers
from rundial.errors import RundialError, RundialRequestError, SegmentCorruptError, SpoolLockedError
from rundial.export.outcome import Outcome, Pause
from rundial.export.sender import Sender
from rundial.logger import logger
from rundial.reasons import REASONS, SIGNALS
from rundial.recorder import place
from rundial.recorder.mapping import RingFile
from rundial.recorder.recovery import Recovered, recover
from rundial.spool.frame import NO_TOTALS
from rundial.spool.meta import Meta
from rundial.spool.spool import Spool, find, sweep

if TYPE_CHECKING:
    from rundial.artifacts.uploads import Uploads

REQUEST_TIMEOUT_S = 10.0
PATIENCE_S = 0.25


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What became of one instance's spool.

    Attributes:
        path: Its directory.
        run_id: Its run.
        delivered: Units delivered now, by signal.
        rejected: Units that the server refused for good now, by signal; copies of what it refused whole are
            kept in the spool directory, under `.rejected`.
        waiting: Units that stay, by signal.
        why: Why something stays, or was left alone; empty when nothing is left.
        is_live: A live process owns it and sends it by itself.
        is_refused: The server refuses the key.
        conflict: Why the run would not have been started as it was, had the server been asked, and what
            became of the data; empty when all is well.
    """

    path: Path
    run_id: str
    delivered: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    why: str = ""
    is_live: bool = False
    is_refused: bool = False
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, one result for each instance found."""

    results: Sequence[SyncResult]


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far a sync is with one instance's spool.

    Attributes:
        run_id: Its run.
        number: Which of the spools that were found it is, from 1.
        of: How many were found.
        answered: Units that the server has answered by now, of all signals and files.
        total: Units that waited at the beginning.
    """

    run_id: str
    number: int
    of: int
    answered: int
    total: int


OnProgress = Callable[[SyncProgress], None]


@dataclass(frozen=True, slots=True)
class _Order:
    """Where everything is to go, and until when."""

    endpoint: str | None
    api_key: str | None
    to: str | None
    end: float


def sync(
    directories: Sequence[Path],
    *,
    endpoint: str | None = None,
    api_key: str | None = None,
    to: str | None = None,
    timeout_s: float = 60.0,
    on_progress: OnProgress | None = None,
) -> SyncReport:
    """Adopt and deliver everything that dead processes left under some spool directories.

    Args:
        directories: Spool directories.
        endpoint: Where the server is now, if it has moved; it must be the same server.
        api_key: Key for `endpoint` or `to`. Without either it is not used: a spool names its own
            server, and a key from the environment must not go where a directory says. The key
            stored for that server is.
        to: Deliver there, also what was recorded for another server.
        timeout_s: Seconds in all.
        on_progress: Told, on the calling thread, as each spool is begun and while it is delivered.
    """
    order = _Order(endpoint, api_key, to, time.monotonic() + timeout_s)
    results: list[SyncResult] = []
    senders: dict[str, Sender] = {}
    try:
        for directory in directories:
            sweep(directory)
        paths = [path for directory in directories for path in find(directory)]
        for number, path in enumerate(paths, 1):
            meter = _Meter(on_progress, path.parent.name, number, len(paths))
            results.append(_sync_one(path, order, senders, meter))
        for directory in directories:
            remove_stray_rings(directory)
    finally:
        for sender in senders.values():
            sender.stop(1.0)
    return SyncReport(tuple(results))


def open_dead(path: Path) -> Spool:
    """Adopt a dead instance's spool and bring the rest of its ring into it.

    Raises:
        SpoolLockedError: Its process lives, or another adopter is at it.
        SpoolError: It is gone or cannot be understood.
        OSError: It cannot be read or written.
    """
    spool = Spool.adopt(path)
    try:
        if spool.meta.state == "open":
            _recover(spool)
    except BaseException:
        spool.close()
        raise
    return spool


def remove_stray_rings(root: Path) -> int:
    """Remove ring files that no instance refers to and no process owns; return how many."""
    referred = _open_ring_ids(root)
    removed = 0
    for path in root.glob("rundial-*.ring"):
        if path.stem.removeprefix("rundial-") in referred:
            continue
        try:
            ring = RingFile.adopt(path)
        except (RundialError, OSError):
            continue
        # Asked again under the lock: its owner may have died just after we looked.
        if ring.ring_id.hex() not in _open_ring_ids(root):
            ring.remove()
            removed += 1
        ring.close()
    return removed


def _recover(spool: Spool) -> None:
    meta = spool.meta
    ring, note = _ring_of(meta)
    resource = base64.b64decode(meta.resource_b64)
    recovered = None
    try:
        if ring is not None:
            takes_jobs = not meta.extra.get("is_mirror")
            recovered = recover(ring, meta.run_index, spool, resource, takes_jobs=takes_jobs)
        if not meta.extra.get("is_run", True):
            # Records of a program without a run: nobody waits for an account.
            spool.update_meta(state="closed", drops=_drops(spool, recovered))
            return
        evicted = recovered.evicted if recovered else {}
        beside = {signal: {"recorded": lost, "evicted": lost} for signal, lost in evicted.items()}
        drops = _drops(spool, recovered)
        if lines := consolecount.lost(spool.directory):
            drops["lines"]["queue_full"] = drops["lines"].get("queue_full", 0) + lines
            logger.warning(
                "run %s: %d lines of its console were not recorded before its process was killed; they are "
                "counted as queue_full",
                meta.run_id,
                lines,
            )
        spool.update_meta(drops=drops, extra={**meta.extra, account.BESIDE: beside, "note": note})
        account.tell(spool, resource, recovered.last_unix_ns if recovered else 0, is_dead=True)
    finally:
        if ring is not None:
            if meta.ring_id in _open_ring_ids(spool.path.parent.parent):
                ring.close()
            else:
                ring.remove()


def _ring_of(meta: Meta) -> tuple[RingFile | None, str]:
    if meta.ring_path is None:
        return None, "its ring was in memory; what had not reached the disk is lost"
    if meta.host_id != place.host_id():
        return None, f"its ring lies on another host ({meta.host_id}); run `rundial sync` there for the rest"
    try:
        ring = RingFile.adopt(Path(meta.ring_path))
    except FileNotFoundError:
        return None, "its ring is gone; what had not reached the disk is lost"
    except SegmentCorruptError as error:
        return None, str(error)
    if ring.ring_id.hex() != meta.ring_id:
        ring.close()
        return None, "its ring is gone; what had not reached the disk is lost"
    return ring, "" if ring.is_of_this_boot else "its ring is of an earlier boot and was read strictly"


def _drops(spool: Spool, recovered: Recovered | None) -> dict[str, dict[str, int]]:
    """The dead process's losses: from its ring, else as its last frames knew them."""
    if recovered is not None:
        drops = {signal: dict(counts) for signal, counts in recovered.dropped.items()}
        for name, failed in zip(SIGNALS, recovered.failed, strict=True):
            if failed:
                counts = drops[name]
                counts["internal_error"] = counts.get("internal_error", 0) + failed
        return drops
    found: dict[str, dict[str, int]] = {}
    for signal, lane in account.LANE_OF.items():
        totals = spool.lanes[lane].last.totals or NO_TOTALS
        found[signal] = {reason: count for reason, count in zip(REASONS, totals[1:], strict=True) if count}
    return found


def _open_ring_ids(root: Path) -> set[str]:
    from rundial.spool import meta as meta_file

    found: set[str] = set()
    for path in find(root):
        try:
            meta = meta_file.load(str(path))
        except (RundialError, OSError):
            continue
        if meta.state == "open":
            found.add(meta.ring_id)
    return found


class _Meter:
    """Tells how far one spool is.

    Args:
        on_progress: Is told; None where nobody wants to know.
        run_id: Of the spool.
        number: Which one it is.
        of: Of how many.
    """

    def __init__(self, on_progress: OnProgress | None, run_id: str, number: int, of: int) -> None:
        self._on_progress = on_progress
        self._run_id = run_id
        self._number = number
        self._of = of
        self._total: int | None = None

    def tell(self, spool: Spool) -> None:
        """Tell it, by what still waits."""
        if self._on_progress is None:
            return
        waiting = sum(_counted(spool, "waiting").values())
        # An account of losses may come on top meanwhile.
        self._total = max(waiting, self._total or 0)
        progress = SyncProgress(self._run_id, self._number, self._of, self._total - waiting, self._total)
        self._on_progress(progress)


def _sync_one(path: Path, order: _Order, senders: dict[str, Sender], meter: _Meter) -> SyncResult:
    run_id = path.parent.name
    try:
        spool = open_dead(path)
    except SpoolLockedError:
        return SyncResult(path, run_id, why="a live process owns it and sends it", is_live=True)
    except (RundialError, OSError) as error:
        return SyncResult(path, run_id, why=str(error))
    before = {fate: _counted(spool, fate) for fate in ("delivered", "rejected")}
    why, is_refused, conflicts = "", False, list[str]()
    try:
        target, why = _target(spool.meta, order.endpoint, order.api_key, order.to)
        if target is not None:
            meter.tell(spool)
            wait = _Wait(order.end, lambda: meter.tell(spool))
            why, is_refused = _deliver(spool, target, senders, wait, conflicts)
    finally:
        now = {fate: _difference(_counted(spool, fate), counts) for fate, counts in before.items()}
        waiting = _counted(spool, "waiting")
        if spool.is_empty() and account.is_told(spool):
            spool.remove()
        else:
            spool.close()
    return SyncResult(
        path,
        run_id,
        now["delivered"],
        now["rejected"],
        waiting,
        why,
        is_refused=is_refused,
        conflict="; ".join(conflicts),
    )


def _deliver(
    spool: Spool, target: Target, senders: dict[str, Sender], wait: _Wait, conflicts: list[str]
) -> tuple[str, bool]:
    """Send until all is answered or the time is over; return why something stays, and whether for the key."""
    sender = senders.get(target.origin)
    if sender is None:
        sender = senders[target.origin] = make_sender(REQUEST_TIMEOUT_S)
    refusals: list[Pause] = []

    def on_outcome(lane: str, outcome: Outcome) -> None:
        del lane
        if isinstance(outcome, Pause) and outcome.status in (401, 403):
            refusals.append(outcome)

    late = LateAnnouncement(spool.meta, target, timeout_s=REQUEST_TIMEOUT_S, on_conflict=conflicts.append)
    source = RunSource(
        spool.lanes,
        target,
        label=f"run {spool.meta.run_id}",
        on_outcome=on_outcome,
        announce=late.tell,
    )
    sender.add(source)
    uploads = uploads_of(spool, target, late.tell)
    resource = base64.b64decode(spool.meta.resource_b64)
    try:
        is_sent = _drain(sender, source, refusals, wait)
        has_files = uploads is not None and not refusals and not wait.until(uploads.delivered)
        is_done = (
            is_sent
            and account.tell_rest(spool, resource, lambda: _drain(sender, source, refusals, wait))
            and not has_files
        )
        report = sender.report(source)
    except (RundialError, OSError) as error:
        return f"all is delivered, but what was lost could not be told: {error}", False
    finally:
        sender.remove(source)
        if uploads is not None:
            uploads.stop(1.0)
    if is_done and spool.is_empty():
        # What was lost before it could be sent is settled, and has to be said all the same.
        return "; ".join(spool.journal.failures), False
    if refusals:
        return (
            f"{refusals[0].why}; give the key for {target.endpoint} with --endpoint and RUNDIAL_API_KEY",
            True,
        )
    if is_done and not target.takes_files:
        return f"files wait, and {target.endpoint} takes none: send them to a server with --to", False
    errors = [lane.last_error for lane in report.values() if lane.last_error]
    if uploads is not None and uploads.last_error:
        errors.append(uploads.last_error)
    return errors[0] if errors else "the time was over", False


def uploads_of(spool: Spool, target: Target, announce: Callable[[], None]) -> Uploads | None:
    """Return what sees to a dead process's files, None where none wait or nobody would take them."""
    if not target.takes_files or not spool.journal.counts().waiting:
        return None
    from rundial.api import uploading

    uploads = uploading.of_spool(spool, target, announce)
    uploads.wake()
    uploads.hurry()
    return uploads


@dataclass(frozen=True, slots=True)
class _Wait:
    """Waits until the time is over, and says now and then that it goes on."""

    end: float
    tick: Callable[[], None]

    def until(self, is_done: Callable[[float], bool], stops: Callable[[], bool] = lambda: False) -> bool:
        """Wait until it is done, which is given the seconds that it may take, or waiting is of no use."""
        while not stops():
            left_s = self.end - time.monotonic()
            if is_done(min(PATIENCE_S, max(0.0, left_s))):
                self.tick()
                return True
            if left_s <= 0:
                return False
            self.tick()
        return False


def _drain(sender: Sender, source: RunSource, refusals: list[Pause], wait: _Wait) -> bool:
    """Wait until all is answered; no longer than a moment once the key has been refused."""
    return wait.until(lambda left_s: sender.drain(left_s, source=source), lambda: bool(refusals))


def _target(
    meta: Meta, endpoint: str | None, api_key: str | None, to: str | None
) -> tuple[Target | None, str]:
    """Where a spool may go, or why it may not."""
    url = (to or endpoint or meta.endpoint).rstrip("/")
    key = (api_key if to or endpoint else None) or profiles.load().key_for(url)
    if to is not None:
        return Target(url, Key(key)), ""
    if meta.extra.get("is_plain_otlp"):
        return _collector(meta, url, key)
    server_id = _server_id(url)
    if meta.server_id and server_id and meta.server_id != server_id:
        return None, (
            f"recorded for server {meta.server_id}, but {url} is {server_id}; "
            f"send it there all the same with --to {url}"
        )
    if not meta.server_id and url != meta.endpoint.rstrip("/"):
        return None, f"recorded for {meta.endpoint}; send it to {url} with --to {url}"
    return Target(url, Key(key)), ""


def _collector(meta: Meta, url: str, key: str | None) -> tuple[Target | None, str]:
    """Where a spool that was meant for a Collector may go: to that one, by the lanes' own addresses."""
    if url != meta.endpoint.rstrip("/"):
        return None, f"recorded for the OTLP endpoint {meta.endpoint}; send it to {url} with --to {url}"
    # What the environment says of a Collector is for the one that it names, which the target sees to.
    try:
        headers = said_headers(url, os.environ)
    except ValueError as error:
        return None, f"RUNDIAL_OTLP_HEADERS {error}"
    target = Target.of_collector(url, Key(key), os.environ, headers)
    return target.with_urls(meta.lane_endpoints), ""


def _server_id(url: str) -> str | None:
    try:
        with Client(url, request_timeout_seconds=5.0) as client:
            found = client.health().get("serverId")
    except RundialRequestError:
        return None
    return found if isinstance(found, str) else None


def _counted(spool: Spool, name: str) -> dict[str, int]:
    lanes = {
        signal: int(getattr(spool.lanes[lane].counts(), name)) for signal, lane in account.LANE_OF.items()
    }
    return {**lanes, "artifacts": int(getattr(spool.journal.counts(), name))}


def _difference(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {signal: after[signal] - before[signal] for signal in after}
