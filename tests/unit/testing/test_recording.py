"""Recording without pytest, and what is read back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import rundial as rd
from rundial.errors import RecordDroppedError
from rundial.testing import IncrementalIds, ManualClock, Recorded, recording


def test_recording_reads_back_everything_that_was_recorded() -> None:
    """Points, lines, spans, events, config and summary are there as a server would have them."""
    clock = ManualClock()
    with recording(ids=IncrementalIds()) as recorded:
        run = rd.init(run_id="run-7", config={"lr": 0.1, "api_key": "hf_abcdefghijklmnopqrstuvwxyz"})
        run.log({"loss": 1.5}, step=3, time_ms=clock.time_ms(), context={"split": "val"})
        with run.trace("outer", attrs={"n": 1}), run.trace("inner", kind="client") as inner:
            inner.event("thought", {"k": "v"})
            run.log_text("hello", level="error")
        run.config["model"] = {"depth": 3}
        run.summary["best"] = 0.9
        run.alert("look")

        (point,), (line,), (first, second) = recorded.points(), recorded.lines, recorded.spans
        assert (point.run_id, point.name, point.value, point.step) == ("run-7", "loss", 1.5, 3)
        assert (point.context, point.time_unix_ns // 1_000_000) == ({"split": "val"}, clock.time_ms())
        assert (line.text, line.level, line.span_id) == ("hello", "error", first.span_id)
        assert (first.name, first.kind, first.events) == ("inner", "client", (("thought", {"k": "v"}),))
        assert (second.name, second.attributes, second.parent_span_id) == ("outer", {"n": 1}, "")
        assert (int(second.trace_id, 16), int(second.span_id, 16), int(first.span_id, 16)) == (1, 1, 2)
        assert recorded.config == {"lr": 0.1, "api_key": "[redacted]", "model": {"depth": 3}}
        assert (recorded.summary, recorded.status) == ({"best": 0.9}, "running")
        assert [alert["title"] for alert in recorded.alerts] == ["look"]
        run.fail("because")
        assert recorded.status == "failed"


def test_recording_leaves_nothing_behind(spool_dir: Path) -> None:
    """A temporary directory is gone at the end, and so are the threads; a given one stays to be read."""
    before = {thread.name for thread in threading.enumerate()}
    with recording() as recorded:
        place = recorded._directory
        rd.init().log({"x": 1.0})
    with recording(spool_dir):
        rd.init().log({"x": 2.0})

    assert not place.exists()
    assert {thread.name for thread in threading.enumerate()} == before
    kept = Recorded(spool_dir)
    assert (kept.values("x"), kept.status) == ([2.0], "completed")


def test_several_runs_are_told_apart() -> None:
    """Which run's config is meant is asked, never guessed."""
    with recording() as recorded:
        one, two = rd.init(config={"n": 1}), rd.init(config={"n": 2})
        one.log({"x": 1.0})
        two.log({"x": 2.0})

        assert recorded.run_ids == [one.run_id, two.run_id]
        assert recorded.of(two).values("x") == [2.0]
        assert recorded.of(one.run_id).config == {"n": 1}
        with pytest.raises(LookupError, match="2 runs were recorded"):
            _ = recorded.config


def test_recording_is_strict_unless_told_otherwise() -> None:
    """A test finds what production would count."""
    with recording(), pytest.raises(RecordDroppedError):
        rd.init().log({"x": "no number"})
    with recording(strict=False), pytest.warns(RuntimeWarning, match="not a number"):
        assert rd.init().log({"x": "no number"}) is False


def test_recordings_nest() -> None:
    """A recording inside another one keeps its runs to itself."""
    with recording() as outer:
        with recording() as inner:
            rd.init().log({"x": 1.0})
            assert inner.values("x") == [1.0]
        rd.init().log({"x": 2.0})

        assert outer.values("x") == [2.0]


def test_ids_of_several_threads_are_never_the_same() -> None:
    """Counting ids are as unique as random ones."""
    ids, found = IncrementalIds(), []

    def work() -> None:
        found.extend(ids.generate_span_id() for _ in range(1000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(set(found)) == 4000
    assert ids.generate_trace_id() == 1
