"""Spans that are open for long are interrupted by a kill, though their starts have left the ring."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundial.recorder import openspans
from rundial.recorder.mirror import Mirror
from rundial.recorder.openspans import MAX_BYTES, MAX_SPANS, NAME, SLACK_BYTES, OpenSpans
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


def test_a_set_without_end_is_bounded(run: RunParts) -> None:
    """A program that never ends its spans fills neither memory nor disk."""
    kept = OpenSpans()
    kept.add(span(number + 1) for number in range(MAX_SPANS + 10))
    kept.write((run.spool,))

    assert len(open_in(run)) == MAX_SPANS


def test_a_change_costs_what_it_is_long_however_many_spans_are_open(run: RunParts) -> None:
    """An agent with thousands of open spans does not write all of them every quarter of a second."""
    kept, file = OpenSpans(), run.spool.path / NAME
    kept.add(span(number + 1) for number in range(MAX_SPANS - 1))
    kept.write((run.spool,))
    whole, inode = file.stat().st_size, file.stat().st_ino
    kept.add([span(MAX_SPANS)])
    kept.write((run.spool,))
    kept.end(7, 7)
    kept.write((run.spool,))

    assert file.stat().st_ino == inode
    assert file.stat().st_size - whole < 500
    assert open_in(run) == [number + 1 for number in range(MAX_SPANS) if number + 1 != 7]


def test_the_file_stays_within_its_bound_while_spans_come_and_go(run: RunParts) -> None:
    """A run of months has no file of months."""
    kept, file = OpenSpans(), run.spool.path / NAME
    longest = 0
    for number in range(1, 2_000):
        kept.add([span(number)])
        kept.end(7, number - 3)
        kept.write((run.spool,))
        longest = max(longest, file.stat().st_size)

    assert open_in(run) == [1_997, 1_998, 1_999]
    assert SLACK_BYTES / 2 < longest < SLACK_BYTES + 5_000


def test_long_spans_beyond_the_bound_are_kept_by_name(run: RunParts) -> None:
    """What many spans carry does not fill a disk; that they were open, and since when, stays."""
    kept = OpenSpans()
    kept.add(span(number + 1, text="x" * 10_000) for number in range(1_000))
    kept.write((run.spool,))

    found = openspans.load(run.spool.directory)
    assert len(found) == 1_000
    assert (run.spool.path / NAME).stat().st_size < MAX_BYTES + 1_000 * 300
    assert (found[0].attributes["text"], found[-1].attributes) == ("x" * 10_000, {})
    assert (found[-1].name, found[-1].dropped_attributes) == (found[0].name, 1)


def test_what_a_crash_left_of_a_change_is_left_out(run: RunParts) -> None:
    """A torn last line costs nothing: the take that wrote it is still in the ring."""
    kept = OpenSpans()
    kept.add([span(1), span(2)])
    kept.write((run.spool,))
    kept.add([span(3)])
    kept.end(7, 1)
    kept.write((run.spool,))
    file = run.spool.path / NAME
    content = file.read_bytes()

    for cut in range(len(content) + 1):
        file.write_bytes(content[:cut])
        found = open_in(run)
        assert found in ([], [1], [1, 2], [1, 2, 3], [2, 3])
    assert found == [2, 3]


def test_a_span_open_at_a_kill_is_interrupted_at_every_place(rig: Rig, run: RunParts, tmp_path: Path) -> None:
    """A second endpoint shows the same as the first."""
    mirrored = Spool.create(tmp_path / "second", run.spool.meta)
    without = Spool.create(tmp_path / "points", run.spool.meta)
    run.encoder.mirrors = (
        Mirror(mirrored, lambda: None),
        Mirror(without, lambda: None, lanes=("metrics",)),
    )
    for number in (1, 2):
        run.recorder.span_start(span(number))
    assert rig.work()
    run.recorder.span_end(span(2, end_unix_ns=9_000))
    assert rig.work()
    file, dead = dead_copy(rig, run, tmp_path / "dead", spool=mirrored)

    found = recover(file, run.slot.index, dead, RESOURCE)

    assert found.interrupted == 1
    assert {each.span_id[-1]: bool(each.status.message) for each in spans(dead.path)} == {1: True, 2: False}
    assert openspans.load(without.directory) == []


def test_a_place_whose_file_cannot_be_written_holds_up_no_other(
    rig: Rig, run: RunParts, tmp_path: Path
) -> None:
    """It is written whole as soon as it can be."""
    mirrored = Spool.create(tmp_path / "second", run.spool.meta)
    run.encoder.mirrors = (Mirror(mirrored, lambda: None),)
    blocked = run.spool.path / f"{NAME}.new"
    blocked.mkdir()
    run.recorder.span_start(span(1))
    assert rig.work()
    assert (open_in(run), len(openspans.load(mirrored.directory))) == ([], 1)

    blocked.rmdir()
    run.recorder.span_start(span(2))
    assert rig.work()
    assert (open_in(run), len(openspans.load(mirrored.directory))) == ([1, 2], 2)


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
