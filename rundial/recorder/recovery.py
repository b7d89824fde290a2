"""Bringing what a dead process left in its ring into the spool it left beside it.

Runs once per dead instance, in whoever adopts it, and may be killed and run again: the spool's own
frames say how far each lane got, so nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rundial.recorder import counters, layout, openspans
from rundial.recorder.keysets import KeyReader
from rundial.recorder.layout import REASON_INDEX, Kind
from rundial.recorder.mapping import RingFile
from rundial.recorder.runencoder import RunEncoder
from rundial.recorder.scan import Record, scan_strictly
from rundial.spool.frame import TOTALS
from rundial.spool.spool import Spool

# In the order of the signals.
LANES = ("metrics", "logs", "traces")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovery found.

    Attributes:
        units: Units brought into the spool, by signal index: points, lines, spans.
        interrupted: Spans that had started and never ended.
        dropped: The dead process's own loss counters, by signal and reason.
        evicted: Units that its ring gave up, by signal.
        failed: Units that the dead process or recovery could not encode, by signal index.
        last_unix_ns: Time of the last record by the process's own clock, 0 when there was none.
    """

    units: tuple[int, int, int]
    interrupted: int
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    evicted: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[int, int, int] = (0, 0, 0)
    last_unix_ns: int = 0


def recover(file: RingFile, run: int, spool: Spool, resource: bytes, *, takes_jobs: bool = True) -> Recovered:
    """Append a dead run's remaining records to its adopted spool.

    Args:
        file: The dead process's ring, locked by us.
        run: The run's slot in it.
        spool: The run's spool, locked by us.
        resource: The encoded Resource that the run's records carry.
        takes_jobs: Whether the run's files are this spool's to journal.

    Raises:
        OSError: The spool cannot be written; nothing is lost, try again.
        SpoolFullError: As above.
    """
    start = file.words[layout.WORD_TAIL]
    encoder = RunEncoder(run, spool, resource)
    encoder.takes_jobs = takes_jobs
    encoder.failed = _failed_before(file, run, spool)
    before = list(encoder.encoded)
    encoder.begin(file, start)
    encoder.remember(openspans.load(spool.directory))
    keys = KeyReader()
    end, last_unix_ns = start, 0
    for record in scan_strictly(file, start):
        end = record.end
        if record.kind == Kind.KEYS:
            keys.define(record)
        elif record.run == run:
            # Only the process's own clock, whose times are even, says how long it lived.
            if record.time_unix_ns % 2 == 0:
                last_unix_ns = max(last_unix_ns, record.time_unix_ns)
            _add(encoder, record, keys)
    open_spans = list(encoder.interrupt(last_unix_ns))
    encoder.finish(end)
    if encoder.error is not None:
        raise encoder.error
    # An interrupted span has no record of its own whose position could say that it was written; the
    # odd position after the last record says it instead.
    if spool.lanes["traces"].last.end <= end:
        for span in open_spans:
            encoder.add_span(span)
        encoder.finish(end + 1)
    if encoder.error is not None:
        raise encoder.error
    encoder.publish()
    return Recovered(
        units=(
            encoder.encoded[0] - before[0],
            encoder.encoded[1] - before[1],
            encoder.encoded[2] - before[2],
        ),
        interrupted=len(open_spans),
        dropped=counters.dropped(file.words, run),
        evicted=counters.evicted(file.words, run),
        failed=(encoder.failed[0], encoder.failed[1], encoder.failed[2]),
        last_unix_ns=last_unix_ns,
    )


def _failed_before(file: RingFile, run: int, spool: Spool) -> list[int]:
    """What the dead encoder, or an adopter before us, could not encode: only their frames know of it."""
    failed: list[int] = []
    for number, lane in enumerate(LANES):
        in_frames = spool.lanes[lane].last.totals[TOTALS.index("internal_error")]
        in_header = counters.dropped_totals(file.words, run, number)[REASON_INDEX["internal_error"]]
        failed.append(max(0, in_frames - in_header))
    return [*failed, 0]


def _add(encoder: RunEncoder, record: Record, keys: KeyReader) -> None:
    try:
        if record.kind == Kind.ROW:
            encoder.add_row(record, *keys.row(record))
        else:
            encoder.add(record)
    except Exception as error:  # noqa: BLE001 - counted; one poison record must not cost the rest
        encoder.skip(record, error)
