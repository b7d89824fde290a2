"""One run's way into the ring: what the public run API hands its records to.

Threads: any. Nothing here does I/O or waits for anything but the ring's lock.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from threading import RLock

from rundial import plainjson
from rundial.recorder import counters
from rundial.recorder.encoder import Encoder
from rundial.recorder.keysets import Attributes, KeyReader, KeySet, KeySets
from rundial.recorder.layout import SIGNAL_INDEX, Kind
from rundial.recorder.ring import Ring
from rundial.recorder.runencoder import RunEncoder
from rundial.recorder.slots import RunSlot
from rundial.signals import records
from rundial.typed import TYPE_CHECKING, cast
from rundial.value import value

if TYPE_CHECKING:
    from rundial.choices import Reason, Signal
    from rundial.diagnostics import Ledger, SignalLedger
    from rundial.recorder.made import Made, MadeStore

# Explicit times carry a counter below the millisecond, odd where the clock's own times are even, so
# that two points which a user stamped alike are still two points.
_EXPLICIT = itertools.count(1, 2)
_MS = 1_000_000
# A program that names files without end must not fill a disk with their names.
MAX_JOBS = 100_000
MAX_NOTED = 4096
_REQUESTS = {"points": Kind.POINT_REQUEST, "lines": Kind.LOG_REQUEST, "spans": Kind.SPAN_REQUEST}
LANE_OF = {"points": "metrics", "lines": "logs", "spans": "traces"}


def explicit_unix_ns(time_ms: int) -> int:
    """Return a unique odd time for a user's own milliseconds since the Unix epoch."""
    return time_ms * _MS + next(_EXPLICIT) % _MS


# Its type lets nobody change it.
_NONE: Mapping[str, int] = {}


@value
class Carried:
    """What a lane of a lost spool had counted.

    Attributes:
        delivered: Units that a server took.
        rejected: Units that a server refused.
        evicted: Units lost on disk, by reason.
    """

    delivered: int = 0
    rejected: int = 0
    evicted: Mapping[str, int] = _NONE


class RunRecorder:
    """Records for one run; see `rundial.api.run.Sink` for who calls it.

    Args:
        ring: The process's ring.
        slot: The run's slot in it.
        keysets: The process's key sets.
        encoder: The process's encoder.
        run_encoder: The encoder's side of this run.
        capacity: Most points, lines and spans that may be in the ring at a time, beside its bytes; a
            record that would be more is refused and counted `queue_full`. None sets no bound.
    """

    row: Callable[..., bool]
    slot: RunSlot

    def __init__(
        self,
        ring: Ring,
        slot: RunSlot,
        keysets: KeySets,
        *,
        encoder: Encoder,
        run_encoder: RunEncoder,
        capacity: int | None = None,
    ) -> None:
        self._ring = ring
        self.slot = slot
        self._keysets = keysets
        self._encoder = encoder
        self._run = run_encoder
        self._carried: dict[str, Carried] = {}
        self._final: tuple[dict[str, dict[str, int]], dict[str, int]] | None = None
        self._capacity = capacity
        self._made: MadeStore | None = None
        self._noted: dict[str, float] = {}
        # Guards the count of what is in the ring against another thread's record.
        self._counting = RLock()
        self._write_row = ring.row_writer(slot)
        self.row = self._write_row if capacity is None else self._row_within

    def key_set(self, names: Sequence[str], attributes: Attributes) -> KeySet:
        """Return what rows of these names are packed with."""
        return self._keysets.get(names, attributes)

    def explicit_unix_ns(self, time_ms: int) -> int:
        """Return a unique time for a user's own milliseconds."""
        return explicit_unix_ns(time_ms)

    def text(self, body: bytes, time_ms: int | None = None) -> bool:
        """Offer one text line, packed by `records.pack_text`."""
        explicit = 0 if time_ms is None else explicit_unix_ns(time_ms)
        if self._capacity is None:
            return self._ring.record(Kind.TEXT, self.slot, body, signal="lines", explicit_ns=explicit)
        with self._counting:
            return self._has_room("lines", 1) and self._ring.record(
                Kind.TEXT, self.slot, body, signal="lines", explicit_ns=explicit
            )

    def event(self, name: str, body: Mapping[str, object]) -> bool:
        """Offer one event in the life of the run."""
        return self._ring.record(Kind.EVENT, self.slot, records.pack_event(name, body))

    def result(self, name: str, body: Mapping[str, object]) -> bool:
        """Offer one event that is a unit of the ledger, among the lines: a result."""
        packed = records.pack_event(name, body)
        if self._capacity is None:
            return self._ring.record(Kind.RESULT, self.slot, packed, signal="lines")
        with self._counting:
            return self._has_room("lines", 1) and self._ring.record(
                Kind.RESULT, self.slot, packed, signal="lines"
            )

    @property
    def made(self) -> MadeStore:
        """What waits in memory for a file of its own."""
        if self._made is None:
            from rundial.recorder.made import MadeStore

            with self._counting:
                self._made = self._made or MadeStore()
            self._run.on_gone = self._made.take
        return self._made

    def job(self, job: Mapping[str, object], made: Made | None = None, size: int = 0) -> bool:
        """Offer a file, a directory, or something made of which a file is still to be written.

        Args:
            job: JSON, with a `token` of its own.
            made: What writes the file; None where it is there.
            size: Bytes that `made` holds in memory.

        Returns:
            Whether it was accepted; a refused one is counted.
        """
        body = plainjson.dumps(job).encode()
        token = str(job["token"])
        is_full = self._run.spool.waiting_jobs >= MAX_JOBS
        if is_full or (made is not None and not self.made.put(token, made, size)):
            self._ring.drop(self.slot, "artifacts", "queue_full", 1)
            return False
        is_taken = self._ring.record(Kind.JOB, self.slot, body, signal="artifacts")
        if made is not None and not is_taken:
            self.made.take(token)
        return is_taken

    def span_start(self, span: records.SpanData | bytes) -> bool:
        """Offer a span that has begun, packed or not, so that a crash leaves a trace of it."""
        body = span if type(span) is bytes else records.pack_span(cast("records.SpanData", span))
        return self._ring.record(Kind.SPAN_START, self.slot, body)

    def span_end(self, span: records.SpanData | bytes) -> bool:
        """Offer a span that has ended, packed or not."""
        body = span if type(span) is bytes else records.pack_span(cast("records.SpanData", span))
        if self._capacity is None:
            return self._ring.record(Kind.SPAN_END, self.slot, body, signal="spans")
        with self._counting:
            return self._has_room("spans", 1) and self._ring.record(
                Kind.SPAN_END, self.slot, body, signal="spans"
            )

    def request(self, signal: Signal, body: bytes) -> bool:
        """Offer a whole OTLP request of one point, log record or span."""
        return self._ring.record(_REQUESTS[signal], self.slot, body, signal=signal)

    def data_point(self, scope: bytes, latest: Mapping[str, float]) -> bool:
        """Offer one data point of OpenTelemetry's metrics, as a ScopeMetrics message.

        Args:
            scope: The message.
            latest: What it says as a number, by the metric's name, where it has no context.
        """
        with self._counting:
            # Names that a program makes up without end must not fill memory.
            if len(self._noted) < MAX_NOTED or self._noted.keys() >= latest.keys():
                self._noted.update(latest)
            has_room = self._capacity is None or self._has_room("points", 1)
            return has_room and self._ring.record(Kind.DATA_POINT, self.slot, scope, signal="points")

    def _row_within(self, keys: KeySet, body: bytes, step: int, explicit_ns: int = 0) -> bool:
        with self._counting:
            return self._has_room("points", keys.size) and self._write_row(keys, body, step, explicit_ns)

    def _has_room(self, signal: Signal, units: int) -> bool:
        """Whether the capacity allows so many more units; counts them lost if not."""
        assert self._capacity is not None
        evicted = counters.evicted(self._ring.file.words, self.slot.index)
        gone = (self._run.encoded, self._run.failed, self._run.drift, evicted.values())
        waiting = sum(self.slot.accepted) - sum(map(sum, gone))
        if waiting + units <= self._capacity or self.slot.is_closed:
            return True
        self._ring.drop(self.slot, signal, "queue_full", units)
        return False

    def drop(self, signal: Signal, reason: Reason, units: int) -> None:
        """Count units that never entered the ring."""
        self._ring.drop(self.slot, signal, reason, units)

    def latest(self) -> dict[str, float]:
        """Return the last value of each metric that was logged without a context.

        Waits for an encoder's pass that is under way, and reads what waits in the ring.
        """
        from rundial.recorder.latest import Latest
        from rundial.recorder.scan import scan

        with self._encoder.pass_lock:
            found = Latest() if self._run.latest is None else self._run.latest.copy()
            if self._final is not None:
                return {**self._noted, **found.values()}  # the slot may be another run's by now
            keys = KeyReader()
            # The ring gives nothing back while we hold the lock, and a row that waits in it brings its
            # key set along.
            for record in scan(self._ring.file, self._ring.tail, self._ring.head):
                if record.kind == Kind.KEYS:
                    keys.define(record)
                elif record.kind == Kind.ROW and record.run == self.slot.index:
                    found.note(*keys.row(record))
        return {**self._noted, **found.values()}

    def ledger(self) -> Ledger:
        """Return the exact account; waits for an encoder's pass that is under way.

        One who has interrupted a call of the ring on its own thread cannot wait, for the pass may be
        waiting for that call: what is under way at that moment is missing from the account.
        """
        if self.is_interrupting:
            return self._account_of_all()
        with self._encoder.pass_lock:
            return self._account_of_all()

    @property
    def is_interrupting(self) -> bool:
        """Whether this thread is in the middle of a call of the ring, which a pass may wait for."""
        return self._ring.is_inside

    def _account_of_all(self) -> Ledger:
        from rundial.diagnostics import Ledger

        dropped, evicted = self._final or self._counted()
        accounts = {
            signal: self._account(signal, lane, dropped[signal], evicted[signal])
            for signal, lane in LANE_OF.items()
        }
        accounts["artifacts"] = self._artifacts(dropped["artifacts"], evicted["artifacts"])
        return Ledger(**accounts)

    def beside(self) -> dict[str, dict[str, int]]:
        """Return the units that the lanes of the run's spool do not count, by signal.

        They were in spools that somebody deleted, or the ring gave them up.
        """
        with self._encoder.pass_lock:
            _, evicted = self._final or self._counted()
        found = {}
        for signal, lane in LANE_OF.items():
            carried = self._carried.get(lane, Carried())
            lost = sum(carried.evicted.values()) + evicted[signal]
            found[signal] = {
                "recorded": carried.delivered + carried.rejected + lost,
                "evicted": lost,
                "rejected": carried.rejected,
            }
        jobs = self._carried.get("artifacts", Carried())
        lost = sum(jobs.evicted.values()) + evicted["artifacts"]
        found["artifacts"] = {
            "recorded": jobs.delivered + jobs.rejected + lost,
            "evicted": lost,
            "rejected": jobs.rejected,
        }
        return found

    def evicted(self) -> dict[str, int]:
        """Return the units that the ring has given up, by signal."""
        return (self._final or self._counted())[1]

    def carry(self) -> None:
        """Keep the counts of a spool whose directory is gone; what waited in it is lost.

        Called with the encoder's pass lock held, before the encoder gets another spool.
        """
        for lane, state in self._run.spool.lanes.items():
            counts, before = state.counts(), self._carried.get(lane)
            evicted = dict(counts.evicted)
            # The frames went with the directory; no other of the ledger's reasons says so.
            evicted["internal_error"] = evicted.get("internal_error", 0) + counts.waiting
            if before is not None:
                evicted = {reason: count + before.evicted[reason] for reason, count in evicted.items()}
            self._carried[lane] = Carried(
                counts.delivered + (before.delivered if before else 0),
                counts.rejected + (before.rejected if before else 0),
                evicted,
            )
        jobs, past = self._run.spool.journal.counts(), self._carried.get("artifacts", Carried())
        lost = {**past.evicted, **jobs.lost}
        lost = {reason: past.evicted.get(reason, 0) + jobs.lost.get(reason, 0) for reason in lost}
        lost["internal_error"] = lost.get("internal_error", 0) + jobs.waiting
        self._carried["artifacts"] = Carried(
            jobs.delivered + past.delivered, jobs.rejected + past.rejected, lost
        )

    def close(self) -> None:
        """Refuse what comes from now on, but for run events; it is counted `after_finish`."""
        self._ring.close_intake(self.slot)

    def freeze(self) -> None:
        """Keep the counters that stand in the ring's header, before the slot goes to another run; once."""
        with self._encoder.pass_lock:
            self._final = self._final or self._counted()

    def _counted(self) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
        words = self._ring.file.words
        return counters.dropped(words, self.slot.index), counters.evicted(words, self.slot.index)

    def _artifacts(self, dropped: dict[str, int], evicted: int) -> SignalLedger:
        from rundial.diagnostics import SignalLedger

        number = SIGNAL_INDEX["artifacts"]
        failed, late = self._run.failed[number], self.slot.late[number]
        accepted = self.slot.accepted[number] - self._run.drift[number] - failed
        if failed:
            dropped = {**dropped, "internal_error": dropped.get("internal_error", 0) + failed}
        if late:
            dropped = {**dropped, "after_finish": late}
        counts = self._run.spool.journal.counts()
        carried = self._carried.get("artifacts", Carried())
        lost = dict(carried.evicted)
        for reason, count in (*counts.lost.items(), *([("spool_full", evicted)] if evicted else [])):
            lost[reason] = lost.get(reason, 0) + count
        return SignalLedger(
            recorded=accepted,
            dropped=dropped,
            delivered=counts.delivered + carried.delivered,
            rejected=counts.rejected + carried.rejected,
            evicted={reason: count for reason, count in lost.items() if count},
            waiting_ring=accepted - self._run.encoded[number] - evicted,
            waiting_spool=counts.waiting,
        )

    def _account(self, signal: str, lane: str, dropped: dict[str, int], evicted: int) -> SignalLedger:
        from rundial.diagnostics import SignalLedger

        number = SIGNAL_INDEX[signal]  # type: ignore[index]  # the three names above
        # What could not be encoded is a drop in the end, though the ring had taken it.
        accepted = self.slot.accepted[number] - self._run.drift[number] - self._run.failed[number]
        waiting_ring = accepted - self._run.encoded[number] - evicted
        if self._run.failed[number]:
            dropped = {
                **dropped,
                "internal_error": dropped.get("internal_error", 0) + self._run.failed[number],
            }
        if self.slot.late[number]:
            dropped = {**dropped, "after_finish": self.slot.late[number]}
        state = self._run.spool.lanes[lane].counts()
        carried = self._carried.get(lane, Carried())
        lost = {reason: count + carried.evicted.get(reason, 0) for reason, count in state.evicted.items()}
        if evicted:
            lost["spool_full"] = lost.get("spool_full", 0) + evicted
        return SignalLedger(
            recorded=accepted,
            dropped=dropped,
            delivered=state.delivered + carried.delivered,
            rejected=state.rejected + carried.rejected,
            evicted={reason: count for reason, count in lost.items() if count},
            waiting_ring=waiting_ring,
            waiting_spool=state.waiting,
        )
