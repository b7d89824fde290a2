"""Spans that are open for long are interrupted by a kill, though their starts have left the ring."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.recorder import openspans
from rundial.recorder.openspans import MAX_SPANS, NAME, OpenSpans
from rundial.recorder.recovery import recover
from rundial.spool.spool import Spool
from tests.unit.recorder.builders import RESOURCE, Rig, RunParts, dead_copy, span, spans


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A ring and a spool."""
    return Rig(tmp_path)


@pytest.fixture
def run(rig: Rig) -> RunParts:
    """A run as a live process has it."""
    run = rig.attach()
    run.encoder.keeps_open = True
    return run


def open_in(run: RunParts) -> list[int]:
    """The ids of the spans that the run's file names."""
    return [each.span_id for each in openspans.load(run.spool.directory)]


def test_a_span_of_many_takes_is_interrupted_by_a_kill(rig: Rig, run: RunParts, tmp_path: Path) -> None:
    """Once each, with those of the last take, and not those that have ended."""
    for number in (1, 2):
        run.recorder.span_start(span(number, depth=number))
    assert rig.work()
    run.recorder.span_end(span(2, end_unix_ns=9_000))
    assert rig.work()
    run.recorder.span_start(span(3))
    file, spool = dead_copy(rig, run, tmp_path / "dead")

    found = recover(file, run.slot.index, spool, RESOURCE)
    again = recover(file, run.slot.index, spool, RESOURCE)

    stored = {int.from_bytes(each.span_id, "big"): each for each in spans(spool.path)}
    assert len(spans(spool.path)) == len(stored) == 3
    interrupted = [number for number, each in stored.items() if each.status.message]
    assert (sorted(interrupted), found.interrupted, again.units) == ([1, 3], 2, (0, 0, 0))
    assert stored[1].attributes[0].value.int_value == 1
    assert stored[2].end_time_unix_nano == 9_000


def test_an_end_that_is_still_in_the_ring_counts(rig: Rig, run: RunParts, tmp_path: Path) -> None:
    """A span that ended after the file was written is stored as it ended, and once."""
    run.recorder.span_start(span(1))
    assert rig.work()
    run.recorder.span_end(span(1, end_unix_ns=9_000))
    assert open_in(run) == [1]
    file, spool = dead_copy(rig, run, tmp_path / "dead")
    recover(file, run.slot.index, spool, RESOURCE)

    (stored,) = spans(spool.path)
    assert (stored.end_time_unix_nano, stored.status.code) == (9_000, 0)


def test_the_file_follows_the_set(rig: Rig, run: RunParts) -> None:
    """Short spans never come into it; it is written when something has changed, and only then."""
    run.recorder.span_start(span(1))
    run.recorder.span_end(span(1, end_unix_ns=9_000))
    assert rig.work()
    assert not (run.spool.path / NAME).exists()

    run.recorder.span_start(span(2))
    assert rig.work()
    written = (run.spool.path / NAME).stat().st_ino
    run.recorder.span_start(span(3))
    run.recorder.span_end(span(3, end_unix_ns=9_000))
    assert rig.work()
    assert (open_in(run), (run.spool.path / NAME).stat().st_ino) == ([2], written)

    run.recorder.span_end(span(2, end_unix_ns=9_000))
    assert rig.work()
    assert open_in(run) == []


def test_a_file_that_cannot_be_written_stops_no_frame(rig: Rig, run: RunParts) -> None:
    """What it is for is lost; the records are not, and the next change tries again."""
    blocked = run.spool.path / f"{NAME}.new"
    blocked.mkdir()
    run.recorder.span_start(span(1))
    run.recorder.span_start(span(2))
    run.recorder.span_end(span(2, end_unix_ns=9_000))
    assert rig.work()
    assert len(spans(run.spool.path)) == 1

    blocked.rmdir()
    run.recorder.span_start(span(3))
    assert rig.work()
    assert open_in(run) == [1, 3]


def test_a_set_without_end_is_bounded(tmp_path: Path) -> None:
    """A program that never ends its spans fills neither memory nor disk."""
    kept = OpenSpans()
    kept.add(span(number + 1) for number in range(MAX_SPANS + 10))
    kept.write(str(tmp_path))

    assert len(openspans.load(str(tmp_path))) == MAX_SPANS


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[1]\n", b"nonsense", b"\x01"])
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    """Whatever a power cut has left of it, the records of the run are recovered."""
    (tmp_path / NAME).write_bytes(content)

    assert openspans.load(str(tmp_path)) == []


def test_another_spool_gets_the_set_too(rig: Rig, run: RunParts, tmp_path: Path) -> None:
    """A spool that somebody removed is made again, with the spans that are open."""
    run.recorder.span_start(span(1))
    assert rig.work()
    other = Spool.create(tmp_path / "other", run.spool.meta)
    run.encoder.move_to(other)
    run.recorder.span_start(span(2))
    assert rig.work()

    assert [each.span_id for each in openspans.load(other.directory)] == [1, 2]
