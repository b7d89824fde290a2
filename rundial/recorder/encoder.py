"""The encoder: one thread that empties the ring into the spools of the process's runs.

It takes what is there every quarter of a second, or when a quarter of the ring is full, turns it
into OTLP requests, appends those to the spools, and only then gives the ring's bytes back. It works
in small pieces with short pauses, so that a training loop keeps the interpreter; it never waits for
a network.

Threads: this one, named `rundial-encoder`; others call `seal`, `add`, `remove` and `stop`.
After a crash: what it had not released is in the ring, what it had written is in the spool, and
frames say where the one ends and the other begins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Event, Lock, RLock, Thread
from time import monotonic

from rundial.logger import logger
from rundial.recorder import counters
from rundial.recorder.evictions import Units
from rundial.recorder.keysets import KeyReader
from rundial.recorder.layout import Kind
from rundial.recorder.mapping import RingFile
from rundial.recorder.ring import Ring
from rundial.recorder.runencoder import RunEncoder, units_of
from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from rundial.recorder.scan import Record, Rows

INTERVAL_S = 0.25
# After each piece of about 500 points; measured: a busy loop's p99.9 falls from 5 to 0.8-1.7 ms.
PAUSE_S = 0.0003
MAX_RETRY_S = 2.0
# After so many passes that found nothing the next record wakes the thread, and the clock only for the upkeep:
# each time it wakes costs 0.2 ms of a core on a virtual machine, whatever it does then.
IDLE_PASSES = 4
IDLE_WAIT_S = 1.0
MAX_MARKS = 64
WARN_AGAIN_S = 60.0
# How often one who waits looks whether the thread is still there.
LIVENESS_S = 1.0


class _Stop:
    """Asks the thread to leave."""


class Encoder:
    """Owns the encoder thread of a process.

    Args:
        ring: The process's ring.
        on_pass: Called on this thread after every pass, for heartbeats and upkeep; must be quick.
        prepare: Called on this thread before its first pass, to import what `init` did not wait for.
        interval_s: How long a record may stay in the ring alone.
    """

    def __init__(
        self,
        ring: Ring,
        *,
        on_pass: Callable[[], None],
        prepare: Callable[[], None] | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.ring = ring
        self._on_pass = on_pass
        self._prepare = prepare
        self._interval_s = interval_s
        self._inbox: deque[Event | _Stop] = deque()
        # Released when there is something to look at, and acquired by the thread alone. Nobody waits to
        # release it, so a signal handler that logs may.
        self._bell = Lock()
        self._bell.acquire()
        self._runs: dict[int, RunEncoder] = {}
        self._keys = KeyReader()
        self._marks: deque[int] = deque(maxlen=MAX_MARKS)
        # What waits in memory that the ring has moved away from, oldest first.
        self._left: deque[tuple[RingFile, int, int]] = deque()
        self._warned_s = -WARN_AGAIN_S
        self._stopping = Event()
        self._thread = Thread(target=self._loop, name="rundial-encoder", daemon=True)
        # Held during a pass; whoever holds it sees ring, encoder and spool agree. Re-entrant because a
        # signal handler that ends the run may have interrupted one who asks for the ledger.
        self.pass_lock = RLock()
        # Guards the set of runs, which other threads change between passes.
        self._runs_lock = Lock()
        self.failure: Exception | None = None
        self._empty_passes = 0

    @property
    def is_running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Have the thread look at the ring now; callable from anywhere, never blocks."""
        try:
            self._bell.release()
        except RuntimeError:
            return  # it has been rung, and the thread has not come yet

    def add(self, run: RunEncoder) -> None:
        """Let a run's records in; before its first record is offered."""
        run.pause = self._pause
        with self._runs_lock:
            self._runs[run.run] = run

    def remove(self, run: RunEncoder) -> None:
        """Forget a run whose last record is sealed."""
        with self._runs_lock:
            self._runs.pop(run.run, None)

    def seal(self, deadline_s: float | None) -> bool:
        """Wait until everything offered before this call is on disk.

        Args:
            deadline_s: Seconds to wait at most; None waits for ever.

        Returns:
            Whether it is; False at once when the thread has ended, or when the caller has interrupted a
            call of the ring on its own thread: the encoder waits for that one.
        """
        if self.ring.is_inside:
            return False
        done = Event()
        self._tell(done)
        end = None if deadline_s is None else monotonic() + deadline_s
        while True:
            left_s = LIVENESS_S if end is None else min(LIVENESS_S, max(0.0, end - monotonic()))
            if done.wait(left_s):
                return True
            if not self._thread.is_alive() or (end is not None and monotonic() >= end):
                return done.is_set()

    def stop(self, timeout_s: float) -> bool:
        """Ask the thread to leave after a last pass; return whether it has left."""
        self._stopping.set()
        self._tell(_Stop())
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _tell(self, message: Event | _Stop) -> None:
        self._inbox.append(message)
        self.wake()

    def _loop(self) -> None:
        waiting: list[Event] = []
        wait_s = self._interval_s
        stopping = False
        while not stopping:
            for message in self._messages(wait_s):
                if isinstance(message, Event):
                    waiting.append(message)
                else:
                    stopping = True
            if self.work():
                wait_s = self._next_wait_s()
                for done in waiting:
                    done.set()
                waiting.clear()
            else:
                wait_s = min(wait_s * 2, MAX_RETRY_S)

    def _next_wait_s(self) -> float:
        """How long to wait for a record that nothing tells of."""
        if self._empty_passes >= IDLE_PASSES and self.ring.wake_at_next():
            return max(self._interval_s, IDLE_WAIT_S)
        return self._interval_s

    def _messages(self, wait_s: float) -> list[Event | _Stop]:
        # What is told while this is read has rung again by the time that it is there.
        self._bell.acquire(timeout=wait_s)
        return [self._inbox.popleft() for _ in range(len(self._inbox))]

    def work(self) -> bool:
        """Do one pass; return whether everything found is on disk.

        The thread's own; callable by another only before it starts.
        """
        is_done = False
        try:
            self._prepare_once()
            with self.pass_lock:
                is_done = self._pass()
            # On its own: what is on disk is on disk, whatever becomes of the upkeep.
            self._on_pass()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next pass tries again
            self.failure = error
            self._warn(error)
        return is_done

    def _prepare_once(self) -> None:
        prepare, self._prepare = self._prepare, None
        if prepare is None:
            return
        try:
            prepare()
        except Exception as error:  # noqa: BLE001 - what cannot be imported fails again where it is needed
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        now = monotonic()
        if now - self._warned_s >= WARN_AGAIN_S:
            self._warned_s = now
            logger.warning("the recorder failed and will try again; records stay in the ring", exc_info=error)

    def _pass(self) -> bool:
        """Move what is in the ring into the spools; return whether all of it went."""
        self.ring.forbid_eviction()
        start, end = self.ring.take()
        with self._runs_lock:
            runs = dict(self._runs)
        if start == end and not self._left:
            self._empty_passes += 1
            self._marks.clear()
            return True
        self._empty_passes = 0
        self._marks.append(end)
        # In this order: a lane that is past a position never looks before it again.
        is_whole = self._encode_left(runs) and self._encode(self.ring.file, runs, start, end)
        self.failure = next((run.error for run in runs.values() if run.error is not None), None)
        if not is_whole:
            self.ring.allow_eviction(self._evictable(runs, start))
            # One run's broken spool must not hold up the others: what they have written is safe in
            # their frames, though the ring still holds it too.
            for run in runs.values():
                run.publish()
            return False
        # The order is the promise: frames first, then the ring's bytes, then the sender may see them.
        self.ring.release(end)
        self._marks.clear()
        for run in runs.values():
            run.publish()
            self._settle(run)
        return True

    def _settle(self, run: RunEncoder) -> None:
        at_mark = self.ring.at_mark(run.run)
        # A run that was released meanwhile has its final count, and its slot may be another's.
        if at_mark is not None:
            run.settle(at_mark, list(counters.evicted(self.ring.file.words, run.run).values()))

    def _encode_left(self, runs: dict[int, RunEncoder]) -> bool:
        while self._left:
            file, start, end = self._left[0]
            if not self._encode(file, runs, start, end):
                return False
            self._left.popleft()
            file.close()
        return True

    def _encode(self, file: RingFile, runs: dict[int, RunEncoder], start: int, end: int) -> bool:
        """Turn what lies between two positions into frames; return whether all runs could be written."""
        from rundial.recorder.scan import Rows, scan_grouped

        for run in runs.values():
            run.begin(file, start)
        for record in scan_grouped(file, start, end):
            # A run that is gone left no records.
            owner = runs.get(record.run)
            if isinstance(record, Rows):
                self._encode_rows(owner, record)
            elif record.kind == Kind.KEYS:
                self._keys.define(record)
            elif owner is not None:
                self._encode_record(owner, record)
        for run in runs.values():
            run.finish(end)
        return all(run.error is None for run in runs.values())

    def _encode_rows(self, owner: RunEncoder | None, rows: Rows) -> None:
        if owner is None:
            return
        keys = self._keys.known(rows.aux)
        try:
            is_taken = keys is not None and owner.add_rows(rows, keys)
        except Exception as error:  # noqa: BLE001 - counted, as a record's failure is
            for record in rows.records():
                owner.skip(record, error)
            return
        if not is_taken:
            for record in rows.records():
                self._encode_record(owner, record)

    def _encode_record(self, owner: RunEncoder, record: Record) -> None:
        try:
            if record.kind == Kind.ROW:
                owner.add_row(record, *self._keys.row(record))
            else:
                owner.add(record)
        except Exception as error:  # noqa: BLE001 - counted; one poison record must not hold up the rest
            owner.skip(record, error)

    def _pause(self) -> None:
        if self.ring.filled < 0.5:
            self._stopping.wait(PAUSE_S)

    def _evictable(self, runs: dict[int, RunEncoder], start: int) -> list[tuple[int, Units]]:
        """The parts of the ring between marks, and what giving each up would lose."""
        from rundial.recorder.scan import scan

        parts: list[tuple[int, Units]] = []
        marks = iter(sorted(mark for mark in self._marks if mark > start))
        mark = next(marks, None)
        units: Units = {}
        for record in scan(self.ring.file, start, self._marks[-1]):
            while mark is not None and record.position >= mark:
                parts.append((mark, units))
                mark, units = next(marks, None), {}
            run = runs.get(record.run)
            signal, count = units_of(record)
            if signal >= 0 and run is not None and run.is_new(record):
                units[record.run, signal] = units.get((record.run, signal), 0) + count
                run.may_evict(record)
        if mark is not None:
            parts.append((mark, units))
        return parts

    def move_ring(self, file: RingFile) -> None:
        """Go on in other memory and bring the rest of the old ring into the spool; on this thread only."""
        with self.pass_lock:
            self._left.append(self.ring.move(file))
            self._marks.clear()
            # What cannot be written now is tried again with each pass.
            self._pass()
