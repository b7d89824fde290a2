"""Which spans of a run are open although their starts have left the ring; for who finds them after a crash.

A file in the run's spool, written anew when the set has changed, before the frames of the take that changed
it: so what the file lacks, the ring still has. One span a line, as `rundial.signals.records` packs it. Not
more than `MAX_SPANS` are kept; of the others a server knows that they had begun, and that their run is over.

Threads: the encoder's, or the adopter's.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from rundial.signals import records
from rundial.spool import durable

NAME = "open-spans"
MAX_SPANS = 4_096


class OpenSpans:
    """The open spans of one run."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, int], bytes] = {}
        self._has_changed = False

    def add(self, spans: Iterable[records.SpanData]) -> None:
        """Take in spans that are open at the end of a take."""
        for span in spans:
            key = (span.trace_id, span.span_id)
            if key not in self._lines and len(self._lines) < MAX_SPANS:
                self._lines[key] = records.pack_span(span)
                self._has_changed = True

    def end(self, trace_id: int, span_id: int) -> None:
        """Let go of one that has ended."""
        self._has_changed |= self._lines.pop((trace_id, span_id), None) is not None

    def move(self) -> None:
        """Be written anew, to another spool."""
        self._has_changed = True

    def write(self, directory: str) -> None:
        """Bring the set to disk where it has changed.

        Raises:
            OSError: It cannot be written; the next take tries again.
        """
        if self._has_changed:
            durable.replace(
                f"{directory}/{NAME}", b"".join(line + b"\n" for line in self._lines.values()), sync=False
            )
            self._has_changed = False


def load(directory: str) -> list[records.SpanData]:
    """Return the spans that a dead process had open; empty where it had none, or a line cannot be read."""
    try:
        with open(os.path.join(directory, NAME), "rb") as file:
            return [records.unpack_span(line) for line in file.read().splitlines()]
    except (OSError, ValueError, IndexError, TypeError, struct.error):
        return []
