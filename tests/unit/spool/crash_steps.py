"""A spool's life, with a copy of its directory before each step that changes the disk.

Run as a program: `python -m tests.unit.spool.crash_steps TARGET`. Python announces each opening,
renaming, removal and truncation of a file before it happens; at each of these the directory is
copied as a kill at that moment would leave it, together with what the lane had promised by then.
Where an ack is about to be written in place, it is copied once more with that write cut in two.
A program of its own, because such a hook stays until the process ends.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rundial.spool import ack
from rundial.spool.frame import Frame
from rundial.spool.spool import Spool
from tests.support.clock import ManualClock
from tests.unit.spool.builders import copy_of, frame, meta, number_of

STEPS = frozenset({"open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.rmdir"})
LANE = "metrics"


@dataclass
class Promise:
    """What is certain at a moment, and what may be.

    Attributes:
        appended: Frames whose append returned.
        appending: The frame whose append had begun.
        delivered: Frames whose ack returned.
        acking: The frame whose ack had begun.
        evicted: Whether an eviction had begun.
        removing: Whether the removal had begun.
    """

    appended: list[int] = field(default_factory=list)
    appending: int | None = None
    delivered: list[int] = field(default_factory=list)
    acking: int | None = None
    evicted: bool = False
    removing: bool = False


class Recorder:
    """Copies a directory at each step, beside what was promised by then."""

    def __init__(self, root: Path, target: Path) -> None:
        self.promise = Promise()
        self._root = root
        self._target = target
        self._is_on = False
        self._count = 0

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take the announcement of a step."""
        if not (self._is_on and event in STEPS and str(arguments[0]).startswith(str(self._root))):
            return
        self.copy(event)
        path = Path(str(arguments[0]))
        if event == "open" and path.name == ack.NAME and arguments[2] & os.O_WRONLY and path.exists():
            self.copy("torn ack", torn=path)

    def copy(self, event: str, *, torn: Path | None = None) -> None:
        """Copy the directory as it is now, or as it is in the middle of a write to an ack."""
        self._is_on = False
        place = self._target / f"{self._count:04d}"
        copy_of(self._root, place / "spool")
        if torn is not None:
            tear(place / "spool" / torn.relative_to(self._root))
        (place / "promise.json").write_text(json.dumps({**asdict(self.promise), "event": event}))
        self._count += 1
        self._is_on = True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Copy at each step inside, and at the end."""
        self._is_on = True
        yield
        self.copy("end")
        self._is_on = False


def tear(path: Path) -> None:
    """Leave an ack file as a kill does in the middle of its next save."""
    content = path.read_bytes().ljust(2 * ack.SLOT_BYTES, b"\0")
    slots = [content[: ack.SLOT_BYTES], content[ack.SLOT_BYTES :]]
    generations = [found[0] if (found := ack.decode(slot)) else 0 for slot in slots]
    older = generations.index(min(generations))
    coming = ack.encode(ack.Ack(ack.Cursor(1 << 40, 0), 1 << 40), max(generations) + 1)
    slots[older] = coming[: len(coming) // 2] + slots[older][len(coming) // 2 :]
    path.write_bytes(b"".join(slots))


def append(recorder: Recorder, spool: Spool, made: Frame) -> None:
    """Append a frame and promise it once that returned."""
    recorder.promise.appending = number_of(made)
    with recorder.watching():
        spool.lanes[LANE].append(made)
    recorder.promise.appended.append(number_of(made))
    recorder.promise.appending = None
    recorder.copy("appended")


def deliver(recorder: Recorder, spool: Spool) -> None:
    """Answer one frame and promise it once that returned."""
    found = spool.lanes[LANE].peek()
    assert found is not None
    recorder.promise.acking = number_of(found[1])
    with recorder.watching():
        spool.lanes[LANE].ack(found[0], delivered=found[1].units)
    recorder.promise.delivered.append(number_of(found[1]))
    recorder.promise.acking = None


def main(target: Path) -> None:
    """Live a spool's life: appends over several segments, answers, evictions, more appends, removal."""
    root = target / "live"
    recorder = Recorder(root, target / "steps")
    spool = Spool.create(root, meta(), segment_bytes=1000, clock=ManualClock())
    sys.addaudithook(recorder.hook)
    for number in range(1, 11):
        append(recorder, spool, frame(number, units=number))
    spool.publish()
    for _ in range(5):
        deliver(recorder, spool)
    recorder.promise.evicted = True
    for _ in range(2):
        with recorder.watching():
            spool.lanes[LANE].evict("spool_full")
    append(recorder, spool, frame(11, units=11))
    spool.publish()
    while spool.lanes[LANE].waiting_frames:
        deliver(recorder, spool)
    with recorder.watching():
        spool.lanes[LANE].reclaim()
    append(recorder, spool, frame(12, units=12))
    recorder.promise.removing = True
    with recorder.watching():
        os.makedirs(root / "other")
        spool.remove()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
