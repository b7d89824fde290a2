"""Rings, runs and what can be read back of them, for the recorder's tests."""

from __future__ import annotations

import errno
import gzip
import mmap
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rundial.diagnostics import SIGNALS
from rundial.recorder import counters, evictions, slots
from rundial.recorder import ring as ring_module
from rundial.recorder.encoder import Encoder
from rundial.recorder.keysets import KeyReader, KeySet, KeySets
from rundial.recorder.layout import HEADER_BYTES, Kind
from rundial.recorder.mapping import RingFile
from rundial.recorder.place import Place
from rundial.recorder.ring import Ring
from rundial.recorder.runencoder import RunEncoder
from rundial.recorder.runrecorder import RunRecorder
from rundial.recorder.scan import Record, scan
from rundial.recorder.slots import RunSlot
from rundial.signals.records import SpanData
from rundial.signals.resource import encode_resource
from rundial.spool.frame import Frame
from rundial.spool.frame import scan as scan_frames
from rundial.spool.lane import Lane
from rundial.spool.segment import HEADER_BYTES as SEGMENT_HEADER_BYTES
from rundial.spool.segment import LaneState
from rundial.spool.spool import Spool
from tests.unit.spool.builders import meta

_RING_SOURCES = (ring_module.__file__, evictions.__file__, slots.__file__)
# The smallest ring that is made: 64 KiB for records, of which one may take 4 KiB.
SMALL_BYTES = HEADER_BYTES + (64 << 10)
RESOURCE = encode_resource({"service.name": "digits"})


def ring_file(directory: Path | None = None, *, size_bytes: int = SMALL_BYTES) -> RingFile:
    """Return a ring's memory: a file in a directory, or anonymous."""
    durability = "memory" if directory is None else "disk"
    return RingFile.create(Place(directory, durability, size_bytes), created_unix_ns=1)


def small_ring(directory: Path | None = None, *, size_bytes: int = SMALL_BYTES) -> Ring:
    """Return a ring that nobody empties."""
    return Ring(ring_file(directory, size_bytes=size_bytes), wake=_nobody)


def killed(file: RingFile) -> RingFile:
    """Return the ring as a `kill -9` at this moment would leave it."""
    memory = mmap.mmap(-1, len(file.memory))
    memory[:] = file.memory[:]
    return RingFile(memory, -1, None)


def left_in(file: RingFile) -> list[Record]:
    """Return every record that recovery would find, key sets included."""
    return list(scan(file, file.words[ring_module.layout.WORD_TAIL]))


class Row(NamedTuple):
    """A row as it is read back."""

    names: tuple[str, ...]
    step: int
    values: tuple[float, ...]


def rows_in(records: list[Record]) -> list[Row]:
    """Return the rows among records, with the names that these records themselves define."""
    keys = KeyReader()
    rows = []
    for record in records:
        if record.kind == Kind.KEYS:
            keys.define(record)
        elif record.kind == Kind.ROW:
            found, values = keys.row(record)
            rows.append(Row(found.names, record.step, found.unpack(values)))
    return rows


def numbers_in(records: list[Record]) -> list[int]:
    """Return the steps of rows and texts among records; tests number what they log by its step."""
    return [record.step for record in records if record.kind in (Kind.ROW, Kind.TEXT)]


class Interruption(Exception):
    """Raised by a signal handler."""


def keys_of(*names: str, number: int = 1) -> KeySet:
    """Return a key set."""
    return KeySet(names or ("loss",), (), number)


def put(ring: Ring, slot: RunSlot, step: int, keys: KeySet) -> bool:
    """Log a row whose values are its step."""
    return ring.row_writer(slot)(keys, keys.pack(*[float(step)] * keys.size), step)


def put_line(ring: Ring, slot: RunSlot, step: int, *, body: bytes = b"line") -> bool:
    """Log a line that is numbered by its step."""
    return ring.record(Kind.TEXT, slot, body, signal="lines", step=step)


def empty(ring: Ring) -> None:
    """Take everything and give it back."""
    ring.release(ring.take()[1])


def fill(ring: Ring, slot: RunSlot, *, body_bytes: int = 1000) -> int:
    """Log text until the ring refuses one; return how many lines it took."""
    count = 0
    while ring.record(Kind.TEXT, slot, bytes(body_bytes), signal="lines", step=count):
        count += 1
    return count


def span(
    number: int, *, end_unix_ns: int = 0, trace: int = 7, name: str = "step", **attributes: Any
) -> SpanData:
    """Return a span; open unless it has an end."""
    return SpanData(trace, number, 0, name, "internal", 1_000 + number, end_unix_ns, attributes=attributes)


def _nobody() -> None:
    """Wake no encoder."""


class FragileLane:
    """A real lane on a disk that a test breaks and mends.

    Attributes:
        is_broken: Whether appends fail with ENOSPC.
        takes: How many appends still work before it breaks by itself; None for ever.
        fails_once: Whether the next append alone fails.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.is_broken = False
        self.takes: int | None = None
        self.fails_once = False

    def append(self, frame: Frame) -> None:
        """Append, or fail as a full disk does."""
        if self.takes is not None:
            self.is_broken = self.is_broken or self.takes == 0
            self.takes -= 1
        if self.is_broken or self.fails_once:
            self.fails_once = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._lane.append(frame)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lane, name)


@dataclass
class RunParts:
    """One run of a rig."""

    recorder: RunRecorder
    spool: Spool
    encoder: RunEncoder

    @property
    def slot(self) -> RunSlot:
        """The run's slot in the ring."""
        return self.recorder.slot

    def fragile(self, lane: str) -> FragileLane:
        """Put a lane under the test's hand."""
        fragile = FragileLane(self.spool.lanes[lane])
        self.spool.lanes[lane] = fragile  # type: ignore[assignment]  # the encoder's side of a lane
        return fragile


class Rig:
    """A ring, its encoder and its runs, on a real spool; the encoder works when the test says so.

    Args:
        place: A directory of the test's own.
        size_bytes: Size of the ring.
        on_pass: What the encoder calls after a pass.
    """

    def __init__(
        self, place: Path, *, size_bytes: int = 1 << 20, on_pass: Callable[[], None] = _nobody
    ) -> None:
        self.place = place
        self.size_bytes = size_bytes
        self.ring = Ring(ring_file(place, size_bytes=size_bytes), wake=_nobody)
        self.keysets = KeySets()
        self.encoder = Encoder(self.ring, on_pass=on_pass, interval_s=30.0)

    def attach(self, run: str = "run-1", **limits: Any) -> RunParts:
        """Let a run in."""
        slot = self.ring.open_slot()
        spool = Spool.create(self.place / "spool", meta(f"{run}-instance", run=run), **limits)
        run_encoder = RunEncoder(slot.index, spool, RESOURCE)
        self.encoder.add(run_encoder)
        recorder = RunRecorder(self.ring, slot, self.keysets, encoder=self.encoder, run_encoder=run_encoder)
        return RunParts(recorder, spool, run_encoder)

    def work(self) -> bool:
        """Let the encoder do one pass; return whether everything is on disk."""
        return self.encoder.work()


def log(run: RunParts, step: int, *, names: tuple[str, ...] = ("loss",), value: float | None = None) -> bool:
    """Log one row."""
    keys: KeySet = run.recorder.key_set(names, ())
    number = float(step) if value is None else value
    return run.recorder.row(keys, keys.pack(*[number] * keys.size), step)


def say(run: RunParts, line: str) -> bool:
    """Log one line of text."""
    from rundial.signals.records import cap_text, pack_text

    return run.recorder.text(pack_text(9, *cap_text(line)))


def frames(directory: Path, lane: str) -> list[Frame]:
    """Return every whole frame of a lane on disk, published or not."""
    found: list[Frame] = []
    for path in sorted((directory / lane).glob("*.seg")):
        found += [frame for _, frame, _ in scan_frames(path.read_bytes(), SEGMENT_HEADER_BYTES)]
    return found


def points(directory: Path) -> list[tuple[str, int | None, float]]:
    """Return every point in a spool as (name, step, value), in the order of the lane."""
    found: list[tuple[str, int | None, float]] = []
    for frame in frames(directory, "metrics"):
        request = ExportMetricsServiceRequest.FromString(gzip.decompress(frame.body))
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found += [
                        (metric.name, _step(point), point.as_double) for point in metric.gauge.data_points
                    ]
    return found


def log_records(directory: Path, lane: str = "logs") -> list[Any]:
    """Return every log record in a lane, text and events."""
    found: list[Any] = []
    for frame in frames(directory, lane):
        request = ExportLogsServiceRequest.FromString(gzip.decompress(frame.body))
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                found += scope.log_records
    return found


def lines(directory: Path) -> list[str]:
    """Return the text lines in a spool."""
    return [record.body.string_value for record in log_records(directory) if not record.event_name]


def announced(directory: Path) -> list[str]:
    """Return the span ids of the announcements of open spans in a spool."""
    found = []
    for record in log_records(directory):
        if record.event_name == "rundial.span.start":
            body = {pair.key: pair.value for pair in record.body.kvlist_value.values}
            found.append(body["span_id"].string_value)
    return found


def spans(directory: Path) -> list[Any]:
    """Return the spans in a spool."""
    found: list[Any] = []
    for frame in frames(directory, "traces"):
        request = ExportTraceServiceRequest.FromString(gzip.decompress(frame.body))
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                found += scope.spans
    return found


def last(spool: Spool, lane: str) -> LaneState:
    """Return what a lane knows of its last frame."""
    return spool.lanes[lane].last


def dropped(ring: Ring, slot: RunSlot) -> dict[str, dict[str, int]]:
    """Return a run's loss counters, only of signals that lost something."""
    found = counters.dropped(ring.file.words, slot.index)
    return {signal: found[signal] for signal in SIGNALS if found[signal]}


def dead_copy(rig: Rig, run: RunParts, target: Path, *, spool: Spool | None = None) -> tuple[RingFile, Spool]:
    """Return ring and spool, the run's own by default, as a kill at this moment would leave them, adopted."""
    shutil.copytree((spool or run.spool).path, target)
    return killed(rig.ring.file), Spool.adopt(target)


@contextmanager
def between_bytecodes(action: Callable[[], None], *, only_after_calls: bool = False) -> Iterator[None]:
    """Do something before each bytecode of the ring's that this thread runs.

    That is where a kill, or with `only_after_calls` an exception from a signal handler, can strike:
    the interpreter looks for signals after calls, at the start of functions and when it jumps back.
    """
    previous: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        del argument
        if frame.f_code.co_filename not in _RING_SOURCES:
            return None
        # In this order: from 3.13 on a frame without a trace function cannot ask for opcodes.
        frame.f_trace = trace
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event != "opcode":
            return trace
        before = previous.get(frame, -1)
        previous[frame] = frame.f_lasti
        if not only_after_calls or before < 0 or _looks_for_signals(frame, before):
            # Untraced, as everything is that a trace function does.
            action()
        return trace

    outer = sys.gettrace()
    # From 3.12 on opcodes are looked at only if a frame had asked for them before tracing began.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(outer)


def _looks_for_signals(frame: FrameType, before: int) -> bool:
    import opcode

    name = opcode.opname[frame.f_code.co_code[before]]
    return name.startswith(("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE"))


def _step(point: Any) -> int | None:
    steps = [pair.value.int_value for pair in point.attributes if pair.key == "rundial.step"]
    return steps[0] if steps else None
