"""One run's way into the ring, and the account of what became of all that was offered."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.diagnostics import Ledger, SignalLedger
from rundial.recorder import layout
from rundial.recorder.layout import HEADER_BYTES, Kind
from rundial.recorder.runrecorder import explicit_unix_ns
from rundial.spool.spool import Spool
from tests.unit.recorder.builders import Rig, RunParts, left_in, log, say, span
from tests.unit.spool.builders import meta


def answer(spool: Spool, lane: str, *, delivered: int, rejected: int = 0) -> None:
    """Answer the oldest frame of a lane."""
    found = spool.lanes[lane].peek()
    assert found is not None
    spool.lanes[lane].ack(found[0], delivered=delivered, rejected=rejected)


def offered(tmp_path: Path) -> tuple[Rig, RunParts]:
    """Return a run with six points, two lines, one ended span and an open one in its ring."""
    rig = Rig(tmp_path)
    run = rig.attach()
    for step in range(3):
        log(run, step, names=("loss", "acc"))
    for line in ("one", "two"):
        say(run, line)
    run.recorder.span_start(span(1))
    run.recorder.span_start(span(2))
    run.recorder.span_end(span(2, end_unix_ns=7_000))
    run.recorder.event("rundial.run.start", {"name": "x"})
    return rig, run


def test_ledger_follows_each_unit_from_the_ring_to_the_server(tmp_path: Path) -> None:
    """Where every point, line and span is can be asked at any moment, and the account closes."""
    rig, run = offered(tmp_path)
    in_ring = run.recorder.ledger()
    rig.work()
    on_disk = run.recorder.ledger()
    answer(run.spool, "metrics", delivered=4, rejected=2)
    answer(run.spool, "logs", delivered=2)
    answered = run.recorder.ledger()

    assert in_ring == Ledger(
        SignalLedger(recorded=6, waiting_ring=6),
        SignalLedger(recorded=2, waiting_ring=2),
        SignalLedger(recorded=1, waiting_ring=1),
    )
    assert on_disk == Ledger(
        SignalLedger(recorded=6, waiting_spool=6),
        SignalLedger(recorded=2, waiting_spool=2),
        SignalLedger(recorded=1, waiting_spool=1),
    )
    assert answered == Ledger(
        SignalLedger(recorded=6, delivered=4, rejected=2),
        SignalLedger(recorded=2, delivered=2),
        SignalLedger(recorded=1, waiting_spool=1),
    )
    assert in_ring.closes
    assert on_disk.closes
    assert answered.closes


def test_each_record_enters_the_ring_as_what_it_is(tmp_path: Path) -> None:
    """Recovery after a kill knows text from events and a span's start from its end."""
    rig, run = offered(tmp_path)
    kinds = [record.kind for record in left_in(rig.ring.file)]

    assert kinds == [
        Kind.KEYS,
        *[Kind.ROW] * 3,
        *[Kind.TEXT] * 2,
        Kind.SPAN_START,
        Kind.SPAN_START,
        Kind.SPAN_END,
        Kind.EVENT,
    ]
    assert run.slot.accepted == [6, 2, 1, 0]


def test_drops_stand_in_the_ledger_by_reason(tmp_path: Path) -> None:
    """What never entered the ring is counted for its signal and its reason."""
    rig = Rig(tmp_path)
    run = rig.attach()
    run.recorder.drop("points", "invalid", 2)
    run.recorder.drop("points", "non_finite", 3)
    run.recorder.drop("lines", "too_large", 1)
    ledger = run.recorder.ledger()

    assert ledger.points == SignalLedger(dropped={"invalid": 2, "non_finite": 3})
    assert ledger.lines == SignalLedger(dropped={"too_large": 1})
    assert ledger.spans == SignalLedger()


def test_what_cannot_be_encoded_is_a_drop_and_not_recorded(tmp_path: Path) -> None:
    """A record that the ring took and nobody can read back is not waiting for ever."""
    rig = Rig(tmp_path)
    run = rig.attach()
    say(run, "good")
    run.recorder.drop("lines", "internal_error", 4)
    rig.ring.record(Kind.TEXT, run.slot, b"", signal="lines")
    rig.ring.record(Kind.TEXT, run.slot, b"", signal="lines")
    rig.work()
    ledger = run.recorder.ledger()

    assert ledger.lines == SignalLedger(recorded=1, dropped={"internal_error": 6}, waiting_spool=1)
    assert ledger.closes


def test_what_comes_after_the_end_is_counted_as_that(tmp_path: Path) -> None:
    """A line logged after `finish` is refused and counted, and the run's own end is not."""
    rig = Rig(tmp_path)
    run = rig.attach()
    run.recorder.drop("lines", "invalid", 1)
    run.recorder.close()

    assert not say(run, "late")
    assert not log(run, 1, names=("loss", "acc"))
    assert run.recorder.event("rundial.run.finish", {"status": "completed"})
    ledger = run.recorder.ledger()
    assert ledger.lines == SignalLedger(dropped={"invalid": 1, "after_finish": 1})
    assert ledger.points == SignalLedger(dropped={"after_finish": 2})
    assert ledger.closes


def test_what_the_ring_gave_up_stands_beside_what_the_spool_did(tmp_path: Path) -> None:
    """A full disk's losses are one number, whether memory or the disk gave up."""
    rig = Rig(tmp_path, size_bytes=HEADER_BYTES + (64 << 10))
    run = rig.attach(segment_bytes=1)
    for line in ("one", "two"):
        say(run, line)
        rig.work()
    assert run.spool.lanes["logs"].evict("spool_full") == 1
    logs = run.fragile("logs")
    logs.is_broken = True
    for number in range(90):
        assert say(run, f"{number:04d}" + "x" * 900)
        if number % 15 == 14:
            rig.work()
    during = run.recorder.ledger().lines
    logs.is_broken = False
    rig.work()
    after = run.recorder.ledger().lines

    assert during.evicted["spool_full"] > 1
    assert (during.recorded, during.waiting_spool) == (92, 1)
    assert during.waiting_ring == 92 - during.evicted["spool_full"] - 1
    assert (after.waiting_ring, after.evicted) == (0, during.evicted)
    assert during.closes
    assert after.closes


def test_counts_of_a_lost_spool_are_carried_into_the_next(tmp_path: Path) -> None:
    """Whoever removes a live run's spool loses what waited in it, counted, and nothing else."""
    rig, run = offered(tmp_path)
    totals = []
    for number in range(3):
        rig.work()
        answer(run.spool, "metrics", delivered=4, rejected=2)
        for step in range(2):
            log(run, step, names=("loss", "acc"))
        rig.work()
        with rig.encoder.pass_lock:
            run.recorder.carry()
            run.encoder.move_to(Spool.create(tmp_path / "spool", meta(f"again-{number}")))
        run.spool = run.encoder.spool
        for step in range(3):
            log(run, step, names=("loss", "acc"))
        totals.append(run.recorder.ledger())

    assert [ledger.points for ledger in totals] == [
        SignalLedger(
            recorded=6 * (number + 1) + 4 * number,
            delivered=4 * number,
            rejected=2 * number,
            evicted={"internal_error": 4 * number},
            waiting_ring=6,
        )
        for number in (1, 2, 3)
    ]
    assert totals[0].lines == SignalLedger(recorded=2, evicted={"internal_error": 2})
    assert totals[2].lines == totals[0].lines
    assert all(ledger.closes for ledger in totals)


def test_carried_evictions_keep_their_reasons(tmp_path: Path) -> None:
    """Why something was lost stays known when its spool is gone."""
    rig, run = offered(tmp_path)
    rig.work()
    run.spool.lanes["metrics"].evict("spool_full")
    run.spool.lanes["logs"].evict("spool_expired")
    with rig.encoder.pass_lock:
        run.recorder.carry()
        run.encoder.move_to(Spool.create(tmp_path / "spool", meta("again")))
    ledger = run.recorder.ledger()

    assert ledger.points == SignalLedger(recorded=6, evicted={"spool_full": 6})
    assert ledger.lines == SignalLedger(recorded=2, evicted={"spool_expired": 2})
    assert ledger.spans == SignalLedger(recorded=1, evicted={"internal_error": 1})


def test_frozen_account_is_not_changed_by_the_next_run_in_the_slot(tmp_path: Path) -> None:
    """A finished run's ledger stays what it was."""
    rig, run = offered(tmp_path)
    run.recorder.drop("points", "invalid", 2)
    rig.work()
    before = run.recorder.ledger()
    run.recorder.freeze()
    for word in range(layout.SIGNAL_WORDS * 3):
        rig.ring.file.words[layout.slot_word(run.slot.index, 0) + word] = 7

    assert run.recorder.ledger() == before
    assert before.points.dropped == {"invalid": 2}


@pytest.mark.parametrize("time_ms", [0, 1, 1_700_000_000_123])
def test_users_own_times_are_odd_and_never_the_same(time_ms: int) -> None:
    """Two points that a user stamped alike are still two points, within the millisecond he said."""
    times = [explicit_unix_ns(time_ms) for _ in range(100)]

    assert len(set(times)) == 100
    assert {time % 2 for time in times} == {1}
    assert {time // 1_000_000 for time in times} == {time_ms}


def test_text_carries_the_time_that_was_given(tmp_path: Path) -> None:
    """A line that a handler dated keeps its date; one without gets the clock's."""
    rig = Rig(tmp_path)
    run = rig.attach()
    run.recorder.text(b"dated", 1_700_000_000_123)
    run.recorder.text(b"epoch", 0)
    run.recorder.text(b"now")
    times = [record.time_unix_ns for record in left_in(rig.ring.file)]

    assert times[0] // 1_000_000 == 1_700_000_000_123
    assert times[1] // 1_000_000 == 0
    assert [time % 2 for time in times] == [1, 1, 0]
    assert times[2] // 1_000_000 > 1_700_000_000_123


def test_key_sets_are_the_processs_own(tmp_path: Path) -> None:
    """Two runs that log the same names share them."""
    rig = Rig(tmp_path)
    one, two = rig.attach("one"), rig.attach("two")
    keys = one.recorder.key_set(["loss"], (("split", "val"),))

    assert keys is two.recorder.key_set(("loss",), (("split", "val"),))
    assert keys is not one.recorder.key_set(("loss",), ())
    assert (keys.names, keys.attributes) == (("loss",), (("split", "val"),))


@pytest.mark.parametrize("miscounted", [-1, 2])
def test_what_an_exception_kept_from_being_counted_is_settled(tmp_path: Path, miscounted: int) -> None:
    """A signal handler that raises between a record and its count leaves an account that closes."""
    rig = Rig(tmp_path)
    run = rig.attach()
    for line in ("one", "two", "three"):
        say(run, line)
    run.slot.accepted[1] += miscounted
    rig.work()
    ledger = run.recorder.ledger()

    assert ledger.lines == SignalLedger(recorded=3, waiting_spool=3)
    say(run, "four")
    assert run.recorder.ledger().lines == SignalLedger(recorded=4, waiting_ring=1, waiting_spool=3)
