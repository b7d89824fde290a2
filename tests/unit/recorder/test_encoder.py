"""The encoder: what was accepted gets from the ring into the spool, whatever fails in between."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from pathlib import Path

import pytest

from rundial.recorder import encoder as encoder_module
from rundial.recorder import layout
from rundial.recorder.encoder import Encoder
from rundial.recorder.layout import Kind
from rundial.recorder.ring import Ring
from tests.support.waiting import wait_until
from tests.unit.recorder.builders import Rig, empty, frames, keys_of, log, points, put, ring_file, say


def steps(run_path: Path) -> list[int | None]:
    """Return the steps of the points in a spool."""
    return [step for _, step, _ in points(run_path)]


def evicted(rig: Rig, number: int) -> dict[str, int]:
    """Return what the ring gave up of a run."""
    from rundial.recorder import counters

    return counters.evicted(rig.ring.file.words, number)


def test_seal_waits_until_everything_offered_is_on_disk(tmp_path: Path) -> None:
    """After seal nothing of what was logged before it is in the ring alone."""
    rig = Rig(tmp_path)
    run = rig.attach()
    rig.encoder.start()
    for step in range(50):
        log(run, step)
    assert rig.encoder.seal(10)

    assert steps(run.spool.path) == list(range(50))
    assert rig.ring.filled == 0
    assert rig.encoder.stop(10)
    assert not rig.encoder.is_running


def test_a_record_reaches_the_disk_without_being_asked_for(tmp_path: Path) -> None:
    """What a program logs and then forgets is on disk within the interval."""
    rig = Rig(tmp_path)
    run = rig.attach()
    reached = threading.Event()
    run.encoder.on_publish = reached.set
    encoder = Encoder(rig.ring, on_pass=lambda: None, interval_s=0.01)
    encoder.add(run.encoder)
    encoder.start()
    log(run, 1)

    assert reached.wait(10)
    assert steps(run.spool.path) == [1]
    assert encoder.stop(10)


def test_a_quarter_of_the_ring_wakes_the_encoder(tmp_path: Path) -> None:
    """A burst is not left to the interval."""
    rig = Rig(tmp_path)
    rig.ring._wake = rig.encoder.wake
    run = rig.attach()
    reached = threading.Event()
    run.encoder.on_publish = reached.set
    # An interval of 30 s: only the waking can do it.
    rig.encoder.start()
    while rig.ring.filled < 0.3:
        say(run, "x" * 4000)

    assert reached.wait(10)
    assert rig.encoder.stop(10)


def test_stop_brings_the_rest_to_disk(tmp_path: Path) -> None:
    """A process that ends leaves nothing in the ring that could have been written."""
    rig = Rig(tmp_path)
    run = rig.attach()
    rig.encoder.start()
    log(run, 1)
    assert rig.encoder.stop(10)

    assert steps(run.spool.path) == [1]


def test_seal_gives_up_at_its_deadline_and_at_once_when_the_thread_is_gone(tmp_path: Path) -> None:
    """Nobody waits for ever for an encoder that is stuck or has left."""
    rig = Rig(tmp_path)
    run = rig.attach()
    run.fragile("metrics").is_broken = True
    log(run, 1)
    rig.encoder.start()
    assert not rig.encoder.seal(0.05)
    assert rig.encoder.stop(10)

    assert not rig.encoder.seal(None)


def test_a_seal_that_failed_is_done_by_a_later_pass(tmp_path: Path) -> None:
    """Whoever waits is told when the disk is mended, not only the one who asks then."""
    rig = Rig(tmp_path)
    run = rig.attach()
    metrics = run.fragile("metrics")
    metrics.is_broken = True
    log(run, 1)
    encoder = Encoder(rig.ring, on_pass=lambda: None, interval_s=0.01)
    encoder.add(run.encoder)
    encoder.start()
    results: list[bool] = []
    waiting = threading.Thread(target=lambda: results.append(encoder.seal(15)))
    waiting.start()
    assert not encoder.seal(0.05)
    metrics.is_broken = False
    waiting.join(15)

    assert results == [True]
    assert encoder.stop(10)


def test_a_failing_upkeep_neither_stops_records_nor_who_waits_for_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in a heartbeat is told of once a minute, and flush still succeeds."""

    def fail() -> None:
        raise RuntimeError("heartbeat")

    rig = Rig(tmp_path, on_pass=fail)
    run = rig.attach()
    with caplog.at_level(logging.WARNING, logger="rundial"):
        for step in range(5):
            log(run, step)
            assert rig.work()

    assert steps(run.spool.path) == list(range(5))
    assert len(caplog.records) == 1
    assert isinstance(rig.encoder.failure, RuntimeError)


def test_who_waits_for_the_disk_does_not_wait_for_the_upkeep(tmp_path: Path) -> None:
    """A run's end waits for its records; an import or a heartbeat that is due can wait for it."""
    rig = Rig(tmp_path)
    run = rig.attach()
    may_go_on = threading.Event()
    awaited: list[bool] = []

    def upkeep() -> None:
        awaited.append(encoder.is_awaited)
        assert may_go_on.wait(15)

    encoder = Encoder(rig.ring, on_pass=upkeep, interval_s=30)
    encoder.add(run.encoder)
    log(run, 1)
    encoder.start()
    try:
        assert encoder.seal(10)
        assert steps(run.spool.path) == [1]
    finally:
        may_go_on.set()
    encoder.wake()
    wait_until(lambda: len(awaited) == 2, 10)
    assert encoder.stop(10)

    assert awaited[:2] == [True, False]


def test_a_run_that_was_released_during_a_pass_keeps_its_count(tmp_path: Path) -> None:
    """A diagnostics call after finish never shows a run's points twice."""
    rig = Rig(tmp_path)
    ending, other = rig.attach("ending"), rig.attach("other")
    for step in range(4):
        log(ending, step)
    rig.work()

    def release() -> None:
        # On another thread in life: the run's end comes while the pass is at its own last steps.
        rig.encoder.remove(ending.encoder)
        rig.ring.close_slot(ending.slot)

    other.encoder.on_publish = release
    ending.recorder.freeze()
    log(other, 1)
    runs = rig.encoder._runs
    rig.encoder._runs = {other.encoder.run: other.encoder, ending.encoder.run: ending.encoder}
    rig.work()

    assert runs is not rig.encoder._runs
    ledger = ending.recorder.ledger()
    assert ledger.points.recorded == 4
    assert ledger.closes


def test_the_encoder_leaves_the_switch_interval_alone() -> None:
    """Rule 12: the interpreter's settings are the program's."""
    import rundial.recorder

    sources = Path(rundial.recorder.__file__).parent.glob("*.py")
    assert not [path.name for path in sources if "setswitchinterval" in path.read_text()]


def test_the_encoder_pauses_after_each_chunk_unless_the_ring_fills(tmp_path: Path) -> None:
    """Rule 12: a training loop gets the interpreter back after 500 points, a log storm gets the encoder."""
    rig = Rig(tmp_path, size_bytes=layout.HEADER_BYTES + (64 << 10))
    waits: list[float | None] = []

    class Counted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return False

    rig.encoder._stopping = Counted()
    run = rig.attach()
    names = tuple(f"k{index}" for index in range(100))
    for step in range(25):
        assert log(run, step, names=names)
    assert rig.ring.filled < 0.5
    rig.work()
    assert waits == [0.0003] * 5

    waits.clear()
    while rig.ring.filled < 0.7:
        rig.ring.record(Kind.EVENT, run.slot, b'["e",{}]')
    for step in range(10):
        log(run, step, names=names)
    rig.work()
    assert waits == []


def test_a_record_of_a_run_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    """One run's end never stops the process's other runs."""
    rig = Rig(tmp_path)
    gone, there = rig.attach("gone"), rig.attach("there")
    log(gone, 1)
    log(there, 2)
    rig.encoder.remove(gone.encoder)

    assert rig.work()
    assert frames(gone.spool.path, "metrics") == []
    assert steps(there.spool.path) == [2]


def test_seal_of_a_stuck_encoder_ends_within_its_deadline_though_it_is_short(tmp_path: Path) -> None:
    """A flush with a short time is not held for the whole second after which a waiter looks around."""
    rig = Rig(tmp_path)
    run = rig.attach()
    run.fragile("metrics").is_broken = True
    log(run, 1)
    rig.encoder.start()
    begin = time.monotonic()
    results = [rig.encoder.seal(0.05) for _ in range(5)]
    took_s = time.monotonic() - begin

    assert results == [False] * 5
    assert 0.25 <= took_s < 5 * encoder_module.LIVENESS_S
    assert rig.encoder.stop(10)


def test_a_stop_that_cannot_be_had_in_time_says_so(tmp_path: Path) -> None:
    """Leaving does not wait for an encoder whose disk hangs."""
    entered, release = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        release.wait(15)

    rig = Rig(tmp_path, on_pass=hang)
    rig.encoder.start()
    rig.encoder.wake()
    assert entered.wait(10)

    assert not rig.encoder.stop(0.05)
    assert rig.encoder.is_running
    release.set()
    assert rig.encoder.stop(10)


def test_a_run_may_be_removed_twice(tmp_path: Path) -> None:
    """An end that comes from two sides is one end."""
    rig = Rig(tmp_path)
    run = rig.attach()
    rig.encoder.remove(run.encoder)
    rig.encoder.remove(run.encoder)

    assert rig.work()


def test_a_failure_is_warned_of_with_its_trace_and_where_the_records_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads the log can report our bug, and knows that nothing is lost by it."""

    def fail() -> None:
        raise RuntimeError("heartbeat")

    rig = Rig(tmp_path, on_pass=fail)
    with caplog.at_level(logging.WARNING, logger="rundial"):
        rig.work()

    (record,) = caplog.records
    assert "will try again; records stay in the ring" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


def test_the_thread_sleeps_between_its_passes(tmp_path: Path) -> None:
    """An idle run costs a pass an interval, and no more."""
    passes: list[int] = []
    rig = Rig(tmp_path, on_pass=lambda: passes.append(1))
    rig.encoder.start()
    assert rig.encoder.seal(10)
    sealed = len(passes)
    assert not threading.Event().wait(0.2)

    assert len(passes) == sealed <= 2
    assert rig.encoder.stop(10)


def test_a_disk_that_stays_full_is_tried_ever_more_rarely(tmp_path: Path) -> None:
    """A spool that cannot be written costs few passes, and is noticed within seconds when it can."""
    tries: list[float] = []
    rig = Rig(tmp_path, on_pass=lambda: tries.append(time.monotonic()))
    run = rig.attach()
    run.fragile("metrics").is_broken = True
    log(run, 1)
    encoder = Encoder(rig.ring, on_pass=lambda: tries.append(time.monotonic()), interval_s=0.02)
    encoder.add(run.encoder)
    encoder.start()
    wait_until(lambda: len(tries) >= 5, 10.0)
    assert encoder.stop(10)
    gaps = [after - before for before, after in itertools.pairwise(tries)]

    assert gaps[1] >= 0.08
    assert gaps[2] >= 0.16


def test_an_idle_encoder_is_woken_by_the_next_record(tmp_path: Path) -> None:
    """Where nothing is logged the clock wakes the thread once a second, and a record at once."""
    woken: list[int] = []
    ring = Ring(ring_file(), wake=lambda: woken.append(1))
    slot = ring.open_slot()
    keys = keys_of()
    empty(ring)

    assert ring.wake_at_next()
    assert woken == []
    assert put(ring, slot, 1, keys)
    assert put(ring, slot, 2, keys)
    # Once: those that follow are found with it, or when a quarter of the ring is full.
    assert woken == [1]
    assert not ring.wake_at_next()
