"""What a run has put on disk: a spool read back with OpenTelemetry's own messages.

Reads every whole frame of every instance under a spool directory, in order, whether or not it was
answered, and without a lock: for runs that are sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rundial.api.target import PATHS
from rundial.spool.frame import Frame, scan
from rundial.spool.segment import HEADER_BYTES
from tests.support.collector import Collector, Request
from tests.support.decoded import Log, Point, Span


@dataclass(frozen=True, slots=True)
class Recorded:
    """The records of a spool directory.

    Attributes:
        points: Metric points, oldest first.
        lines: Text lines.
        events: Events in the life of runs, announcements of open spans included.
        spans: Spans.
        messages: The spans as protobuf messages, with their events.
        frames: (lane, frame) of everything, as it lies on disk.
    """

    points: list[Point]
    lines: list[Log]
    events: list[Log]
    spans: list[Span]
    messages: list[Any]
    frames: list[tuple[str, Frame]]

    def values(self, name: str) -> list[float]:
        """The values of one series, in order."""
        return [point.value for point in self.points if point.name == name]

    def span(self, name: str) -> Any:
        """The one span of a name, as a protobuf message."""
        (found,) = [message for message in self.messages if message.name == name]
        return found


def read(directory: Path) -> Recorded:
    """Return what lies under a spool directory."""
    store = Collector()
    messages: list[Any] = []
    frames: list[tuple[str, Frame]] = []
    for path in sorted(directory.rglob("*.seg")):
        lane = path.parent.name
        for _, frame, _ in scan(path.read_bytes(), HEADER_BYTES):
            frames.append((lane, frame))
            encoding = {"content-encoding": "gzip"} if frame.is_gzip else {}
            request = Request(PATHS[lane], encoding, frame.body, 0)
            store.store(request)
            if lane == "traces":
                messages += request.records()
    return Recorded(store.points, store.lines, store.events, store.spans, messages, frames)
