"""When a spool waits for the disk itself: what survives a power cut, and what that costs the others.

A power cut cannot be had here; that the kernel was asked, and how often, can. Python tells a
profiler of each call of the two system calls.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from rundial.spool.limits import Durability
from rundial.spool.spool import Spool
from tests.unit.spool.builders import frame, meta


def syncs(action: Callable[[], object]) -> int:
    """Return how often an action waits for the disk."""
    noted = 0

    def note(_: FrameType, event: str, called: object) -> None:
        nonlocal noted
        noted += event == "c_call" and called in (os.fsync, os.fdatasync)

    former = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(former)
    return noted


def deliver(spool: Spool) -> None:
    """Answer one frame."""
    spool.publish()
    found = spool.lanes["metrics"].peek()
    assert found is not None
    spool.lanes["metrics"].ack(found[0], delivered=found[1].units)


@pytest.mark.parametrize(
    ("durability", "expected"),
    [
        # Each small file: its content, then its name; each segment too; each frame its content. What was
        # evicted is counted on the disk before its files go.
        ("power", {"create": 3, "begin": 3, "append": 1, "roll": 4, "ack": 2, "evict": 2, "meta": 2}),
        ("process", {"create": 0, "begin": 0, "append": 0, "roll": 1, "ack": 0, "evict": 1, "meta": 0}),
    ],
)
def test_spool_waits_for_the_disk_as_its_durability_says(
    spool_dir: Path, durability: Durability, expected: dict[str, int]
) -> None:
    """With `power` nothing that was promised is lost with the power; else only sealed segments wait."""
    made: list[Spool] = []
    waits = {
        "create": syncs(
            lambda: made.append(Spool.create(spool_dir, meta(), segment_bytes=1000, durability=durability))
        )
    }
    (spool,) = made
    lane = spool.lanes["metrics"]
    waits["begin"] = syncs(lambda: lane.append(frame(1, body_bytes=200)))
    waits["append"] = syncs(lambda: lane.append(frame(2, body_bytes=200)))
    waits["roll"] = syncs(lambda: lane.append(frame(3, body_bytes=200)))
    waits["ack"] = syncs(lambda: deliver(spool))
    waits["evict"] = syncs(lambda: lane.evict("spool_full"))
    waits["meta"] = syncs(lambda: spool.update_meta(project="other"))
    spool.close()

    assert waits == expected


@pytest.mark.parametrize(("durability", "expected"), [("power", 3), ("process", 0)])
def test_adopted_spool_waits_for_the_disk_as_its_durability_says(
    spool_dir: Path, durability: Durability, expected: int
) -> None:
    """The promise is the adopter's, not the one of the process that died."""
    Spool.create(spool_dir, meta(), durability="power").close()
    spool = Spool.adopt(spool_dir / "run-1" / "instance-1", durability=durability)

    assert syncs(lambda: spool.lanes["metrics"].append(frame(1))) == expected
    spool.close()


def test_segment_that_is_gone_is_not_waited_for(spool_dir: Path) -> None:
    """A sealed segment whose frames are all answered is removed, not written out first."""
    spool = Spool.create(spool_dir, meta(), segment_bytes=1000)
    spool.lanes["metrics"].append(frame(1, body_bytes=900))
    deliver(spool)

    assert syncs(lambda: spool.lanes["metrics"].append(frame(2, body_bytes=900))) == 0
    spool.close()
