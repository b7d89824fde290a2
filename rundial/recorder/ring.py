"""The ring: where a record is safe from the moment that the call returns.

One per process, filled by every thread, emptied by the encoder. A call holds one short lock for
about a microsecond and does no I/O: the store into a shared mapping is what survives `kill -9`.
A full ring refuses the newest record whole and counts it; only while the spool cannot be written
does it give up its oldest instead.

Threads: any thread offers; one thread takes, releases and evicts.
After a crash: everything up to the last committed record is read back by `scan`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from threading import RLock
from time import time_ns
from zlib import crc32

from rundial.recorder import layout
from rundial.recorder.deferred import Action, Counter, Deferred, alone
from rundial.recorder.evictions import Evictions, Units
from rundial.recorder.keysets import KeySet
from rundial.recorder.layout import (
    BODY_AT,
    HEAD,
    HEAD_AT,
    HEADER_BYTES,
    MIN_GAP,
    REASON_INDEX,
    SIGNAL_INDEX,
    STEP_MASK,
    Kind,
)
from rundial.recorder.mapping import RingFile
from rundial.recorder.slots import RunSlot, Slots
from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from rundial.choices import Reason, Signal

MAX_RECORD_BYTES = 64 * 1024

_ROW = Kind.ROW
_KEYS = Kind.KEYS
_EVENT = Kind.EVENT
_POINTS = SIGNAL_INDEX["points"]
_QUEUE_FULL = REASON_INDEX["queue_full"]
_TOO_LARGE = REASON_INDEX["too_large"]
_PAD_HEAD = struct.Struct("<IBB")
RowWriter = Callable[..., bool]


class Ring:
    """A bounded, counted byte ring over a `RingFile`.

    Args:
        file: The memory; the ring becomes its owner.
        wake: Called without the lock when the encoder should look; must not block.
        after: The ring that this one follows in the process, whose positions and sequence it continues.
    """

    head: int
    tail: int
    mark: int
    max_record_bytes: int

    def __init__(self, file: RingFile, *, wake: Callable[[], None], after: Ring | None = None) -> None:
        self._slots = Slots()
        # Positions go on from the ring before, so that a key set written there counts as overwritten here.
        self._install(file, layout.round_up(after.head + 1 if after else 1, file.capacity))
        self.seq: int = 0 if after is None else after.seq
        self._last_ns: int = 0 if after is None else after._last_ns
        self._wake = wake
        # Guards head, tail reads, sequence, counters and the bytes between tail and head. Re-entrant
        # because a signal handler or finaliser may log while its own thread is inside.
        self._lock = RLock()
        self._busy = False
        self._deferred = Deferred()
        self._later = self._deferred.actions
        self._evictions = Evictions()

    @property
    def capacity(self) -> int:
        """Bytes for records."""
        return self._capacity

    @property
    def filled(self) -> float:
        """How full the ring is, 0 to 1."""
        return (self.head - self.tail) / self._capacity

    @alone
    def open_slot(self) -> RunSlot:
        """Give a run its number.

        Raises:
            RundialError: 128 runs are open in this process already.
        """
        slot = self._slots.open(self._capacity)
        self._make_room()
        first = layout.slot_word(slot.index, 0)
        for word in range(first, first + layout.SLOT_WORDS):
            self._words[word] = 0
        return slot

    def close_intake(self, slot: RunSlot) -> None:
        """Refuse what comes for a run from now on, but for run events; counted `after_finish`."""
        with self._lock:
            slot.is_closing = True
            # Behind what was deferred and the call that it interrupted: those were, or will be, accepted.
            self._later.append((slot.close, (self._capacity,)))
            if not self._busy:
                self._drain_later()

    @property
    def is_inside(self) -> bool:
        """Whether this thread has interrupted a call of its own, for which the encoder may be waiting."""
        with self._lock:
            return self._busy

    @alone
    def close_slot(self, slot: RunSlot) -> None:
        """Take a run's number back; nothing of the run may be in the ring any more."""
        self._slots.close(slot)

    def row_writer(self, slot: RunSlot) -> RowWriter:
        """Return what offers the rows of one run: the hot path of all that Rundial does.

        A closure, where what never changes costs least, and written out: a call is a twentieth of the time.
        """
        lock, run = self._lock, slot.index

        def row(keys: KeySet, body: bytes, step: int, explicit_ns: int = 0) -> bool:
            """Offer one row of points.

            Args:
                keys: The row's names.
                body: One little-endian double for each name, all finite.
                step: 0 to 2^63-1, or `NO_STEP`.
                explicit_ns: The user's own time, odd; 0 takes the time now.

            Returns:
                Whether the row was accepted; a refused one is counted `queue_full` or `too_large`.
            """
            # It takes the step's lower 32 bits by itself.
            crc = crc32(body, step)
            with lock:
                if self._busy:
                    action = (self._row, (slot, keys, crc, step, explicit_ns, body))
                    return self._defer(action, (slot, _POINTS, _QUEUE_FULL), keys.size)
                try:
                    self._busy = True
                    position = self.head
                    end = position + keys.record_bytes
                    if end > slot.room or keys.position < self.mark or explicit_ns:
                        accepted = self._row(slot, keys, crc, step, explicit_ns, body)
                    else:
                        # What `_row` and `_put` do for the common case: the key set is there, there is
                        # room, and neither the lap ends here nor has the encoder to be woken.
                        at = position + self._shift
                        word = at >> 3
                        words = self._words
                        words[word] = 0
                        stamp = time_ns() & ~1
                        if stamp <= self._last_ns:
                            stamp = self._last_ns + 2
                        self._last_ns = stamp
                        seq = self.seq + 1
                        pack_record, number = keys.pack_record, keys.number
                        pack_record(self._memory, at + 8, keys.head, run, number, crc, seq, step, stamp, body)
                        words[word] = position ^ self._nonce
                        self.seq = seq
                        self.head = end
                        slot.accepted[0] += keys.size
                        return True
                finally:
                    # In this order: what is logged after the flag falls is written at once, what was
                    # deferred before it is written now. Also when an exception passes, for it has been
                    # called accepted.
                    self._busy = False
                    if self._later:
                        self._drain_later()
            if self.head >= self._wake_at:
                self._wake_encoder()
            return accepted

        return row

    def record(
        self,
        kind: int,
        slot: RunSlot,
        body: bytes,
        *,
        signal: Signal | None = None,
        step: int = layout.NO_STEP,
        explicit_ns: int = 0,
    ) -> bool:
        """Offer a record that is not a row.

        Args:
            kind: What it is.
            slot: The run.
            body: Its bytes, as `rundial.signals.records` packs them.
            signal: The signal that it is one unit of; None when it is outside the ledger.
            step: The step that it belongs to, `NO_STEP` for none.
            explicit_ns: The user's own time, odd; 0 takes the time now.

        Returns:
            Whether it was accepted; a refused one is counted `queue_full` or `too_large`.
        """
        crc = crc32(body, step & STEP_MASK)
        number = -1 if signal is None else SIGNAL_INDEX[signal]
        action = (self._record, (slot, int(kind), body, crc, number, step, explicit_ns))
        return self._locked(action, (slot, number, _QUEUE_FULL), 1)

    def drop(self, slot: RunSlot, signal: Signal, reason: Reason, units: int) -> None:
        """Count units that never entered the ring."""
        counter = (slot, SIGNAL_INDEX[signal], REASON_INDEX[reason])
        self._locked((self._drop, (*counter, units)), counter, units)

    def _locked(self, action: Action, counter: Counter, units: int) -> bool:
        with self._lock:
            if self._busy:
                return self._defer(action, counter, units)
            try:
                self._busy = True
                accepted = action[0](*action[1])
            finally:
                self._busy = False
                if self._later:
                    self._drain_later()
        if self.head >= self._wake_at:
            self._wake_encoder()
        return accepted

    # What follows runs with the lock held.

    def _defer(self, action: Action, counter: Counter, units: int) -> bool:
        # This thread is already inside: a signal handler, finaliser or logging handler interrupted it.
        # The interrupted call finishes this one's work before it leaves.
        slot, signal, _ = counter
        if slot.is_closing and signal >= 0 and action[0] != self._drop:
            slot.late[signal] += units
            return False
        return self._deferred.put(action, counter, units)

    def _row(self, slot: RunSlot, keys: KeySet, crc: int, step: int, explicit_ns: int, body: bytes) -> bool:
        if not keys.number:
            if len(body) > self.max_record_bytes:
                return self._drop(slot, _POINTS, _TOO_LARGE, keys.size)
        elif keys.position < self.mark:
            # The sizes of all rows of a key set are the same, so they are checked here, once a take.
            if max(len(keys.encoded), len(body)) > self.max_record_bytes:
                return self._drop(slot, _POINTS, _TOO_LARGE, keys.size)
            if not self._define(keys, slot):
                return self._drop(slot, _POINTS, _QUEUE_FULL, keys.size)
        aux = keys.number or len(keys.encoded)
        if not self._put(_ROW, keys.flags, slot.index, aux, crc, step, explicit_ns, body, slot.limit_points):
            return self._drop(slot, _POINTS, _QUEUE_FULL, keys.size)
        slot.accepted[_POINTS] += keys.size
        return True

    def _define(self, keys: KeySet, slot: RunSlot) -> bool:
        position = self.head
        encoded = keys.encoded
        if not self._put(_KEYS, 0, 0, keys.number, crc32(encoded), 0, 0, encoded, slot.limit_points):
            return False
        keys.position = position
        return True

    def _record(  # noqa: PLR0913 - a record's fields: an object would cost more than the record
        self, slot: RunSlot, kind: int, body: bytes, crc: int, signal: int, step: int, explicit_ns: int
    ) -> bool:
        if kind == _EVENT:
            # Bounded where it is packed, and never refused for a small ring's sake.
            limit = slot.limit_events
        elif len(body) > self.max_record_bytes:
            return self._drop(slot, signal, _TOO_LARGE, 1)
        else:
            limit = slot.limit_text
        if not self._put(kind, 0, slot.index, 0, crc, step, explicit_ns, body, limit):
            return self._drop(slot, signal, _QUEUE_FULL, 1)
        if signal >= 0:
            slot.accepted[signal] += 1
        return True

    def _put(  # noqa: PLR0913 - as above
        self,
        kind: int,
        flags: int,
        run: int,
        aux: int,
        crc: int,
        step: int,
        explicit_ns: int,
        body: bytes,
        limit: int,
    ) -> bool:
        length = len(body)
        size = (BODY_AT + length + 7) & ~7
        position = self.head
        rest = self._capacity - position % self._capacity
        need = size if size <= rest else size + rest
        while position + need - self.tail > limit:
            if not self._evictions or limit < 0:
                return False
            self.tail = self._evictions.give_up(self._words)
        if size > rest:
            self._pad(position, rest)
            position += rest
        offset = HEADER_BYTES + position % self._capacity
        words = self._words
        # Cleared first: a kill in the body must not leave an old commit word over new bytes.
        words[offset >> 3] = 0
        if explicit_ns:
            stamp = explicit_ns
        else:
            # Even, where explicit times are odd, so that the two never meet.
            stamp = time_ns() & ~1
            if stamp <= self._last_ns:
                stamp = self._last_ns + 2
            self._last_ns = stamp
        seq = self.seq + 1
        padding = size - BODY_AT - length
        HEAD.pack_into(
            self._memory, offset + HEAD_AT, size, kind, flags | padding, run, aux, crc, seq, step, stamp
        )
        offset += BODY_AT
        self._memory[offset : offset + length] = body
        words[(offset - BODY_AT) >> 3] = position ^ self._nonce
        self.seq = seq
        self.head = position + size
        if size >= rest:
            self._begin_lap()
        return True

    def _begin_lap(self) -> None:
        """Say where the lap that `head` is in lies in memory, and how far a record may go in it."""
        start = self.head // self._capacity * self._capacity
        self._shift = HEADER_BYTES - start
        self._lap_end = start + self._capacity
        self._make_room()

    def _make_room(self) -> None:
        """Say up to where rows need no further look: no lap ends, no encoder is to be woken before it."""
        self._slots.make_room(self.tail, min(self._lap_end, self._wake_at))

    def _pad(self, position: int, rest: int) -> None:
        if rest < MIN_GAP:
            return
        offset = HEADER_BYTES + position % self._capacity
        self._words[offset >> 3] = 0
        _PAD_HEAD.pack_into(self._memory, offset + HEAD_AT, rest, Kind.PAD, 0)
        self._words[offset >> 3] = position ^ self._nonce

    def _drop(self, slot: RunSlot, signal: int, reason: int, units: int) -> bool:
        if signal < 0:
            return False
        if slot.is_closed:
            # Not in the header: the slot's words may be another run's by now.
            slot.late[signal] += units
        else:
            self._words[layout.slot_word(slot.index, signal) + reason] += units
        return False

    def _drain_later(self) -> None:
        """Do what was deferred, and leave."""
        while self._deferred:
            try:
                self._busy = True
                while self._later:
                    self._do_deferred(*self._later[0])
                while self._deferred.refused:
                    counter, units = self._deferred.refused.popitem()
                    self._drop(*counter, units)
            finally:
                self._busy = False

    def _do_deferred(self, action: Callable[..., bool], arguments: tuple[object, ...]) -> None:
        from rundial.recorder.scan import scan

        before = self.head
        is_done = False
        try:
            action(*arguments)
            is_done = True
        finally:
            # Its caller was told that it is accepted. When another signal's exception strikes here, the
            # ring itself knows whether it is in, and if it is not, the next to come puts it in.
            if is_done or any(record.kind != _KEYS for record in scan(self.file, before, self.head)):
                self._later.popleft()

    # The encoder's side.

    def take(self) -> tuple[int, int]:
        """Return the positions between which committed records wait; sets the mark.

        Everything logged after this call that needs a key set will bring it along again.
        """
        with self._lock:
            # Nobody else is inside while we hold the lock. A flag that is still set was left by an
            # exception that struck between two instructions of a call's own clean-up.
            self._busy = False
            self._drain_later()
            return self._take()

    @alone
    def _take(self) -> tuple[int, int]:
        # A finaliser may log on this very thread, at any allocation: its record comes after.
        self.mark = self.head
        self._wake_at = self.head + self._capacity // 4
        self._make_room()
        self._slots.mark()
        return self.tail, self.mark

    @alone
    def wake_at_next(self) -> bool:
        """Have the next record wake the encoder; False where one has come already."""
        if self.head != self.tail:
            return False
        self._wake_at = self.head
        self._make_room()
        return True

    def at_mark(self, run: int) -> list[int] | None:
        """Units of a run that were accepted before the last take, by signal; None when it is gone."""
        with self._lock:
            return self._slots.at_mark(run)

    @alone
    def release(self, position: int) -> None:
        """Give the bytes before a mark back: they are in the spool."""
        self._words[layout.WORD_TAIL] = position
        self.tail = position
        self._make_room()

    @alone
    def allow_eviction(self, parts: Sequence[tuple[int, Units]]) -> None:
        """Let a full ring give up its oldest records, because the spool cannot be written.

        Args:
            parts: Marks that `take` returned, growing, each with the units that lie before it and
                after the one before, and are in no frame yet.
        """
        self._evictions.allow(parts)

    @alone
    def forbid_eviction(self) -> None:
        """Keep what is there while the encoder reads it."""
        self._evictions.forbid(self._words)
        self.tail = int(self._words[layout.WORD_TAIL])
        self._make_room()

    @alone
    def move(self, file: RingFile) -> tuple[RingFile, int, int]:
        """Go on in other memory; return the old one, and the positions in it between which records wait."""
        left = (self.file, self.tail, self.head)
        first = layout.SLOTS_AT_WORD
        last = first + layout.RUN_SLOTS * layout.SLOT_WORDS
        file.words[first:last] = self._words[first:last]
        self._evictions.forget()
        self._slots.mark()
        self._install(file, layout.round_up(self.head + 1, file.capacity))
        return left

    def _install(self, file: RingFile, start: int) -> None:
        self.file = file
        self._memory = file.memory
        self._words = file.words
        self._nonce = file.nonce
        self._capacity = file.capacity
        self._words[layout.WORD_TAIL] = start
        self.head = start
        self.tail = start
        self.mark = start
        self._wake_at = start + file.capacity // 4
        self._slots.limit(file.capacity)
        self._begin_lap()
        self.max_record_bytes = min(MAX_RECORD_BYTES, file.capacity // 16)

    def _wake_encoder(self) -> None:
        self._has_woken()
        self._wake()

    @alone
    def _has_woken(self) -> None:
        self._wake_at = self.head + self._capacity
        self._make_room()

    def abandon_in_child(self) -> None:
        """Let go of the parent's memory after a fork, without touching the parent's lock."""
        self.file.close()
