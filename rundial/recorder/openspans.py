"""Which spans of a run are open although their starts have left the ring; for who finds them after a crash.

A file in each of the run's spools, written before the frames of the take that changed the set: so what the
file lacks, the ring still has. It is a list of changes, one a line: a span that is open, as
`rundial.signals.records` packs it, or `-`, trace id and span id of one that has ended. A take appends what it
changed. When the file has become twice what is open, it is written anew: so a change costs what it is long,
however many spans are open, and the file stays within its bound.

Not more than `MAX_SPANS` are kept, and of `MAX_BYTES` of them all that they have; beyond, a span is kept with
its name and time alone. Of those that are not kept a server knows that they had begun, and that their run is
over.

Threads: the encoder's, or the adopter's.
After a crash: a last line without its end is what a take had begun to write; the ring still has it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from rundial.signals import records
from rundial.spool import durable
from rundial.spool.spool import Spool
from rundial.value import changed

NAME = "open-spans"
MAX_SPANS = 4_096
MAX_BYTES = 4 << 20
# What the file may always be, so that few spans that come and go seldom have it written anew.
SLACK_BYTES = 64 << 10
_ENDED = b"-"


class OpenSpans:
    """The open spans of one run."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, int], bytes] = {}
        self._open_bytes = 0
        # Lines for what has changed since the files were written.
        self._changes: list[bytes] = []
        # How long each spool's file is; one that is not here has to be written whole.
        self._written: dict[Spool, int] = {}

    def add(self, spans: Iterable[records.SpanData]) -> None:
        """Take in spans that are open at the end of a take."""
        for span in spans:
            key = (span.trace_id, span.span_id)
            if key not in self._lines and len(self._lines) < MAX_SPANS:
                line = self._line(span)
                self._lines[key] = line
                self._open_bytes += len(line)
                self._changes.append(line)

    def _line(self, span: records.SpanData) -> bytes:
        line = records.pack_span(span) + b"\n"
        if self._open_bytes + len(line) <= MAX_BYTES:
            return line
        short = changed(
            span,
            attributes=records.NO_ATTRIBUTES,
            events=(),
            links=(),
            dropped_attributes=span.dropped_attributes + len(span.attributes),
            dropped_events=span.dropped_events + len(span.events),
            dropped_links=span.dropped_links + len(span.links),
        )
        return records.pack_span(short) + b"\n"

    def end(self, trace_id: int, span_id: int) -> None:
        """Let go of one that has ended."""
        line = self._lines.pop((trace_id, span_id), None)
        if line is not None:
            self._open_bytes -= len(line)
            self._changes.append(b"%b%032x%016x\n" % (_ENDED, trace_id, span_id))

    def write(self, spools: Iterable[Spool]) -> None:
        """Bring what has changed to disk, in each of the run's spools.

        Raises:
            OSError: One cannot be written; the others are, and the next take writes its file whole.
        """
        changes = b"".join(self._changes)
        self._changes = []
        before, self._written = self._written, {}
        failure: OSError | None = None
        for spool in spools:
            try:
                self._written[spool] = self._write(spool, before.get(spool), changes)
            except OSError as error:  # noqa: PERF203 - each spool on its own
                failure = failure or error
        if failure is not None:
            raise failure

    def _write(self, spool: Spool, size: int | None, changes: bytes) -> int:
        """Write one file; return how long it is."""
        path = f"{spool.directory}/{NAME}"
        if size is None or size + len(changes) > 2 * self._open_bytes + SLACK_BYTES:
            whole = b"".join(self._lines.values())
            durable.replace(path, whole, sync=False)
            return len(whole)
        if changes:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                durable.write_whole(descriptor, (changes,))
            finally:
                os.close(descriptor)
        return size + len(changes)


def load(directory: str) -> list[records.SpanData]:
    """Return the spans that a dead process had open; a line that cannot be read is left out."""
    try:
        with open(os.path.join(directory, NAME), "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return []
    found: dict[tuple[int, int], records.SpanData] = {}
    # Behind the last end of a line there is nothing, or what a crash left of one.
    for line in lines[:-1]:
        try:
            if line.startswith(_ENDED):
                found.pop((int(line[1:33], 16), int(line[33:], 16)), None)
            else:
                span = records.unpack_span(line)
                found[span.trace_id, span.span_id] = span
        except (ValueError, IndexError, TypeError, struct.error):  # noqa: PERF203 - each line on its own
            continue
    return list(found.values())
