"""A kill between any two steps on disk loses no frame, counts none twice, and forgets no state."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rundial.spool.spool import Spool, find
from tests.support.clock import ManualClock
from tests.unit.spool.builders import balance, drain, frame


def check(place: Path) -> set[str]:
    """Adopt what a kill left at one step, and hold it against what had been promised."""
    promise = json.loads((place / "promise.json").read_text())
    found = find(place / "spool")
    if not found:
        assert promise["removing"]
        return {promise["event"], "gone"}
    spool = Spool.adopt(found[0], clock=ManualClock())
    lane = spool.lanes["metrics"]
    counts = lane.counts()
    certain = sum(promise["appended"])
    assert counts.appended in {certain, certain + (promise["appending"] or 0)}
    # Units are the frames' numbers, so sums of units tell which frames are meant.
    assert counts.delivered in {
        sum(promise["delivered"]),
        sum(promise["delivered"]) + (promise["acking"] or 0),
    }
    assert balance(lane) == 0
    if counts.appended:
        newest = promise["appended"][-1] if counts.appended == certain else promise["appending"]
        assert lane.last.end == frame(newest).end
        assert lane.last.totals == frame(newest).totals
    lost = counts.evicted["spool_full"]
    assert lost == 0 or promise["evicted"]
    waiting = drain(lane)
    assert sum(waiting) == counts.appended - counts.delivered - lost
    assert waiting == sorted(set(waiting))
    assert not set(waiting) & set(promise["delivered"])
    assert balance(lane) == 0
    lane.append(frame(100, units=100))
    lane.publish()
    assert drain(lane) == [100]
    spool.remove()
    return {promise["event"], *(["evicted"] if lost else [])}


def test_spool_killed_before_any_step_is_adopted_whole(tmp_path: Path) -> None:
    """Whenever the process dies, the next one delivers everything that was promised, once."""
    command = [sys.executable, "-m", "tests.unit.spool.crash_steps", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=18, check=False)
    assert done.returncode == 0, done.stderr

    steps = sorted((tmp_path / "steps").iterdir())
    seen: set[str] = set()
    for place in steps:
        seen |= check(place)

    # The life was rich enough: every kind of step was cut, and losses were among them.
    assert {"open", "os.rename", "os.remove", "os.rmdir", "end", "torn ack", "evicted", "gone"} <= seen
    assert len(steps) > 60
