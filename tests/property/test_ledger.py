"""Every unit is stored once, waits, or is lost for a named reason, in whatever order what happens."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rundial.diagnostics import SIGNALS
from rundial.spool.rejected import KEPT
from tests.support.collector import Collector
from tests.support.judge import LOST_ANSWER, POISON, UNWELCOME, WELCOME, Held, Judge
from tests.support.nursery import Child, Nursery
from tests.support.rounds import rounds

pytestmark = [pytest.mark.fault, pytest.mark.timeout(rounds(120))]

PROJECT = "ledger"
MAX_CHILDREN = 2
MAX_RUNS = 5
# Under a limit of 1 MiB this many lines of 4 KB, gzipped, are more than a spool holds.
STORM = 330
LONG_AGO_NS = 8 * 86400 * 10**9
PATIENCE_S = 15.0
MODES = st.sampled_from(["online", "online", "offline"])
AWAY = "away"
OUTAGES = (503, "hang", "reset", "html", LOST_ANSWER, ("429", {"Retry-After": "1"}), 401, AWAY)
# None: the server is well.
SERVERS = st.sampled_from([None, None, None, *OUTAGES])
MOMENTS_S = st.sampled_from([0.0, 0.002, 0.01, 0.05])
# What a program does: a method of the machine and its arguments. Of what a server refuses there is little
# in one call, because it is searched for with a bounded number of requests.
DEEDS: list[tuple[str, dict[str, Any]]] = [
    ("log", {"width": 1, "mark": WELCOME}),
    ("log", {"width": 40, "mark": WELCOME}),
    ("log", {"width": 1500, "mark": WELCOME}),
    ("log", {"width": 2, "mark": POISON}),
    ("log", {"width": 2, "mark": UNWELCOME}),
    ("log_no_points", {"width": 3, "value": float("nan"), "reason": "non_finite"}),
    ("log_no_points", {"width": 1, "value": float("-inf"), "reason": "non_finite"}),
    ("log_no_points", {"width": 2, "value": None, "reason": "invalid"}),
    ("say", {"lines": 1, "mark": WELCOME}),
    ("say", {"lines": 40, "mark": WELCOME}),
    ("say", {"lines": STORM, "mark": WELCOME}),
    ("say", {"lines": STORM, "mark": WELCOME}),
    ("say", {"lines": 2, "mark": POISON}),
    ("say", {"lines": 2, "mark": UNWELCOME}),
    ("say_at_no_level", {}),
    ("trace", {"is_large": False}),
    ("trace", {"is_large": True}),
    ("open_span", {}),
]
WORK = st.lists(st.sampled_from(DEEDS), min_size=3, max_size=8)
# How large a file may become, in bytes; -1: as large as it wants.
DISKS = st.sampled_from([-1, -1, -1, 0, 3000, 70_000])
# A failure is told as it happened: a race seldom comes again, and looking for a shorter way to it takes long.
PHASES = (Phase.explicit, Phase.generate)


class Model:
    """What one run was told, and so what its ledger must say.

    Attributes:
        run_id: The run.
        mode: Its mode.
        child: The process that has it; None once that is gone.
        accepted: Units by signal, as the judge names them; spans: those that ended.
        dropped: Units refused, by signal and reason; without spans for which there was no room.
        open_spans: Spans that have begun.
        is_finished: Whether `finish` was called.
    """

    def __init__(self, run_id: str, mode: str, child: Child) -> None:
        self.run_id = run_id
        self.mode = mode
        self.child: Child | None = child
        self.accepted: dict[str, set[Any]] = {signal: set() for signal in SIGNALS}
        self.dropped: dict[str, Counter[str]] = {signal: Counter() for signal in SIGNALS}
        self.open_spans: set[int] = set()
        self.is_finished = False

    def __repr__(self) -> str:
        return self.run_id

    def note(self, signal: str, units: set[Any], *, is_accepted: bool, reason: str = "queue_full") -> None:
        """Remember what became of some units."""
        if is_accepted:
            self.accepted[signal] |= units
        else:
            self.dropped[signal]["after_finish" if self.is_finished else reason] += len(units)

    def check(self, ledger: dict[str, Any], held: Held) -> None:
        """Compare the run's own account, as it is now."""
        assert ledger["closes"]
        for signal in SIGNALS:
            account = ledger[signal]
            fates = ("delivered", "rejected", "waiting_ring", "waiting_spool")
            assert all(account[fate] >= 0 for fate in fates), account
            settled = sum(account[fate] for fate in fates) + sum(account["evicted"].values())
            assert account["recorded"] == settled, account
            assert min([0, *account["evicted"].values(), *account["dropped"].values()]) == 0
            self._check_accepted(signal, account["recorded"], account["dropped"])
            assert account["delivered"] <= len(held.units[signal])

    def _check_accepted(self, signal: str, recorded: int, dropped: dict[str, int]) -> None:
        dropped = dict(dropped)
        accepted = len(self.accepted[signal])
        if signal == "spans":
            # The end of a span does not say whether there was room for it.
            accepted -= dropped.pop("queue_full", 0)
        assert (recorded, dropped) == (accepted, dict(+self.dropped[signal])), self.run_id

    def check_stored(self, held: Held, *, is_exact: bool) -> None:
        """Compare what the server has and was told, when nothing waits any more.

        Args:
            held: That.
            is_exact: Whether every answer was heard. If not, what the client gave up may be stored.
        """
        for signal in SIGNALS:
            stored = list(held.units[signal].values())
            assert len(stored) == len(set(stored)), f"{signal} of {self.run_id} are stored twice"
            assert set(stored) <= self.accepted[signal] | (self.open_spans if signal == "spans" else set())
            recorded, rejected, evicted = (
                held.said.get(f"{signal}.{name}", 0) for name in ("recorded", "rejected", "evicted")
            )
            missing = recorded - rejected - evicted - len(stored)
            assert missing <= 0, f"{missing} {signal} of {self.run_id} are lost without a reason"
            assert missing == 0 or (evicted >= -missing and not is_exact), (signal, missing)
            self._check_said(signal, held, recorded)

    def _check_said(self, signal: str, held: Held, recorded: int) -> None:
        start = f"{signal}.dropped."
        dropped = {name[len(start) :]: count for name, count in held.said.items() if name.startswith(start)}
        dropped.pop("after_finish", None)
        expected = {
            reason: count for reason, count in (+self.dropped[signal]).items() if reason != "after_finish"
        }
        if signal != "spans":
            assert (recorded, dropped) == (len(self.accepted[signal]), expected), self.run_id
            return
        refused = dropped.pop("queue_full", 0)
        ended, interrupted = len(self.accepted["spans"]), len(self.open_spans)
        # A span whose end was refused is one more that began and never ended.
        assert dropped == expected
        assert ended <= recorded + refused <= ended + interrupted + refused


class LedgerMachine(RuleBasedStateMachine):
    """Programs, their disk and a server, beside a model of what each run was told.

    Args:
        nursery: Where the programs come from.
    """

    def __init__(self, nursery: Nursery) -> None:
        super().__init__()
        self.nursery = nursery
        self.collector = Collector()
        self.judge = Judge(self.collector)
        self.collector.rules = [self.judge]
        self.collector.start()
        self.place = Path(tempfile.mkdtemp())
        self.root = self.place / "spool"
        self.children: list[Child] = []
        self.models: list[Model] = []
        self.number = 0
        self.is_exact = True
        self.is_listening = True

    # What a program does.

    @initialize(server=SERVERS, mode=MODES, size=DISKS, data=st.data())
    def begin(self, server: Any, mode: str, size: int, data: st.DataObject) -> None:
        """Start from one program with one run that has logged a little."""
        self.change_the_server(server)
        self.start(mode)
        self.children[0].ask("limit_files", size=size)
        self.work(data, data.draw(WORK))

    @precondition(lambda self: len(self.children) < MAX_CHILDREN and len(self.models) < MAX_RUNS)
    @rule(mode=MODES)
    def start(self, mode: str) -> None:
        """A program begins; if it is online, it adopts what others have left."""
        self.children.append(self.nursery.fork())
        self.init(self.children[-1], mode)

    @precondition(lambda self: self.children and len(self.models) < MAX_RUNS)
    @rule(data=st.data(), mode=MODES)
    def start_another_run(self, data: st.DataObject, mode: str) -> None:
        """A program begins one more run."""
        self.init(data.draw(st.sampled_from(self.children)), mode)

    def init(self, child: Child, mode: str) -> None:
        """Begin a run."""
        run_id = f"{self.place.name}-{len(self.models)}"
        refusal = child.ask(
            "init",
            run_id=run_id,
            project=PROJECT,
            mode=mode,
            endpoint=self.collector.url,
            spool_directory=str(self.root),
            spool_max_bytes=1 << 20,
            ring_bytes=1 << 20,
            flush_interval_seconds=0.02,
            request_timeout_seconds=0.25,
            init_timeout_seconds=0.4,
            finish_timeout_seconds=0.2,
        )
        if not refusal:
            self.models.append(Model(run_id, mode, child))

    def next_number(self, count: int = 1) -> int:
        """Return the first of some numbers that were never used."""
        self.number += count
        return self.number - count + 1

    def live(self, data: st.DataObject) -> tuple[Model, Child]:
        """Choose a run that has a process."""
        model = data.draw(st.sampled_from([each for each in self.models if each.child is not None]))
        assert model.child is not None
        return model, model.child

    def has_live(self) -> bool:
        """Whether a run has a process."""
        return any(model.child is not None for model in self.models)

    @precondition(has_live)
    @rule(data=st.data(), deeds=WORK)
    def work(self, data: st.DataObject, deeds: list[tuple[str, dict[str, Any]]]) -> None:
        """A program logs."""
        model, child = self.live(data)
        for deed, arguments in deeds:
            getattr(self, deed)(model, child, **arguments)

    def log(self, model: Model, child: Child, *, width: int, mark: str) -> None:
        """A row of points."""
        number = self.next_number()
        names = [f"{mark}/{index}" for index in range(width)]
        is_accepted = child.ask("log", run_id=model.run_id, number=number, names=names, value=number)
        model.note("points", {(name, number) for name in names}, is_accepted=is_accepted)

    def log_no_points(self, model: Model, child: Child, *, width: int, value: Any, reason: str) -> None:
        """Values that are no points."""
        names = [f"none/{index}" for index in range(width)]
        assert not child.ask("log", run_id=model.run_id, number=1, names=names, value=value)
        model.note("points", set(names), is_accepted=False, reason=reason)

    def say(self, model: Model, child: Child, *, lines: int, mark: str) -> None:
        """Lines, also more than the ring or the spool has room for."""
        first = self.next_number(lines)
        accepted = set(child.ask("say", run_id=model.run_id, first=first, lines=lines, mark=mark))
        model.note("lines", accepted, is_accepted=True)
        model.note("lines", set(range(first, first + lines)) - accepted, is_accepted=False)

    def say_at_no_level(self, model: Model, child: Child) -> None:
        """A line that is not valid."""
        assert not child.ask("say", run_id=model.run_id, first=1, lines=1, mark=WELCOME, level="?")
        model.note("lines", {1}, is_accepted=False, reason="invalid")

    def trace(self, model: Model, child: Child, *, is_large: bool) -> None:
        """A span, which is cut if it is too large for a record."""
        number = self.next_number()
        child.ask("trace", run_id=model.run_id, number=number, is_large=is_large)
        model.note("spans", {number}, is_accepted=not model.is_finished)

    def open_span(self, model: Model, child: Child) -> None:
        """A span that will never end."""
        number = self.next_number()
        model.open_spans.add(number)
        child.ask("open_span", run_id=model.run_id, number=number)

    @precondition(has_live)
    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        """A program waits until all is answered; if that is so, the server has what was not refused."""
        model, child = self.live(data)
        if not child.ask("flush", run_id=model.run_id, timeout_s=0.3) or model.mode == "offline":
            return
        ledger, held = child.ask("ledger", run_id=model.run_id), self.judge.held(model.run_id)
        for signal in SIGNALS:
            given_up = 0 if self.is_exact else sum(ledger[signal]["evicted"].values())
            stored = len(held.units[signal])
            assert stored - given_up <= ledger[signal]["delivered"] <= stored
            assert ledger[signal]["waiting_ring"] == ledger[signal]["waiting_spool"] == 0

    @precondition(has_live)
    @rule(data=st.data(), timeout_s=st.sampled_from([0.0, 0.3]))
    def finish(self, data: st.DataObject, timeout_s: float) -> None:
        """A run ends, or is ended once more."""
        model, child = self.live(data)
        child.ask("finish", run_id=model.run_id, timeout_s=timeout_s)
        model.is_finished = True

    @precondition(has_live)
    @rule(data=st.data())
    def restart_sender(self, data: st.DataObject) -> None:
        """A run's sender begins anew."""
        model, child = self.live(data)
        child.ask("restart_sender", run_id=model.run_id)

    # What happens to it.

    @precondition(lambda self: self.children)
    @rule(data=st.data(), size=DISKS)
    def limit_the_disk(self, data: st.DataObject, size: int) -> None:
        """The disk takes nothing, or only the beginning of a file; or there is room again."""
        data.draw(st.sampled_from(self.children)).ask("limit_files", size=size)

    @rule(server=SERVERS)
    def change_the_server(self, server: Any) -> None:
        """The server fails from now on, or is well."""
        self.judge.outage = None if server == AWAY else server
        self.is_exact = self.is_exact and server != LOST_ANSWER
        if self.is_listening and server == AWAY:
            self.collector.stop()
        if not self.is_listening and server != AWAY:
            self.collector.start()
        self.is_listening = server != AWAY

    @precondition(has_live)
    @rule(data=st.data(), after_s=MOMENTS_S, during=st.sampled_from(["ledger", "flush", "finish"]))
    def kill(self, data: st.DataObject, after_s: float, during: str) -> None:
        """SIGKILL, also in the middle of a flush or finish."""
        model, child = self.live(data)
        more = {} if during == "ledger" else {"timeout_s": 0.3}
        child.ask_and_kill(after_s, during, run_id=model.run_id, **more)
        self.gone(child, is_killed=True)

    @precondition(lambda self: self.children)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A program comes to its end without a word to Rundial."""
        child = data.draw(st.sampled_from(self.children))
        child.leave()
        self.gone(child, is_killed=False)

    def gone(self, child: Child, *, is_killed: bool) -> None:
        """Forget a process."""
        self.children.remove(child)
        # A kill may come between a server's answer and the note of it.
        self.is_exact = self.is_exact and not is_killed
        for model in self.models:
            if model.child is child:
                model.child = None

    # What becomes of what it left.

    @precondition(lambda self: not self.children)
    @rule()
    def wait_for_a_week(self) -> None:
        """What lies on the disk becomes too old."""
        for path in self.root.rglob("*.seg"):
            before = path.stat()
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns - LONG_AGO_NS))

    @rule(size=DISKS, killed_after_s=st.none() | MOMENTS_S)
    def sync(self, size: int, killed_after_s: float | None) -> None:
        """Somebody syncs, on a disk that may be full, and may be killed in the middle of it."""
        child = self.nursery.fork()
        child.ask("limit_files", size=size)
        arguments = {"root": str(self.root), "endpoint": self.collector.url, "timeout_s": 0.3}
        if killed_after_s is None:
            child.ask("sync", **arguments)
            child.leave()
        else:
            self.is_exact = False
            child.ask_and_kill(killed_after_s, "sync", **arguments)

    @precondition(lambda self: not self.children and self.root.exists())
    @rule()
    def sync_a_copy(self) -> None:
        """A copy of what is left is synced after the original, and once more: nothing changes."""
        self.change_the_server(None)
        copy = self.place / "copy"
        shutil.copytree(self.root, copy)
        self.sync_all()
        before = [self.facts(model) for model in self.models]
        for _ in range(2):
            again = self.place / "again"
            shutil.copytree(copy, again)
            self.sync_all(again)
            shutil.rmtree(again)
        shutil.rmtree(copy)

        assert [self.facts(model) for model in self.models] == before

    def facts(self, model: Model) -> tuple[Any, ...]:
        """Return all that the server knows of a run."""
        held = self.judge.held(model.run_id)
        return dict(held.said), {signal: set(units) for signal, units in held.units.items()}

    def sync_all(self, root: Path | None = None) -> None:
        """Sync while all is well: nothing stays."""
        root = root or self.root
        child = self.nursery.fork()
        results = child.ask("sync", root=str(root), endpoint=self.collector.url, timeout_s=PATIENCE_S)
        child.leave()

        assert [result["why"] for result in results] == [""] * len(results), results
        assert all(set(result["waiting"].values()) == {0} for result in results)
        assert [path for path in root.rglob("*") if path.is_file() and KEPT not in path.parts] == []

    @invariant()
    def ledgers_close(self) -> None:
        """At every moment each living run's account closes and says what the program was told."""
        for model in self.models:
            if model.child is not None:
                ledger = model.child.ask("ledger", run_id=model.run_id)
                model.check(ledger, self.judge.held(model.run_id))

    def teardown(self) -> None:
        """All programs end, some orderly; what they left is synced, and every unit has its fate."""
        try:
            self.change_the_server(None)
            self.end_all()
            if self.root.exists():
                self.sync_all()
            for model in self.models:
                model.check_stored(self.judge.held(model.run_id), is_exact=self.is_exact)
        finally:
            self.collector.stop()
            shutil.rmtree(self.place)

    def end_all(self) -> None:
        """Let programs be killed or leave in order, by turns; which comes first is as good as drawn."""
        for turn, child in enumerate(self.children[:], self.number):
            if turn % 3 == 0:
                child.leave()
            else:
                child.kill()
            self.gone(child, is_killed=turn % 3 != 0)


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    """Processes, ready at once."""
    with Nursery("tests.support.puppet") as parent:
        yield parent


def test_every_unit_is_stored_once_or_lost_for_a_reason(nursery: Nursery) -> None:
    """After any order of logging, faults, kills, adoption and sync, the books of client and server close."""
    run_state_machine_as_test(
        lambda: LedgerMachine(nursery),
        settings=settings(
            max_examples=rounds(8),
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        ),
    )
