"""A spool's lane in memory, a source made of such lanes, and frames to put into them.

`MemoryLane` keeps what the real lane promises to the sender: frames in order, an answer
moves past one frame and counts its units, refused parts are filed before they are counted.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from rundial.export.outcome import Outcome
from rundial.spool.ack import Cursor
from rundial.spool.frame import NO_RING, NO_TOTALS, Frame


@dataclass(eq=False)
class MemoryLane:
    """The sender's side of a lane, without a disk.

    Attributes:
        frames: What waits, oldest first, with its cursor.
        acked: The frames' cursors in the order of their answers.
        parts: Refused bodies with their units.
        failures: Errors that the next acks raise instead of counting.
        evicted: Units taken away before they were answered.
    """

    frames: list[tuple[Cursor, Frame]] = field(default_factory=list)
    acked: list[Cursor] = field(default_factory=list)
    parts: list[tuple[bytes, int]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    delivered: int = 0
    rejected: int = 0
    evicted: int = 0
    peeks: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._appended = 0

    @property
    def waiting_frames(self) -> int:
        """Frames without an answer yet."""
        return len(self.frames)

    def append(self, frame: Frame) -> None:
        """Put a frame at the end, visible at once."""
        with self._lock:
            self._appended += 1
            self.frames.append((Cursor(1, self._appended), frame))

    def evict(self) -> None:
        """Take the oldest frame away, as a full spool does."""
        with self._lock:
            self.evicted += self.frames.pop(0)[1].units

    def peek(self) -> tuple[Cursor, Frame] | None:
        """Return the oldest frame."""
        with self._lock:
            self.peeks += 1
            return self.frames[0] if self.frames else None

    def ack(self, cursor: Cursor, *, delivered: int, rejected: int = 0) -> None:
        """Move past the oldest frame; any other cursor is a bug of the sender."""
        with self._lock:
            if self.failures:
                raise self.failures.pop(0)
            expected, frame = self.frames.pop(0)
            assert cursor == expected
            assert delivered + rejected == frame.units
            self.acked.append(cursor)
            self.delivered += delivered
            self.rejected += rejected

    def reject(self, cursor: Cursor, body: bytes, units: int) -> None:
        """File a refused part of the oldest frame."""
        with self._lock:
            assert cursor == self.frames[0][0]
            self.parts.append((body, units))


class MemorySource:
    """A source of memory lanes that all go to one endpoint."""

    def __init__(
        self, endpoint: str, lanes: Iterable[str] = ("metrics",), *, key: str = "key-1234567"
    ) -> None:
        self.label = "run test"
        self.endpoint = endpoint
        self.key = key
        self.lanes: Mapping[str, MemoryLane] = {name: MemoryLane() for name in lanes}
        self.outcomes: list[tuple[str, Outcome]] = []
        self._changed = threading.Condition()

    def url(self, lane: str) -> str:
        """Where a lane goes."""
        return f"{self.endpoint}/v1/{'logs' if lane == 'events' else lane}"

    def headers(self, lane: str) -> dict[str, str]:
        """The key as it is now."""
        return {"authorization": f"Bearer {self.key}"}

    def on_outcome(self, lane: str, outcome: Outcome) -> None:
        """Remember an outcome and tell who waits."""
        with self._changed:
            self.outcomes.append((lane, outcome))
            self._changed.notify_all()

    def wait_for_outcomes(self, count: int, deadline_s: float = 10.0) -> bool:
        """Wait until so many outcomes are known; False at the deadline."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.outcomes) >= count, deadline_s)


def metrics_body(values: Iterable[float], name: str = "loss") -> bytes:
    """Return a metrics request with one point for each value, at steps 0, 1, ..."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    for step, value in enumerate(values):
        point = metric.gauge.data_points.add(as_double=value, time_unix_nano=1_000_000_000 + step)
        point.attributes.add(key="rundial.step").value.int_value = step
    return request.SerializeToString()


def metrics_frame(values: Iterable[float], *, is_gzip: bool = True, units: int | None = None) -> Frame:
    """Return a frame of points.

    Args:
        values: One for each point.
        is_gzip: Whether its body is compressed.
        units: Ledger units, when they are not the points.
    """
    values = list(values)
    body = metrics_body(values)
    return Frame(
        units=len(values) if units is None else units,
        items=len(values),
        ring=NO_RING,
        first=0,
        end=0,
        totals=NO_TOTALS,
        body=gzip.compress(body, 1, mtime=0) if is_gzip else body,
        is_gzip=is_gzip,
    )
