"""SIGKILL at random moments: a ring leaves every record it accepted, once, in order, and true counters."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rundial.recorder import counters, layout
from rundial.recorder.mapping import RingFile
from rundial.recorder.scan import scan
from tests.support.ringwriter import HANDLER, THREADS, Tally, laps_of, read_takes, said_by
from tests.support.rounds import rounds
from tests.support.waiting import wait_until

# Each with a child of its own.
ROUNDS = 12

pytestmark = pytest.mark.fault


def kill_once(place: Path, threads: int, *, with_exceptions: bool, seconds: float, laps: float = 0) -> None:
    """Let the program log for a while and so many laps of its ring, and end it with SIGKILL."""
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.support.ringwriter",
            str(place),
            str(threads),
            str(int(with_exceptions)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "logging\n"
        try:
            threading.Event().wait(seconds)
            wait_until(lambda: not laps or laps_of(next(place.glob("*.ring"))) >= laps, 60)
        finally:
            child.kill()
        assert child.wait(10) == -9


def look(place: Path) -> float:
    """Check what a dead program left; return how many laps it had done."""
    tally = Tally(place / "tally")
    (path,) = place.glob("*.ring")
    file = RingFile.adopt(path)
    takes = read_takes(place / "takes")
    tail, end = file.words[layout.WORD_TAIL], file.capacity
    said: list[tuple[int, int]] = []
    for start, behind, records in takes:
        assert start == end
        end = behind
        said += records
    # A take is written down first and released second, so the tail is never ahead.
    assert tail <= end
    left = list(scan(file, end))
    said += said_by(left)
    dropped = counters.dropped(file.words, 0)
    file.close()

    in_flight = 0
    for thread in range(THREADS + 1):
        numbers = [number for which, number in said if which == thread]
        assert len(numbers) == len(set(numbers))
        if thread != HANDLER:
            assert numbers == sorted(numbers)
        # At most the one under way, and those that an exception cut short after the ring had them.
        slack = 1 + tally.get(thread, Tally.CUT_SHORT)
        in_flight += slack
        assert tally.get(thread, Tally.ACCEPTED) <= len(numbers) <= tally.get(thread, Tally.ACCEPTED) + slack
    points = sum(tally.get(thread, Tally.REFUSED_POINTS) for thread in range(THREADS))
    lines = sum(tally.get(thread, Tally.REFUSED_LINES) for thread in range(THREADS))
    assert points <= dropped["points"].get("queue_full", 0) <= points + 39 * in_flight
    assert lines <= dropped["lines"].get("queue_full", 0) <= lines + in_flight
    return (end - file.capacity) / file.capacity


@pytest.mark.parametrize("with_exceptions", [False, True], ids=["plain", "exceptions"])
def test_a_killed_ring_holds_what_it_accepted(tmp_path: Path, *, with_exceptions: bool) -> None:
    """Rules 1 to 5: many laps, up to eight threads, exceptions thrown in: nothing lost, nothing twice."""
    rng = random.Random()
    for number in range(rounds(ROUNDS)):
        place = tmp_path / str(number)
        place.mkdir()
        kill_once(
            place,
            rng.choice([1, 4, THREADS]),
            with_exceptions=with_exceptions,
            seconds=rng.uniform(0.02, 0.4),
        )
        look(place)


def test_a_ring_killed_after_many_laps_holds_what_it_accepted(tmp_path: Path) -> None:
    """The same once the ring has been overwritten several times, however long that takes here."""
    kill_once(tmp_path, THREADS, with_exceptions=True, seconds=0.0, laps=5)

    assert look(tmp_path) >= 5
