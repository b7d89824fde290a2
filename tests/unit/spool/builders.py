"""Frames and lanes for the spool's tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from rundial.spool.frame import TOTALS, Frame
from rundial.spool.lane import Lane
from rundial.spool.limits import Limits
from rundial.spool.meta import Meta
from tests.support.clock import ManualClock

RING = bytes(range(16))


def frame(number: int, *, units: int = 1, body_bytes: int = 40) -> Frame:
    """Return a frame that can be told from every other number's."""
    body = number.to_bytes(8, "little") + bytes(max(0, body_bytes - 8))
    totals = tuple(number * 100 + index for index in range(len(TOTALS)))
    return Frame(units, units, RING, number * 10, number * 10 + 10, totals, body, is_gzip=number % 2 == 0)


def number_of(found: Frame) -> int:
    """Return the number that a frame was built with."""
    return int.from_bytes(found.body[:8], "little")


def open_lane(directory: Path, *, segment_bytes: int = 1000, name: str = "metrics") -> Lane:
    """Return a lane on a directory, made when missing, that seals its segments early."""
    (directory / name).mkdir(parents=True, exist_ok=True)
    return Lane(f"{directory}/{name}", name, limits=Limits(segment_bytes=segment_bytes), clock=ManualClock())


def copy_of(directory: Path, target: Path) -> Path:
    """Return a copy of a directory as a kill at this moment would leave it."""
    shutil.copytree(directory, target)
    return target


def drain(lane: Lane) -> list[int]:
    """Deliver all that is published; return the frames' numbers in the order they came."""
    numbers = []
    while (found := lane.peek()) is not None:
        cursor, waiting = found
        numbers.append(number_of(waiting))
        lane.ack(cursor, delivered=waiting.units)
    return numbers


def balance(lane: Lane) -> int:
    """Return what the lane's books are off by: 0, always."""
    counts = lane.counts()
    known = counts.delivered + counts.rejected + sum(counts.evicted.values()) + counts.waiting
    return counts.appended - known


def in_child(action: Callable[[], bool]) -> bool:
    """Return what an action returns in a forked child."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if action() else 1
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def meta(instance: str = "instance-1", *, run: str = "run-1", created_unix_ns: int = 0) -> Meta:
    """Return a meta with the names that a test needs."""
    return Meta(run_id=run, instance_id=instance, project="digits", created_unix_ns=created_unix_ns)


def filled(directory: Path, count: int, *, segment_bytes: int = 1000) -> Lane:
    """Return a lane with frames 1 to `count`, all published; about four to a segment."""
    lane = open_lane(directory, segment_bytes=segment_bytes)
    for number in range(1, count + 1):
        lane.append(frame(number))
    lane.publish()
    return lane


def segments(directory: Path) -> list[str]:
    """Return the names of the lane's segments."""
    return sorted(path.name for path in (directory / "metrics").glob("*.seg"))
