"""Bringing what a dead process left in its ring into the spool it left beside it.

Runs once per dead instance, in whoever adopts it, and may be killed and run again: the spool's own
frames say how far each lane got, so nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rundial.recorder import counters, layout
from rundial.recorder.layout import Kind
from rundial.recorder.mapping import RingFile
from rundial.recorder.runencoder import KeyReader, RunEncoder
from rundial.recorder.scan import Record, scan, scan_strictly
from rundial.spool.frame import TOTALS
from rundial.spool.spool import Spool

LANES = {"points": "metrics", "lines": "logs", "spans": "traces"}


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovery found.

    Attributes:
        units: Units brought into the spool, by signal index: points, lines, spans.
        interrupted: Spans that had started and never ended.
        dropped: The dead process's own loss counters, by signal and reason.
        evicted: Units that its ring gave up, by signal.
        failed: Units that could not be read back, by signal index.
        last_unix_ns: Time of the last record by the process's own clock, 0 when there was none.
    """

    units: tuple[int, int, int]
    interrupted: int
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    evicted: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[int, int, int] = (0, 0, 0)
    last_unix_ns: int = 0


def recover(file: RingFile, run: int, spool: Spool, resource: bytes) -> Recovered:
    """Append a dead run's remaining records to its adopted spool.

    Args:
        file: The dead process's ring, locked by us.
        run: The run's slot in it.
        spool: The run's spool, locked by us.
        resource: The encoded Resource that the run's records carry.

    Raises:
        OSError: The spool cannot be written; nothing is lost, try again.
        SpoolFullError: As above.
    """
    start = file.words[layout.WORD_TAIL]
    encoder = RunEncoder(run, spool, resource)
    before = list(encoder.encoded)
    encoder.begin(file, start)
    keys = KeyReader()
    end, last_unix_ns = start, 0
    # Sound pages are certain only within one boot: a page that never reached the disk holds old bytes.
    read = scan(file, start) if file.is_of_this_boot else scan_strictly(file, start)
    for record in read:
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
        dropped=_dropped(file, run, spool),
        evicted=counters.evicted(file.words, run),
        failed=(encoder.failed[0], encoder.failed[1], encoder.failed[2]),
        last_unix_ns=last_unix_ns,
    )


def _dropped(file: RingFile, run: int, spool: Spool) -> dict[str, dict[str, int]]:
    found = counters.dropped(file.words, run)
    for signal, lane in LANES.items():
        # What the dead encoder could not encode never stood in the ring's header, only in its frames.
        at_last = spool.lanes[lane].last.totals[TOTALS.index("internal_error")]
        if at_last > found[signal].get("internal_error", 0):
            found[signal]["internal_error"] = at_last
    return found


def _add(encoder: RunEncoder, record: Record, keys: KeyReader) -> None:
    try:
        if record.kind == Kind.ROW:
            encoder.add_row(record, *keys.row(record))
        else:
            encoder.add(record)
    except Exception as error:  # noqa: BLE001 - counted; one poison record must not cost the rest
        encoder.skip(record, error)
