"""One run's records on their way from a ring into its spool, frame by frame.

The same code serves the live encoder and the recovery of a dead process's ring. Each frame says up to
which ring position its lane is done, so that a take which is read twice, after a failed write or a
kill, is written once.

Threads: the encoder's, or the adopter's; counters are read by others under the encoder's pass lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rundial import plainjson
from rundial.errors import SpoolError
from rundial.logger import logger
from rundial.recorder import counters, layout
from rundial.recorder.form import DEFAULT_FORM, GZIP_MAGIC, Form
from rundial.recorder.layout import REASON_INDEX, SIGNAL_INDEX, Kind
from rundial.recorder.mapping import RingFile
from rundial.signals import records
from rundial.spool.frame import LANES, Frame
from rundial.spool.spool import Spool
from rundial.typed import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from rundial.choices import Signal
    from rundial.recorder.batches import PointsBatch, RecordsBatch
    from rundial.recorder.keysets import KeySet
    from rundial.recorder.latest import Latest
    from rundial.recorder.mirror import Mirror
    from rundial.recorder.openspans import OpenSpans
    from rundial.recorder.scan import Record, Rows
    from rundial.signals.packer import MetricsPacker

    Batch: TypeAlias = PointsBatch | RecordsBatch[Any]

LANE_OF: dict[int, str] = {
    Kind.ROW: "metrics",
    Kind.TEXT: "logs",
    Kind.RESULT: "logs",
    Kind.EVENT: "events",
    Kind.SPAN_END: "traces",
    Kind.POINT_REQUEST: "metrics",
    Kind.LOG_REQUEST: "logs",
    Kind.SPAN_REQUEST: "traces",
    Kind.DATA_POINT: "metrics",
}
# Encoded before they entered the ring; a spool holds these or a run's own records, never both.
REQUESTS = frozenset({Kind.POINT_REQUEST, Kind.LOG_REQUEST, Kind.SPAN_REQUEST})
# Where a job that could not be journalled is remembered, beside the lanes.
JOBS = "artifacts"
SIGNAL_OF: dict[str, Signal] = {"metrics": "points", "logs": "lines", "traces": "spans"}


class RunEncoder:
    """Turns one run's records into frames of its spool.

    Args:
        run: The run's slot in the ring.
        spool: Where its frames go.
        resource: The encoded OTel Resource of the run's process.
        form: How its requests are written.

    Attributes:
        encoded: Units in frames so far, by signal index.
        failed: Units that could not be encoded, by signal index.
        on_publish: Called when there is something new to send; must not wait.
        on_job: Called when the journal has something new; must not wait.
        on_gone: Called with the token of a job that the ring gave up before it was journalled.
        drift: Units that the ring counted as accepted and no record of which was found: an
            exception from a signal handler can strike between a record and its count.
        pause: Called after each chunk, so that others get the interpreter.
        latest: The last value of each metric; None before the first.
        mirrors: Further spools that get each frame, once this one has it.
        takes_jobs: Whether files are this spool's to journal; a mirror leaves them to the run's own.
        keeps_open: Whether open spans are kept on disk; not where a dead process's ring is read.
        error: Why a lane could not be written in this take; the other lanes were, all the same.
    """

    def __init__(self, run: int, spool: Spool, resource: bytes, form: Form = DEFAULT_FORM) -> None:
        self.run = run
        self._form = form
        self.spool = spool
        self._resource = resource
        self._packer: MetricsPacker | None = None
        # A new spool's lanes are opened by the first frame.
        known = {} if spool.is_untouched else {name: lane.last for name, lane in spool.lanes.items()}
        self._ends = {name: known[name].end if name in known else 0 for name in LANES}
        self.encoded = [
            known[lane].totals[0] if lane in known and known[lane].totals else 0 for lane in SIGNAL_OF
        ]
        self.encoded.append(spool.journal.counts().added if spool.has_journal else 0)
        self.latest: Latest | None = None
        self.failed = [0, 0, 0, 0]
        self.drift = [0, 0, 0, 0]
        self.on_publish: Callable[[], None] | None = None
        self.on_job: Callable[[], None] | None = None
        self.on_gone: Callable[[str], None] | None = None
        self.pause: Callable[[], None] = _go_on
        self.mirrors: Sequence[Mirror] = ()
        self.takes_jobs = True
        self.error: Exception | None = None
        # Units of this take that cannot be encoded, by lane; counted once their lane is past them, so
        # that a take which is read again counts them once.
        self._failing: dict[str, int] = {}
        # Lanes that refused a frame of this take; what comes behind it must not overtake it.
        self._broken: set[str] = set()
        # How far open spans have been announced.
        self._announced = 0
        self._batches: dict[str, Batch] = {}
        # The metrics lane's batch, while it is one of OpenTelemetry's data points and not of rows.
        self._data_points: RecordsBatch[bytes] | None = None
        self._open_spans: dict[tuple[int, int], tuple[records.SpanData, Record | None]] = {}
        self.keeps_open = False
        self._kept: OpenSpans | None = None
        self._first = 0
        self._has_written = self._has_jobs = False
        # Behind the last job that could not be read; it is in no journal.
        self._unreadable_end = 0
        # Jobs that the ring may give up, by their position.
        self._evictable_jobs: dict[int, str] = {}

    def begin(self, file: RingFile, start: int) -> None:
        """Start a take at a position; what an earlier, failed one left half done is forgotten."""
        if self._evictable_jobs:
            self._tell_gone(start)
        self._file = file
        self._first = start
        self._batches = {}
        self._data_points = None
        self._failing = {}
        self._broken = set()
        self._open_spans = {}
        self.error = None

    def is_new(self, record: Record) -> bool:
        """Whether no frame holds this record yet."""
        if record.kind == Kind.JOB:
            return record.position >= self._jobs_end
        lane = LANE_OF.get(record.kind)
        return lane is None or record.position >= self._ends[lane]

    def add_row(self, record: Record, keys: KeySet, values: bytes) -> None:
        """Take a row in."""
        if not self._is_wanted("metrics", record) or not self._leave_data_points(record.position):
            return
        batch = cast("PointsBatch | None", self._batches.get("metrics"))
        if batch is not None and not batch.has_room(keys.size):
            self._write("metrics", record.position)
            if "metrics" in self._broken:
                return
            batch = None
        batch = batch or self._begin_points()
        step = None if record.step == layout.NO_STEP else record.step
        batch.add(keys, record.time_unix_ns, step, values)
        self._after_add("metrics", batch, record.end)

    def add_rows(self, rows: Rows, keys: KeySet) -> bool:
        """Take rows in that lie side by side; False, and nothing is done, where they do not go together."""
        if rows.position < self._ends["metrics"] or "metrics" in self._broken:
            return False
        if not self._leave_data_points(rows.position):
            return False
        batch = cast("PointsBatch | None", self._batches.get("metrics")) or self._begin_points()
        # One row may be more than a request is to hold, rows together may not: each then goes its own way.
        if batch.units + keys.size * len(rows.bodies) > self._form.max_items:
            return False
        batch.add_rows(keys, rows.times, rows.steps, rows.bodies)
        self._after_add("metrics", batch, rows.end)
        return True

    def add(self, record: Record) -> None:
        """Take a text line, event or span in."""
        kind = record.kind
        if kind == Kind.JOB:
            self._journal(record)
            return
        if kind in REQUESTS:
            self._add_request(LANE_OF[kind], record)
            return
        if kind == Kind.DATA_POINT:
            self._add_data_point(record)
            return
        if kind == Kind.SPAN_START:
            span = records.unpack_span(record.body)
            self._open_spans[span.trace_id, span.span_id] = (span, record)
            return
        if kind == Kind.SPAN_END:
            ended = records.unpack_span(record.body)
            self._open_spans.pop((ended.trace_id, ended.span_id), None)
            if self._kept is not None:
                self._kept.end(ended.trace_id, ended.span_id)
            value: object = ended
        elif kind == Kind.TEXT:
            step = None if record.step == layout.NO_STEP else record.step
            value = records.unpack_text(
                record.body, seq=record.seq, time_unix_ns=record.time_unix_ns, step=step
            )
        else:
            value = records.unpack_event(record.body, seq=record.seq, time_unix_ns=record.time_unix_ns)
        lane = LANE_OF[kind]
        if not self._is_wanted(lane, record):
            return
        batch = self._records_batch(lane)
        batch.add(value)
        self._after_add(lane, batch, record.end)

    def _add_data_point(self, record: Record) -> None:
        """Take a data point in; rows and data points are written by different hands, in their order."""
        if not self._is_wanted("metrics", record):
            return
        if not self._data_points and "metrics" in self._batches:
            self._write("metrics", record.position)
            if "metrics" in self._broken:
                return
        batch = self._data_points
        if batch is None:
            from rundial.recorder.batches import RecordsBatch

            batch = RecordsBatch[bytes](self._encode_data_points, counts=True, form=self._form)
            self._batches["metrics"] = self._data_points = batch
        batch.add(bytes(record.body))
        self._after_add("metrics", batch, record.end)

    def _leave_data_points(self, position: int) -> bool:
        """Make way for rows; False where the lane broke over it."""
        if self._data_points:
            self._write("metrics", position)
        return "metrics" not in self._broken

    def _add_request(self, lane: str, record: Record) -> None:
        """Take a request of one record in: they concatenate to their union."""
        if not self._is_wanted(lane, record):
            return
        batch = cast("RecordsBatch[Any] | None", self._batches.get(lane))
        if batch is None:
            from rundial.recorder.batches import RecordsBatch

            batch = self._batches[lane] = RecordsBatch[Any](b"".join, counts=True, form=self._form)
        batch.add(bytes(record.body))
        self._after_add(lane, batch, record.end)

    def _journal(self, record: Record) -> None:
        """Write a job to the journal; what comes behind one that could not be written waits for it."""
        if JOBS in self._broken or not self.takes_jobs:
            return
        try:
            job = plainjson.loads(record.body)
            is_new = self.spool.journal.add(job, end=record.end, time_unix_ns=record.time_unix_ns)
        except OSError as error:
            self._broken.add(JOBS)
            self.error = self.error or error
            return
        self.encoded[SIGNAL_INDEX["artifacts"]] += is_new
        self._has_jobs |= is_new

    def may_evict(self, record: Record) -> None:
        """Remember a record that the ring may give up: what a job has in memory goes with it."""
        if record.kind != Kind.JOB:
            return
        try:
            self._evictable_jobs[record.position] = str(plainjson.loads(record.body)["token"])
        except (ValueError, KeyError, TypeError):
            return  # `skip` counts it, if it stays

    def _tell_gone(self, start: int) -> None:
        """Tell of jobs that were given up: behind the tail, and not because they were journalled."""
        jobs, self._evictable_jobs = self._evictable_jobs, {}
        for position, token in jobs.items():
            if self.on_gone is not None and self._jobs_end <= position < start:
                self.on_gone(token)

    @property
    def _jobs_end(self) -> int:
        return max(self.spool.journal.end, self._unreadable_end)

    def skip(self, record: Record, error: Exception) -> None:
        """Count a record that cannot be read back; it is lost as `internal_error`."""
        if record.kind == Kind.JOB:
            # Once, however often the take is read.
            if record.position >= self._jobs_end:
                logger.warning("an artifact could not be journalled; counted internal_error", exc_info=error)
                self.failed[SIGNAL_INDEX["artifacts"]] += 1
                self._unreadable_end = record.end
            return
        lane = LANE_OF.get(record.kind)
        if lane is None or not self._is_wanted(lane, record):
            return
        if lane not in self._failing:
            logger.warning("records could not be encoded and are counted internal_error", exc_info=error)
        self._failing[lane] = self._failing.get(lane, 0) + units_of(record)[1]

    def finish(self, end: int) -> None:
        """Write what is left of the take, and announce the spans that are still open in it."""
        if self.keeps_open and (self._open_spans or self._kept is not None):
            self._keep_open()
        for lane in list(self._batches):
            self._write(lane, end)
        for lane in list(self._failing):
            # Nothing of the lane came behind these. A request without a record says that they are lost,
            # also to whoever finds the spool after a kill.
            if lane not in self._broken:
                from rundial.recorder.batches import empty_body

                self._append(lane, empty_body(), 0, 0, end)
        if "logs" not in self._broken:
            self._write_announcements(end)
        self._open_spans = {}

    def publish(self) -> None:
        """Show the sender what was written, once the ring has been released."""
        for mirror in self.mirrors:
            mirror.publish()
        if self._has_written:
            self._has_written = False
            self.spool.publish()
            if self.on_publish is not None:
                self.on_publish()
        if self._has_jobs and self.on_job is not None:
            self.on_job()
            # Afterwards: what could not be seen to now is with the next pass.
            self._has_jobs = False

    def move_to(self, spool: Spool) -> None:
        """Go on in another spool, because the directory of this one is gone."""
        self.spool = spool

    def settle(self, at_mark: list[int], evicted: list[int]) -> None:
        """Take the difference to the ring's own count, when everything before the mark is written."""
        for number, accepted in enumerate(at_mark):
            found = self.encoded[number] + evicted[number] + self.failed[number]
            self.drift[number] = accepted - found

    def remember(self, spans: Iterable[records.SpanData]) -> None:
        """Know of spans that had begun before the ring; for a dead process's."""
        self._open_spans = {(span.trace_id, span.span_id): (span, None) for span in spans}

    def interrupt(self, end_unix_ns: int) -> Iterator[records.SpanData]:
        """Yield the spans that never ended, as interrupted ones; for a dead process's ring."""
        for span, _ in self._open_spans.values():
            yield records.interrupted(span, end_unix_ns=end_unix_ns)
        self._open_spans = {}

    def add_span(self, span: records.SpanData) -> None:
        """Take a span in that has no end record of its own."""
        batch = self._records_batch("traces")
        batch.add(span)

    def _keep_open(self) -> None:
        if self._kept is None:
            from rundial.recorder.openspans import OpenSpans

            self._kept = OpenSpans()
        self._kept.add(span for span, _ in self._open_spans.values())
        try:
            # A mirror's adopter finds them in its own spool, whoever else may be gone by then.
            self._kept.write((self.spool, *(each.spool for each in self.mirrors if each.wants("traces"))))
        except OSError as error:
            # The lanes are about to meet it too, and say so; the next take tries again.
            logger.debug("the open spans of a run could not be kept: %s", error)

    def _is_wanted(self, lane: str, record: Record) -> bool:
        return record.position >= self._ends[lane] and lane not in self._broken

    # The packers are imported by the first pass, not by `init`.

    def _begin_points(self) -> PointsBatch:
        from rundial.recorder.batches import PointsBatch
        from rundial.recorder.latest import Latest
        from rundial.signals.packer import MetricsPacker

        self._packer = self._packer or MetricsPacker(self._resource)
        self.latest = self.latest or Latest()
        batch = self._batches["metrics"] = PointsBatch(self._packer, self._form, latest=self.latest)
        return batch

    def _records_batch(self, lane: str) -> RecordsBatch[Any]:
        batch = self._batches.get(lane)
        if batch is None:
            from rundial.recorder.batches import RecordsBatch

            encode = self._encode_spans if lane == "traces" else self._encode_logs
            batch = self._batches[lane] = RecordsBatch[Any](encode, counts=lane != "events", form=self._form)
        return cast("RecordsBatch[Any]", batch)

    def _encode_data_points(self, scopes: Sequence[bytes]) -> bytes:
        from rundial.signals import otlp

        return otlp.encode_data_points(self._resource, scopes)

    def _encode_logs(self, values: Any) -> bytes:
        from rundial.signals import otlp

        return otlp.encode_logs(self._resource, values)

    def _encode_spans(self, values: Any) -> bytes:
        from rundial.signals import otlp

        return otlp.encode_spans(self._resource, values)

    def _after_add(self, lane: str, batch: Batch, end: int) -> None:
        if batch.has_chunk:
            self._pack(batch)
        if batch.is_full:
            self._write(lane, end)

    def _pack(self, batch: Batch) -> None:
        while batch.has_chunk:
            batch.pack_chunk()
            self.pause()

    def _write(self, lane: str, end: int) -> None:
        batch = self._batches.pop(lane)
        if batch is self._data_points:
            self._data_points = None
        body = batch.body()
        if batch.failed:
            self._failing[lane] = self._failing.get(lane, 0) + batch.failed
        if batch.items or batch.failed:
            self._append(lane, body, batch.units, batch.items, end)

    def _write_announcements(self, end: int) -> None:
        # A take that is read again announces only what it had not: the lane cannot tell by itself,
        # for its text may have been written to the same end before.
        open_spans = [
            (span, start)
            for span, start in self._open_spans.values()
            if start is not None and start.position >= self._announced
        ]
        if not open_spans:
            return
        from rundial.recorder.batches import MAX_FRAME_RECORDS, RecordsBatch

        most = min(MAX_FRAME_RECORDS, self._form.max_items)
        for first in range(0, len(open_spans), most):
            batch = RecordsBatch[records.Event](self._encode_logs, counts=False, form=self._form)
            for span, start in open_spans[first : first + most]:
                batch.add(records.span_start(span, seq=start.seq, time_unix_ns=start.time_unix_ns))
                if batch.has_chunk:
                    batch.pack_chunk()
                    self.pause()
            body = batch.body()
            if batch.items and not self._append("logs", body, 0, batch.items, end):
                return
            self._announced = start.end

    def _append(self, lane: str, body: bytes, units: int, items: int, end: int) -> bool:
        signal = SIGNAL_OF.get(lane)
        totals: tuple[int, ...] = (0,) * 10
        if signal is not None:
            number = SIGNAL_INDEX[signal]
            drops = list(counters.dropped_totals(self._file.words, self.run, number))
            drops[REASON_INDEX["internal_error"]] += self.failed[number] + self._failing.get(lane, 0)
            totals = (self.encoded[number] + units, *drops)
        frame = Frame(
            units=units,
            items=items,
            ring=self._file.ring_id,
            first=self._first,
            end=end,
            totals=totals,
            body=body,
            # A plain request begins with the tag of its first field.
            is_gzip=body.startswith(GZIP_MAGIC),
        )
        try:
            self.spool.lanes[lane].append(frame)
        except (OSError, SpoolError) as error:
            self._broken.add(lane)
            self.error = self.error or error
            return False
        self._ends[lane] = end
        self._has_written = True
        for mirror in self.mirrors:
            mirror.append(lane, frame)
        failed = self._failing.pop(lane, 0)
        if signal is not None:
            self.encoded[SIGNAL_INDEX[signal]] += units
            self.failed[SIGNAL_INDEX[signal]] += failed
        return True


def units_of(record: Record) -> tuple[int, int]:
    """Return a record's signal index and its units; (-1, 0) for what the ledger does not count."""
    if record.kind == Kind.ROW:
        names_bytes = record.aux if record.flags & layout.FLAG_NAMES else 0
        return SIGNAL_INDEX["points"], (len(record.body) - names_bytes) // 8
    if record.kind == Kind.JOB:
        return SIGNAL_INDEX["artifacts"], 1
    lane = LANE_OF.get(record.kind)
    if lane is None or lane not in SIGNAL_OF:
        return -1, 0
    return SIGNAL_INDEX[SIGNAL_OF[lane]], 1


def _go_on() -> None:
    """Make no pause."""
