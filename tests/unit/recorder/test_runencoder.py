"""One run's records on their way into frames: once, in order, with totals."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rundial.recorder.batches import MAX_CHUNK_RECORDS, MAX_FRAME_RECORDS
from rundial.recorder.layout import NO_STEP, Kind
from rundial.recorder.runencoder import RunEncoder, units_of
from rundial.signals import records
from rundial.spool.frame import TOTALS
from rundial.spool.spool import Spool
from tests.unit.recorder.builders import (
    RESOURCE,
    Rig,
    announced,
    frames,
    last,
    lines,
    log,
    log_records,
    points,
    say,
    span,
    spans,
)
from tests.unit.spool.builders import meta


def test_every_kind_of_record_arrives_in_its_lane(tmp_path: Path) -> None:
    """Points, lines, events and spans go the ways that rule 14 gives them."""
    rig = Rig(tmp_path)
    run = rig.attach()
    log(run, 3, names=("loss", "acc"), value=0.5)
    say(run, "hello")
    run.recorder.event("rundial.run.config", {"config": {"lr": 0.1}})
    run.recorder.span_start(span(1))
    run.recorder.span_end(span(1, end_unix_ns=5_000, depth=2))
    assert rig.work()

    path = run.spool.path
    assert points(path) == [("loss", 3, 0.5), ("acc", 3, 0.5)]
    assert lines(path) == ["hello"]
    assert [event.event_name for event in log_records(path, "events")] == ["rundial.run.config"]
    assert [(each.name, each.end_time_unix_nano) for each in spans(path)] == [("step", 5_000)]
    assert [
        frame.units for lane in ("events", "metrics", "logs", "traces") for frame in frames(path, lane)
    ] == [
        0,
        2,
        1,
        1,
    ]


def test_a_frame_says_where_its_take_began_and_ends_and_what_was_counted(tmp_path: Path) -> None:
    """Rule 15: with a frame alone it is known what it holds of which ring, and what was lost before."""
    rig = Rig(tmp_path)
    run = rig.attach()
    start = rig.ring.head
    log(run, 1)
    run.recorder.drop("points", "invalid", 4)
    middle = rig.ring.head
    rig.work()
    log(run, 2, names=("a", "b"))
    end = rig.ring.head
    rig.work()

    first, second = frames(run.spool.path, "metrics")
    assert (first.first, first.end, first.ring) == (start, middle, rig.ring.file.ring_id)
    assert (second.first, second.end) == (middle, end)
    assert dict(zip(TOTALS, first.totals, strict=True))["invalid"] == 4
    assert [frame.totals[0] for frame in (first, second)] == [1, 3]


def test_a_take_encoded_twice_is_in_the_spool_once(tmp_path: Path) -> None:
    """Rule 15: after a failed write everything is read again, and nothing is written or counted twice."""
    rig = Rig(tmp_path)
    run = rig.attach()
    metrics, logs = run.fragile("metrics"), run.fragile("logs")
    for step in range(5):
        log(run, step)
        say(run, f"line {step}")
    run.recorder.span_start(span(9))
    metrics.is_broken = logs.is_broken = True
    assert not rig.work()
    metrics.is_broken = False
    assert not rig.work()
    assert not rig.work()
    logs.is_broken = False
    log(run, 5)
    assert rig.work()

    assert [step for _, step, _ in points(run.spool.path)] == [0, 1, 2, 3, 4, 5]
    assert lines(run.spool.path) == [f"line {step}" for step in range(5)]
    assert announced(run.spool.path) == [f"{9:016x}"]
    assert run.encoder.encoded == [6, 5, 0, 0]
    assert last(run.spool, "metrics").totals[0] == 6
    assert run.recorder.ledger().closes


def test_a_lane_that_fails_half_way_goes_on_behind_its_last_frame(tmp_path: Path) -> None:
    """Rule 15: of a take in several frames, those that were written are not written again."""
    rig = Rig(tmp_path, size_bytes=4 << 20)
    run = rig.attach()
    metrics = run.fragile("metrics")
    names = tuple(f"k{index}" for index in range(1000))
    for step in range(30):
        log(run, step, names=names)
    metrics.takes = 2
    assert not rig.work()
    assert 0 < len(points(run.spool.path)) < 30_000
    metrics.takes, metrics.is_broken = None, False
    assert rig.work()

    found = [step for name, step, _ in points(run.spool.path) if name == "k7"]
    assert found == list(range(30))
    assert run.encoder.encoded[0] == 30_000


def test_a_frame_that_failed_is_not_overtaken(tmp_path: Path) -> None:
    """Rules 14 and 15: a disk that refuses one frame of many and takes the next ones costs no record."""
    rig = Rig(tmp_path, size_bytes=4 << 20)
    run = rig.attach()
    names = tuple(f"k{index}" for index in range(1000))
    for step in range(30):
        log(run, step, names=names)
    run.fragile("metrics").fails_once = True
    assert not rig.work()
    assert points(run.spool.path) == []
    assert rig.work()

    assert [step for name, step, _ in points(run.spool.path) if name == "k7"] == list(range(30))
    assert run.recorder.ledger().closes


def test_a_record_that_cannot_be_read_is_counted_once_however_often_it_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A poison record is internal_error once, and neither stops the others nor fills the log."""
    rig = Rig(tmp_path)
    run = rig.attach()
    metrics, logs = run.fragile("metrics"), run.fragile("logs")
    metrics.is_broken = logs.is_broken = True
    for _ in range(10):
        rig.ring.record(Kind.TEXT, run.slot, b"", signal="lines")
        rig.ring.record(Kind.SPAN_END, run.slot, b"{", signal="spans")
    say(run, "good")
    log(run, 1)
    with caplog.at_level(logging.WARNING, logger="rundial"):
        assert not rig.work()
        logs.is_broken = False
        assert not rig.work()
        metrics.is_broken = False
        assert rig.work()
        log(run, 2)
        say(run, "after")
        assert rig.work()

    assert run.encoder.failed == [0, 10, 10, 0]
    assert lines(run.spool.path) == ["good", "after"]
    ledger = run.recorder.ledger()
    assert ledger.closes
    assert (ledger.lines.recorded, ledger.lines.dropped) == (2, {"internal_error": 10})
    assert (ledger.spans.recorded, ledger.spans.dropped) == (0, {"internal_error": 10})
    assert ledger.lines.waiting_ring == ledger.spans.waiting_ring == 0
    assert last(run.spool, "logs").totals[TOTALS.index("internal_error")] == 10
    assert len(caplog.records) <= 6


def test_a_record_that_cannot_be_read_and_has_none_behind_it_is_counted_on_disk(tmp_path: Path) -> None:
    """A kill after the ring let go of it does not make a lost record one that never was."""
    rig = Rig(tmp_path)
    run = rig.attach()
    rig.ring.record(Kind.TEXT, run.slot, b"", signal="lines")
    assert rig.work()

    assert [(frame.units, frame.items) for frame in frames(run.spool.path, "logs")] == [(0, 0)]
    assert last(run.spool, "logs").totals[TOTALS.index("internal_error")] == 1
    assert log_records(run.spool.path) == []
    assert rig.work()
    assert run.recorder.ledger().lines.dropped == {"internal_error": 1}


def test_a_row_whose_names_are_nowhere_is_counted(tmp_path: Path) -> None:
    """A row that cannot be told apart is internal_error by its points, never silently gone."""
    rig = Rig(tmp_path)
    run = rig.attach()
    keys = run.recorder.key_set(("a", "b", "c"), ())
    keys.position = 1 << 62
    run.recorder.row(keys, keys.pack(1, 2, 3), 1)
    log(run, 2)
    assert rig.work()

    assert run.encoder.failed == [3, 0, 0, 0]
    assert points(run.spool.path) == [("loss", 2, 2.0)]
    assert run.recorder.ledger().closes


def test_open_spans_are_announced_before_the_tail_passes_them(tmp_path: Path) -> None:
    """Rule 21: a span that is open when its start leaves the ring is on disk as an announcement, once."""
    rig = Rig(tmp_path)
    run = rig.attach()
    for number in (1, 2, 3):
        run.recorder.span_start(span(number))
    run.recorder.span_end(span(2, end_unix_ns=9_000))
    rig.work()
    assert announced(run.spool.path) == [f"{1:016x}", f"{3:016x}"]

    log(run, 1)
    rig.work()
    run.recorder.span_end(span(1, end_unix_ns=9_500))
    rig.work()

    assert announced(run.spool.path) == [f"{1:016x}", f"{3:016x}"]
    assert [each.end_time_unix_nano for each in spans(run.spool.path)] == [9_000, 9_500]
    ledger = run.recorder.ledger()
    assert (ledger.lines.recorded, ledger.spans.recorded) == (0, 2)
    assert ledger.closes


def test_announcements_are_encoded_in_chunks_and_written_in_frames(tmp_path: Path) -> None:
    """Rule 12: ten thousand open spans do not hold the interpreter, nor make one huge request."""
    rig = Rig(tmp_path, size_bytes=4 << 20)
    run = rig.attach()
    pauses = [0]

    def count() -> None:
        pauses[0] += 1

    run.encoder.pause = count
    total = MAX_FRAME_RECORDS + 100
    for number in range(1, total + 1):
        run.recorder.span_start(span(number))
    rig.work()

    assert len(announced(run.spool.path)) == total
    assert [frame.items for frame in frames(run.spool.path, "logs")] == [MAX_FRAME_RECORDS, 100]
    assert pauses[0] == total // MAX_CHUNK_RECORDS


def test_a_failed_announcement_is_made_later_and_once(tmp_path: Path) -> None:
    """Rule 21: of many announcements those that are on disk are not repeated after a full disk."""
    rig = Rig(tmp_path, size_bytes=4 << 20)
    run = rig.attach()
    logs = run.fragile("logs")
    for number in range(1, MAX_FRAME_RECORDS + 3):
        run.recorder.span_start(span(number))
    logs.takes = 1
    assert not rig.work()
    logs.takes, logs.is_broken = None, False
    assert rig.work()

    found = announced(run.spool.path)
    assert len(found) == len(set(found)) == MAX_FRAME_RECORDS + 2


def test_the_chunks_of_wide_rows_are_packed_with_pauses_between(tmp_path: Path) -> None:
    """Rule 12: one row of 4,000 names is eight chunks, and the training loop runs between them."""
    rig = Rig(tmp_path, size_bytes=4 << 20)
    run = rig.attach()
    pauses = [0]

    def count() -> None:
        pauses[0] += 1

    run.encoder.pause = count
    names = tuple(f"k{index}" for index in range(4000))
    log(run, 1, names=names)
    rig.work()

    assert pauses[0] == 8
    assert [name for name, _, _ in points(run.spool.path)] == list(names)


def test_an_encoder_goes_on_where_its_spool_ends(tmp_path: Path) -> None:
    """Recovery counts on from the totals of the last frame."""
    rig = Rig(tmp_path)
    run = rig.attach()
    log(run, 1, names=("a", "b"))
    say(run, "x")
    rig.work()

    again = RunEncoder(run.slot.index, run.spool, RESOURCE)

    assert again.encoded == [2, 1, 0, 0]


@pytest.mark.parametrize("number", [5, 0])
def test_units_are_known_without_the_names(tmp_path: Path, number: int) -> None:
    """What an eviction costs can be counted from the records alone, also from rows that carry names."""
    rig = Rig(tmp_path)
    run = rig.attach()
    keys = run.recorder.key_set(("ä", "b", "c"), (("split", "val"),))
    keys.number = number
    run.recorder.row(keys, keys.pack(1, 2, 3), 1)
    say(run, "x")
    run.recorder.event("e", {})
    run.recorder.span_start(span(1))
    run.recorder.span_end(span(1, end_unix_ns=1))
    start, end = rig.ring.take()
    from rundial.recorder.scan import scan

    found = [units_of(record) for record in scan(rig.ring.file, start, end) if record.kind != Kind.KEYS]
    assert found == [(0, 3), (1, 1), (-1, 0), (-1, 0), (2, 1)]


def test_a_long_take_of_events_keeps_their_order(tmp_path: Path) -> None:
    """Rule 14: order holds inside a lane."""
    rig = Rig(tmp_path, size_bytes=4 << 20)
    run = rig.attach()
    for number in range(3000):
        run.recorder.event("rundial.run.summary", {"summary": {"n": number}})
        say(run, str(number))
    rig.work()

    assert lines(run.spool.path) == [str(number) for number in range(3000)]
    seqs = [record.attributes[0].value.int_value for record in log_records(run.spool.path, "events")]
    assert seqs == sorted(seqs)
    assert len(set(seqs)) == 3000
    assert max(frame.items for frame in frames(run.spool.path, "events")) <= MAX_FRAME_RECORDS


def test_text_and_spans_are_read_back_as_they_were_packed(tmp_path: Path) -> None:
    """Severity, flags and ids survive the ring."""
    rig = Rig(tmp_path)
    run = rig.attach()
    body = records.pack_text(17, b"cut", 9000, trace_id=3, span_id=4, iostream="stderr")
    run.recorder.text(body, time_ms=5)
    rig.work()

    (line,) = log_records(run.spool.path)
    assert (line.severity_number, line.trace_id[-1], line.span_id[-1]) == (17, 3, 4)
    assert line.time_unix_nano // 1_000_000 == 5
    assert line.time_unix_nano % 2 == 1


def test_a_step_is_sent_where_there_is_one_and_none_where_there_is_not(tmp_path: Path) -> None:
    """A point or a line logged without a step lies at none, and never at -1."""
    rig = Rig(tmp_path)
    run = rig.attach()
    keys = run.recorder.key_set(("loss",), ())
    for step in (NO_STEP, 0, 7):
        run.recorder.row(keys, keys.pack(1.0), step)
        rig.ring.record(Kind.TEXT, run.slot, records.pack_text(9, b"x", 0), signal="lines", step=step)
    rig.work()
    steps = [
        {pair.key: pair.value.int_value for pair in line.attributes}.get("rundial.step")
        for line in log_records(run.spool.path)
    ]

    assert [step for _, step, _ in points(run.spool.path)] == [None, 0, 7]
    assert steps == [None, 0, 7]


def test_what_cannot_be_read_is_warned_of_once_a_frame_with_its_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A poisoned stream is told of, and does not fill the log."""
    rig = Rig(tmp_path)
    run = rig.attach()
    for _ in range(5):
        rig.ring.record(Kind.TEXT, run.slot, b"", signal="lines")
    with caplog.at_level(logging.WARNING, "rundial"):
        rig.work()

    (record,) = caplog.records
    assert "could not be encoded and are counted internal_error" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is not None


def test_an_encoder_that_moved_writes_to_its_new_spool(tmp_path: Path) -> None:
    """Once a spool's directory is gone, what comes next is in the one that replaced it."""
    rig = Rig(tmp_path)
    run = rig.attach()
    say(run, "before")
    rig.work()
    spool = Spool.create(tmp_path / "spool", meta("again"))
    run.encoder.move_to(spool)
    say(run, "after")
    rig.work()

    assert (lines(run.spool.path), lines(spool.path)) == (["before"], ["after"])
    assert run.encoder.spool is spool
