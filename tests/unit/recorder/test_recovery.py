"""Bringing a dead process's ring into its spool: everything, once, however often it is tried."""

from __future__ import annotations

import errno
import itertools
from pathlib import Path

import pytest

from rundial.recorder import layout
from rundial.recorder.layout import HEADER_BYTES
from rundial.recorder.recovery import recover
from rundial.recorder.scan import scan
from rundial.spool.frame import TOTALS
from rundial.spool.spool import Spool
from tests.unit.recorder.builders import (
    RESOURCE,
    FragileLane,
    Rig,
    RunParts,
    announced,
    dead_copy,
    lines,
    log,
    points,
    say,
    span,
    spans,
)


def busy(tmp_path: Path) -> tuple[Rig, RunParts]:
    """Return a run with records of every kind in its spool and in its ring."""
    rig = Rig(tmp_path)
    run = rig.attach()
    for step in range(3):
        log(run, step, names=("loss", "acc"))
        say(run, f"line {step}")
    run.recorder.span_start(span(1))
    assert rig.work()
    for step in range(3, 6):
        log(run, step, names=("loss", "acc"))
        say(run, f"line {step}")
    run.recorder.span_start(span(2))
    run.recorder.span_start(span(3))
    run.recorder.span_end(span(3, end_unix_ns=7_000))
    run.recorder.drop("points", "invalid", 2)
    return rig, run


def assert_whole(path: Path) -> None:
    """Everything of a busy run is there once, and its open span is reported as interrupted."""
    assert [step for name, step, _ in points(path) if name == "acc"] == list(range(6))
    assert lines(path) == [f"line {step}" for step in range(6)]
    ended = {int.from_bytes(each.span_id, "big"): each for each in spans(path)}
    assert len(spans(path)) == len(ended) == 2
    assert ended[3].end_time_unix_nano == 7_000
    assert [pair.key for pair in ended[2].attributes] == ["rundial.interrupted"]


def test_recovery_brings_everything_that_was_accepted(tmp_path: Path) -> None:
    """After kill -9 every point, line and span that was accepted is in the spool, once."""
    rig, run = busy(tmp_path)
    file, spool = dead_copy(rig, run, tmp_path / "dead")

    found = recover(file, run.slot.index, spool, RESOURCE)

    assert_whole(spool.path)
    assert found.units == (6, 3, 2)
    assert found.interrupted == 1
    assert found.dropped == {"points": {"invalid": 2}, "lines": {}, "spans": {}, "artifacts": {}}
    assert found.failed == (0, 0, 0)
    assert spool.lanes["metrics"].counts().appended == 12
    assert spool.lanes["metrics"].peek() is not None


def test_recovery_may_be_repeated(tmp_path: Path) -> None:
    """An adopter that was killed itself leaves nothing twice to the next."""
    rig, run = busy(tmp_path)
    file, spool = dead_copy(rig, run, tmp_path / "dead")
    recover(file, run.slot.index, spool, RESOURCE)
    again = recover(file, run.slot.index, spool, RESOURCE)
    spool.close()
    spool = Spool.adopt(tmp_path / "dead")
    recover(file, run.slot.index, spool, RESOURCE)

    assert_whole(spool.path)
    assert again.units == (0, 0, 0)


@pytest.mark.parametrize(("lane", "works"), list(itertools.product(["metrics", "logs", "traces"], [0, 1])))
def test_recovery_onto_a_full_disk_loses_nothing(tmp_path: Path, lane: str, works: int) -> None:
    """Rule 15: whatever could not be written is still in the ring, and the next try has it once."""
    rig, run = busy(tmp_path)
    file, spool = dead_copy(rig, run, tmp_path / "dead")
    whole = spool.lanes[lane]
    fragile = FragileLane(whole)
    fragile.takes = works
    spool.lanes[lane] = fragile  # type: ignore[assignment]  # the encoder's side of a lane
    if (lane, works) in (("metrics", 1), ("logs", 1)):
        recover(file, run.slot.index, spool, RESOURCE)
    else:
        with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}"):
            recover(file, run.slot.index, spool, RESOURCE)
    spool.lanes[lane] = whole

    recover(file, run.slot.index, spool, RESOURCE)
    assert_whole(spool.path)


def test_recovery_reads_one_runs_records_and_leaves_the_others(tmp_path: Path) -> None:
    """Rule 11: runs share a ring, and each spool gets its own."""
    rig = Rig(tmp_path)
    one, two = rig.attach("one"), rig.attach("two")
    for step in range(4):
        log(one if step % 2 else two, step)
    file, spool = dead_copy(rig, one, tmp_path / "dead1")
    other_file, other = dead_copy(rig, two, tmp_path / "dead2")
    recover(file, one.slot.index, spool, RESOURCE)
    recover(other_file, two.slot.index, other, RESOURCE)

    assert [step for _, step, _ in points(spool.path)] == [1, 3]
    assert [step for _, step, _ in points(other.path)] == [0, 2]


@pytest.mark.parametrize("is_of_this_boot", [False, True])
def test_a_damaged_ring_is_read_as_far_as_it_can_be_trusted(tmp_path: Path, *, is_of_this_boot: bool) -> None:
    """Rule 9: after a power cut, or on a disk that failed, up to the first damaged record and not beyond."""
    rig = Rig(tmp_path)
    run = rig.attach()
    for step in range(6):
        log(run, step)
    for flipped in (False, True):
        file, spool = dead_copy(rig, run, tmp_path / f"dead{flipped}")
        if not is_of_this_boot:
            file.words[layout.WORD_BOOT] ^= 1
        if flipped:
            found = scan(file, file.words[layout.WORD_TAIL])
            fourth = next(record for record in found if record.step == 4)
            file.memory[HEADER_BYTES + fourth.position % file.capacity + layout.BODY_AT] ^= 1
        recover(file, run.slot.index, spool, RESOURCE)

        assert [step for _, step, _ in points(spool.path)] == list(range(4 if flipped else 6))


def test_an_interrupted_span_ends_by_the_processs_own_clock(tmp_path: Path) -> None:
    """A point that the user dated into the year 2100 does not make a span last that long."""
    rig = Rig(tmp_path)
    run = rig.attach()
    run.recorder.span_start(span(1))
    keys = run.recorder.key_set(("loss",), ())
    run.recorder.row(keys, keys.pack(1.0), 1, run.recorder.explicit_unix_ns(4_102_444_800_000))
    file, spool = dead_copy(rig, run, tmp_path / "dead")
    found = recover(file, run.slot.index, spool, RESOURCE)

    (interrupted,) = spans(spool.path)
    assert interrupted.end_time_unix_nano == found.last_unix_ns
    assert found.last_unix_ns < 4_102_444_800_000_000_000
    assert interrupted.status.message == "the process ended before the span did"


def test_a_span_announced_by_the_dead_process_is_not_announced_again(tmp_path: Path) -> None:
    """Rule 21: recovery reports what is open as interrupted; it announces nothing."""
    rig, run = busy(tmp_path)
    file, spool = dead_copy(rig, run, tmp_path / "dead")
    recover(file, run.slot.index, spool, RESOURCE)

    assert announced(spool.path) == [f"{1:016x}"]


def test_what_the_dead_encoder_could_not_encode_stays_counted(tmp_path: Path) -> None:
    """internal_error stands in no ring header, only in frames; recovery reads it there."""
    rig = Rig(tmp_path)
    run = rig.attach()
    rig.ring.record(layout.Kind.TEXT, run.slot, b"", signal="lines")
    say(run, "good")
    rig.work()
    rig.ring.record(layout.Kind.TEXT, run.slot, b"", signal="lines")
    say(run, "good too")
    file, spool = dead_copy(rig, run, tmp_path / "dead")

    for _ in range(2):
        found = recover(file, run.slot.index, spool, RESOURCE)
        assert found.failed == (0, 2, 0)
        assert found.dropped["lines"] == {}
    assert spool.lanes["logs"].last.totals[TOTALS.index("internal_error")] == 2


def test_a_poison_record_does_not_stop_recovery(tmp_path: Path) -> None:
    """One record that cannot be read back costs itself."""
    rig = Rig(tmp_path)
    run = rig.attach()
    say(run, "before")
    rig.ring.record(layout.Kind.TEXT, run.slot, b"", signal="lines")
    rig.ring.record(layout.Kind.SPAN_START, run.slot, b"{")
    say(run, "after")
    file, spool = dead_copy(rig, run, tmp_path / "dead")

    assert recover(file, run.slot.index, spool, RESOURCE).failed == (0, 1, 0)
    assert lines(spool.path) == ["before", "after"]


def test_a_ring_that_evicted_says_so_after_its_process_died(tmp_path: Path) -> None:
    """Rule 15: units given up while the spool could not be written are in the dead run's ledger."""
    rig = Rig(tmp_path, size_bytes=HEADER_BYTES + (64 << 10))
    run = rig.attach()
    logs = run.fragile("logs")
    logs.is_broken = True
    for number in range(90):
        assert say(run, f"{number:04d}" + "x" * 900)
        if number % 15 == 14:
            assert not rig.work()
    file, spool = dead_copy(rig, run, tmp_path / "dead")
    found = recover(file, run.slot.index, spool, RESOURCE)

    lost = found.evicted["lines"]
    assert lost > 0
    assert [int(line[:4]) for line in lines(spool.path)] == list(range(lost, 90))


def test_an_empty_ring_recovers_to_nothing(tmp_path: Path) -> None:
    """A process that was killed idle leaves its spool as it is."""
    rig = Rig(tmp_path)
    run = rig.attach()
    log(run, 1)
    rig.work()
    file, spool = dead_copy(rig, run, tmp_path / "dead")

    found = recover(file, run.slot.index, spool, RESOURCE)
    assert (found.units, found.last_unix_ns) == ((0, 0, 0), 0)
    assert [step for _, step, _ in points(spool.path)] == [1]


def test_a_single_record_of_this_boot_is_recovered(tmp_path: Path) -> None:
    """Within one boot nothing has to be confirmed: the last words of a process are not given up."""
    rig = Rig(tmp_path)
    run = rig.attach()
    say(run, "last words")
    file, spool = dead_copy(rig, run, tmp_path / "dead")
    file.words[layout.WORD_BOOT] = rig.ring.file.words[layout.WORD_BOOT]

    assert recover(file, run.slot.index, spool, RESOURCE).units == (0, 1, 0)
    assert lines(spool.path) == ["last words"]


def test_the_last_time_is_the_last_even_one(tmp_path: Path) -> None:
    """How long a process lived is told by its own clock to the nanosecond."""
    rig = Rig(tmp_path)
    run = rig.attach()
    for step in range(12):
        log(run, step)
        say(run, f"line {step}")
    run.recorder.text(b"dated", 4_102_444_800_000)
    file, spool = dead_copy(rig, run, tmp_path / "dead")
    times = [record.time_unix_ns for record in scan(file, file.words[layout.WORD_TAIL])]
    found = recover(file, run.slot.index, spool, RESOURCE)

    assert found.last_unix_ns == times[-2] == max(times[:-1])


def test_what_the_dead_process_dropped_itself_is_not_taken_for_what_it_could_not_encode(
    tmp_path: Path,
) -> None:
    """Two losses of one reason are told apart, and each is counted once."""
    rig = Rig(tmp_path)
    run = rig.attach()
    run.recorder.drop("lines", "internal_error", 4)
    rig.ring.record(layout.Kind.TEXT, run.slot, b"", signal="lines")
    rig.work()
    say(run, "good")
    file, spool = dead_copy(rig, run, tmp_path / "dead")
    found = recover(file, run.slot.index, spool, RESOURCE)

    assert (found.failed, found.dropped["lines"]) == ((0, 1, 0), {"internal_error": 4})
    assert spool.lanes["logs"].last.totals[TOTALS.index("internal_error")] == 5
