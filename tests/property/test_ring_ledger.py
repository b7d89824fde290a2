"""The ledger closes after any order of logging, refusals, full disks, evictions, moves and kills."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rundial.choices import Signal
from rundial.diagnostics import ACCOUNTS, SIGNALS
from rundial.recorder.layout import HEADER_BYTES, Kind
from rundial.recorder.recovery import recover
from tests.unit.recorder.builders import (
    RESOURCE,
    FragileLane,
    Rig,
    RunParts,
    between_bytecodes,
    dead_copy,
    lines,
    log,
    points,
    ring_file,
    say,
    span,
    spans,
)

SMALL = HEADER_BYTES + (64 << 10)
LANES = {"points": "metrics", "lines": "logs", "spans": "traces"}
REASONS = st.sampled_from(["invalid", "non_finite", "too_large"])


class LedgerMachine(RuleBasedStateMachine):
    """A run on a disk that breaks and is mended, beside a count of everything that was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.rig = Rig(self.place, size_bytes=SMALL)
        self.run: RunParts = self.rig.attach()
        self.fragile: dict[str, FragileLane] = {}
        self.logged = dict.fromkeys(ACCOUNTS, 0)
        self.accepted: dict[str, list[int]] = {"points": [], "lines": [], "spans": []}
        self.number = 0
        self.deaths = 0

    def teardown(self) -> None:
        """Leave no directory behind."""
        self.run.spool.close()
        self.rig.ring.file.close()
        shutil.rmtree(self.place)

    @initialize()
    def put_the_lanes_under_our_hand(self) -> None:
        """Let the machine break any lane."""
        self.fragile = {lane: self.run.fragile(lane) for lane in LANES.values()}

    def note(self, signal: Signal, units: int, *, is_accepted: bool) -> None:
        """Remember what was logged and what the ring said."""
        self.logged[signal] += units
        if is_accepted:
            self.accepted[signal].append(self.number)

    @rule(width=st.integers(1, 30))
    def log(self, width: int) -> None:
        """A row of points."""
        self.number += 1
        names = tuple(f"k{index}" for index in range(width))
        self.note("points", width, is_accepted=log(self.run, self.number, names=names))

    @rule(length=st.integers(0, 4200), times=st.integers(1, 12))
    def say(self, length: int, times: int) -> None:
        """Lines, some of them too large."""
        for _ in range(times):
            self.number += 1
            is_accepted = say(self.run, f"{self.number} " + "x" * length)
            self.note("lines", 1, is_accepted=is_accepted)

    @rule()
    def trace(self) -> None:
        """A span."""
        self.number += 1
        self.run.recorder.span_start(span(self.number))
        self.note("spans", 1, is_accepted=self.run.recorder.span_end(span(self.number, end_unix_ns=5)))

    @rule(signal=st.sampled_from(SIGNALS), reason=REASONS, units=st.integers(1, 5))
    def drop(self, signal: Signal, reason: str, units: int) -> None:
        """Something that never was a record."""
        self.run.recorder.drop(signal, reason, units)  # type: ignore[arg-type]  # one of the ledger's reasons
        self.logged[signal] += units

    @rule(moment=st.integers(1, 60))
    def log_inside(self, moment: int) -> None:
        """A signal handler logs a line and a loss while its thread logs a row."""
        self.number += 1
        inner = self.number
        left = [moment]

        def interrupt() -> None:
            left[0] -= 1
            if left[0] == 0:
                say(self.run, f"{inner} inside")
                self.run.recorder.drop("spans", "invalid", 2)

        self.number += 1
        with between_bytecodes(interrupt):
            is_accepted = log(self.run, self.number)
        self.note("points", 1, is_accepted=is_accepted)
        if left[0] <= 0:
            # Told "accepted" before the ring was asked: whether it was is in the counters.
            self.logged["lines"] += 1
            self.logged["spans"] += 2
            self.accepted["lines"].append(inner)

    @rule()
    def poison(self) -> None:
        """A line that cannot be read back."""
        self.number += 1
        self.rig.ring.record(Kind.TEXT, self.run.slot, b"", signal="lines")
        self.logged["lines"] += 1

    @rule(lane=st.sampled_from(sorted(LANES.values())), takes=st.one_of(st.none(), st.integers(0, 2)))
    def break_a_lane(self, lane: str, takes: int | None) -> None:
        """The disk is full, now or after a frame or two."""
        self.fragile[lane].takes = takes
        self.fragile[lane].is_broken = takes is None

    @rule()
    def mend(self) -> None:
        """There is room again."""
        for lane in self.fragile.values():
            lane.takes, lane.is_broken = None, False

    @rule()
    def work(self) -> None:
        """The encoder does a pass."""
        self.rig.work()

    @rule(lane=st.sampled_from(sorted(LANES.values())), is_refused=st.booleans())
    def answer(self, lane: str, is_refused: bool) -> None:
        """A server answers for the oldest frame."""
        found = self.run.spool.lanes[lane].peek()
        if found is not None:
            units = found[1].units
            self.run.spool.lanes[lane].ack(
                found[0], delivered=0 if is_refused else units, rejected=units if is_refused else 0
            )

    @rule()
    def move(self) -> None:
        """Somebody deletes the ring's file."""
        self.rig.encoder.move_ring(ring_file(self.place, size_bytes=SMALL))

    @precondition(lambda self: self.deaths < 3 and not self.rig.encoder._left)
    @rule()
    def die(self) -> None:
        """A kill now, and recovery: every logged unit is stored, evicted or dropped in what is left."""
        self.deaths += 1
        target = self.place / f"dead{self.deaths}"
        file, spool = dead_copy(self.rig, self.run, target)
        found = recover(file, self.run.slot.index, spool, RESOURCE)
        for signal, lane in LANES.items():
            appended = spool.lanes[lane].counts().appended
            dropped = sum(found.dropped[signal].values()) + found.failed[SIGNALS.index(signal)]
            assert appended + found.evicted[signal] + dropped == self.logged[signal], signal
        spool.close()

    @invariant()
    def closes(self) -> None:
        """Logged == dropped + evicted + rejected + delivered + waiting, for each signal, at every moment."""
        ledger = self.run.recorder.ledger()
        assert ledger.closes
        for signal, account in ledger.signals().items():
            assert account.logged == self.logged[signal], signal
            assert account.waiting_ring >= 0

    @rule()
    def finish(self) -> None:
        """All is mended and written: what was accepted is there in order, but for what was evicted."""
        self.mend()
        assert self.rig.work()
        ledger = self.run.recorder.ledger()
        assert all(account.waiting_ring == 0 for account in ledger.signals().values())


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=15, stateful_step_count=30)


class OrderMachine(LedgerMachine):
    """The same without a server, so that every frame stays on disk to be read."""

    @rule()
    def answer(self) -> None:  # type: ignore[override]  # this machine has no server
        """No server answers."""

    @rule()
    def finish(self) -> None:
        """Every accepted record is on disk once and in order, but for the oldest that were evicted."""
        super().finish()
        path = self.run.spool.path
        for name in ("k0", "loss"):
            self.in_order("points", [step or 0 for each, step, _ in points(path) if each == name])
        self.in_order("lines", [int(line.split()[0]) for line in lines(path)])
        self.in_order("spans", [int.from_bytes(each.span_id, "big") for each in spans(path)])

    def in_order(self, signal: str, found: list[int]) -> None:
        """Compare what is on disk with what was accepted."""
        if signal != "lines":
            assert found == sorted(found)
        assert len(found) == len(set(found))
        assert set(found) <= set(self.accepted[signal])


TestOrder = OrderMachine.TestCase
TestOrder.settings = settings(max_examples=15, stateful_step_count=30)
