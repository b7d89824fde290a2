"""From the ring into the spool: frames, then the tail, then the sender; nothing lost, nothing twice."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from rundial.recorder import layout
from rundial.recorder.layout import Kind
from rundial.recorder.recovery import recover
from tests.unit.recorder.builders import (
    RESOURCE,
    Rig,
    dead_copy,
    fill,
    frames,
    killed,
    left_in,
    lines,
    log,
    log_records,
    points,
    ring_file,
    say,
    span,
)


def steps(run_path: Path) -> list[int | None]:
    """Return the steps of the points in a spool."""
    return [step for _, step, _ in points(run_path)]


def evicted(rig: Rig, number: int) -> dict[str, int]:
    """Return what the ring gave up of a run."""
    from rundial.recorder import counters

    return counters.evicted(rig.ring.file.words, number)


def test_nothing_is_shown_to_the_sender_before_the_ring_has_let_go(tmp_path: Path) -> None:
    """Rule 15: frames, then the tail, then the sender."""
    rig = Rig(tmp_path)
    run = rig.attach()
    tails: list[tuple[int, int]] = []

    def look() -> None:
        tails.append((rig.ring.file.words[layout.WORD_TAIL], rig.ring.head))
        assert run.spool.lanes["metrics"].peek() is not None

    run.encoder.on_publish = look
    log(run, 1)
    assert run.spool.lanes["metrics"].peek() is None
    rig.work()

    assert len(tails) == 1
    assert tails[0][0] == tails[0][1]


def test_a_kill_before_the_tail_moves_recovers_each_record_once(tmp_path: Path) -> None:
    """Rule 15: frames written and ring not released, the likeliest moment of a kill, doubles nothing."""
    rig = Rig(tmp_path)
    run = rig.attach()
    for step in range(20):
        log(run, step)
        say(run, str(step))
    before = killed(rig.ring.file)
    assert rig.work()
    shutil.copytree(run.spool.path, tmp_path / "dead")
    from rundial.spool.spool import Spool

    spool = Spool.adopt(tmp_path / "dead")
    found = recover(before, run.slot.index, spool, RESOURCE)

    assert found.units == (0, 0, 0)
    assert steps(spool.path) == list(range(20))
    assert lines(spool.path) == [str(step) for step in range(20)]


def test_a_full_disk_loses_nothing_that_the_ring_can_hold(tmp_path: Path) -> None:
    """Rule 15: what a lane refuses stays in the ring, in order, until it can be written."""
    rig = Rig(tmp_path)
    run = rig.attach()
    metrics = run.fragile("metrics")
    metrics.is_broken = True
    for step in range(30):
        log(run, step)
        say(run, str(step))
        if step % 7 == 0:
            assert not rig.work()
    assert "No space" in str(rig.encoder.failure)
    assert run.recorder.ledger().closes
    metrics.is_broken = False
    assert rig.work()

    assert rig.encoder.failure is None
    assert steps(run.spool.path) == list(range(30))
    assert lines(run.spool.path) == [str(step) for step in range(30)]
    ledger = run.recorder.ledger()
    assert (ledger.points.recorded, ledger.points.waiting_ring, ledger.points.lost) == (30, 0, 0)
    assert ledger.closes


def test_a_spool_without_room_keeps_the_rest_in_the_ring(tmp_path: Path) -> None:
    """The spool's own bound, reached by run events that may not be evicted, costs none of them."""
    rig = Rig(tmp_path, size_bytes=4 << 20)
    run = rig.attach(max_bytes=1 << 20)
    noise = random.Random(1)
    for number in range(60):
        run.recorder.event("rundial.run.config", {"config": {f"c{number}": noise.randbytes(20_000).hex()}})
    log(run, 1)
    assert not rig.work()

    assert "no room" in str(rig.encoder.failure)
    assert run.recorder.ledger().closes
    on_disk = len(log_records(run.spool.path, "events"))
    in_ring = [record for record in left_in(killed(rig.ring.file)) if record.kind == Kind.EVENT]
    assert 0 < on_disk < 60
    assert len(in_ring) == 60


def test_while_the_spool_cannot_be_written_the_oldest_is_evicted_and_counted(tmp_path: Path) -> None:
    """Rule 15: a ring that overflows meanwhile keeps the newest, and the ledger says what went."""
    rig = Rig(tmp_path, size_bytes=layout.HEADER_BYTES + (64 << 10))
    run = rig.attach()
    logs = run.fragile("logs")
    logs.is_broken = True
    total = 0
    for _ in range(6):
        for _ in range(15):
            assert say(run, f"{total:04d}" + "x" * 900)
            total += 1
        assert not rig.work()
    logs.is_broken = False
    assert rig.work()

    found = [int(line[:4]) for line in lines(run.spool.path)]
    lost = evicted(rig, run.slot.index)["lines"]
    assert found == list(range(lost, total))
    assert 0 < lost < total
    ledger = run.recorder.ledger().lines
    assert (ledger.recorded, ledger.evicted, ledger.waiting_ring) == (total, {"spool_full": lost}, 0)
    assert ledger.closes


def test_eviction_counts_only_what_is_in_no_frame(tmp_path: Path) -> None:
    """Rule 15: the lane that works has its records; giving up the ring's copy loses only the other's."""
    rig = Rig(tmp_path, size_bytes=layout.HEADER_BYTES + (64 << 10))
    run = rig.attach()
    run.fragile("metrics").is_broken = True
    for number in range(60):
        log(run, number)
        say(run, f"{number:04d}" + "x" * 900)
        if number % 10 == 9:
            assert not rig.work()
    run.spool.lanes["metrics"].is_broken = False  # type: ignore[attr-defined]  # the fragile lane
    assert rig.work()

    ledger = run.recorder.ledger()
    assert [int(line[:4]) for line in lines(run.spool.path)] == list(range(60))
    assert ledger.lines.evicted == {}
    lost = ledger.points.evicted["spool_full"]
    assert steps(run.spool.path) == list(range(lost, 60))
    assert lost > 0
    assert ledger.closes


def test_a_ring_whose_spool_can_be_written_evicts_nothing(tmp_path: Path) -> None:
    """Rule 15: a burst that the encoder has not got to is refused as queue_full, never evicted."""
    rig = Rig(tmp_path, size_bytes=layout.HEADER_BYTES + (64 << 10))
    run = rig.attach()
    fill(rig.ring, run.slot, body_bytes=500)
    rig.work()
    fill(rig.ring, run.slot, body_bytes=500)
    rig.work()

    assert evicted(rig, run.slot.index) == {"points": 0, "lines": 0, "spans": 0, "artifacts": 0}
    assert run.recorder.ledger().lines.dropped == {"queue_full": 2}


def test_one_runs_broken_spool_does_not_hold_up_another(tmp_path: Path) -> None:
    """What the healthy run wrote is sent although the ring cannot be released yet."""
    rig = Rig(tmp_path)
    sick, well = rig.attach("sick"), rig.attach("well")
    sick.fragile("metrics").is_broken = True
    log(sick, 1)
    log(well, 2)
    assert not rig.work()

    found = well.spool.lanes["metrics"].peek()
    assert found is not None
    well.spool.lanes["metrics"].ack(found[0], delivered=1)
    assert sick.spool.lanes["metrics"].peek() is None
    sick.spool.lanes["metrics"].is_broken = False  # type: ignore[attr-defined]  # the fragile lane
    assert rig.work()
    assert steps(well.spool.path) == [2]
    assert steps(sick.spool.path) == [1]
    assert well.recorder.ledger().points.delivered == 1
    assert well.recorder.ledger().closes


def test_many_laps_through_a_small_ring_arrive_whole(tmp_path: Path) -> None:
    """Wraps of all kinds of records, at all offsets, cost nothing."""
    rig = Rig(tmp_path, size_bytes=layout.HEADER_BYTES + (64 << 10))
    run = rig.attach()
    for number in range(600):
        assert say(run, f"{number} " + "x" * (number * 37 % 1900))
        assert log(run, number, names=tuple(f"k{index}" for index in range(number % 23 + 1)))
        if number % 20 == 19:
            assert rig.work()
    rig.work()

    assert rig.ring.head > 9 * rig.ring.capacity
    assert [int(line.split()[0]) for line in lines(run.spool.path)] == list(range(600))
    assert [step for name, step, _ in points(run.spool.path) if name == "k0"] == list(range(600))
    assert run.recorder.ledger().closes


def test_a_moved_rings_rest_gets_to_disk_before_what_comes_after(tmp_path: Path) -> None:
    """Rule 6: after the ring's file was deleted every record arrives, in order."""
    rig = Rig(tmp_path)
    run = rig.attach()
    log(run, 1)
    old = rig.ring.file
    assert old.path is not None
    old.path.unlink()
    rig.encoder.move_ring(ring_file(tmp_path, size_bytes=1 << 20))
    log(run, 2)
    rig.work()

    assert steps(run.spool.path) == [1, 2]
    assert rig.ring.file is not old
    with pytest.raises(ValueError, match="released"):
        old.words[0]
    ledger = run.recorder.ledger()
    assert ledger.points.recorded == 2
    assert ledger.closes


def test_a_moved_rings_rest_waits_for_a_disk_that_is_full(tmp_path: Path) -> None:
    """Rules 6 and 15 together: moved, moved again and mended, and still each record once."""
    rig = Rig(tmp_path)
    run = rig.attach()
    metrics = run.fragile("metrics")
    metrics.is_broken = True
    for step in range(3):
        log(run, 2 * step)
        rig.encoder.move_ring(ring_file(tmp_path, size_bytes=1 << 20))
        log(run, 2 * step + 1)
        assert not rig.work()
    waiting = run.recorder.ledger()
    assert waiting.points.waiting_ring == 6
    assert waiting.closes
    metrics.is_broken = False
    assert rig.work()

    assert steps(run.spool.path) == list(range(6))
    assert run.recorder.ledger().closes


def test_a_moved_rings_rest_is_not_overtaken(tmp_path: Path) -> None:
    """Rule 15: a lane that refuses the old ring's frame alone gets nothing of the new ring before it."""
    rig = Rig(tmp_path)
    run = rig.attach()
    metrics = run.fragile("metrics")
    log(run, 1)
    metrics.fails_once = True
    rig.encoder.move_ring(ring_file(tmp_path, size_bytes=1 << 20))
    log(run, 2)
    metrics.fails_once = True
    assert not rig.work()
    assert steps(run.spool.path) == []
    assert rig.work()

    assert steps(run.spool.path) == [1, 2]


def test_a_dead_copy_at_any_moment_of_the_hand_over_is_whole(tmp_path: Path) -> None:
    """Rule 15: killed before, between or after the writes of a pass, recovery has each record once."""
    rig = Rig(tmp_path)
    run = rig.attach()
    dead = []

    class Killing:
        """A lane that leaves a corpse before and after each append."""

        def __init__(self, lane: object) -> None:
            self._lane = lane

        def append(self, frame: object) -> None:
            dead.append(dead_copy(rig, run, tmp_path / f"dead{len(dead)}"))
            self._lane.append(frame)  # type: ignore[attr-defined]  # a real lane
            dead.append(dead_copy(rig, run, tmp_path / f"dead{len(dead)}"))

        def __getattr__(self, name: str) -> object:
            return getattr(self._lane, name)

    for name in run.spool.lanes:
        run.spool.lanes[name] = Killing(run.spool.lanes[name])  # type: ignore[assignment]  # the encoder's side
    for take in range(2):
        log(run, take)
        say(run, f"line {take}")
        run.recorder.event("rundial.run.heartbeat", {})
        run.recorder.span_start(span(take + 1))
        run.recorder.span_end(span(take + 1, end_unix_ns=5))
        assert rig.work()

    assert len(dead) == 16
    for number, (file, spool) in enumerate(dead):
        recover(file, run.slot.index, spool, RESOURCE)
        takes = 1 if number < 8 else 2
        assert steps(spool.path) == list(range(takes))
        assert lines(spool.path) == [f"line {take}" for take in range(takes)]
        assert len(frames(spool.path, "traces")) <= takes
        assert spool.lanes["traces"].counts().appended == takes
