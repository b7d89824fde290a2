"""One run's text lines: packed, counted where they are cut or invalid, and handed to the sink.

Threads: any. What is refused is answered with False; only `log_text` tells the user of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rundial.api.rows import as_time_ms
from rundial.api.tally import Tally
from rundial.signals import records, semconv
from rundial.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rundial.api.sink import Sink
    from rundial.api.trace import Tracing

LEVELS = {**semconv.SEVERITY, "warning": 13, "critical": 21}


class Lines:
    """Where `log_text`, the logging handler and the captured console put their lines.

    Args:
        sink: Where records go.
        tracing: Knows the current span.
        tally: Counts.
    """

    def __init__(self, sink: Sink, tracing: Tracing, tally: Tally) -> None:
        self._sink = sink
        self._tracing = tracing
        self._tally = tally

    def add(
        self,
        severity: int,
        message: object,
        *,
        time_ms: int | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> bool:
        """Record one line.

        Args:
            severity: OTel severity number.
            message: At most 8,192 bytes of its text are kept.
            time_ms: Milliseconds since the Unix epoch; None is now.
            attributes: Cleaned by `rundial.signals.attributes`.
        """
        body, original_bytes = records.cap_text(message)
        if original_bytes is not None:
            self._tally.count_line(truncated=True)
        trace_id, span_id = self._tracing.current_ids()
        packed = records.pack_text(
            severity, body, original_bytes, trace_id=trace_id, span_id=span_id, attributes=attributes
        )
        return self._sink.text(packed, time_ms)

    def add_checked(self, level: object, message: object, time_ms: object) -> bool | None:
        """Record one line whose level or time may be nonsense; None when it is, which is counted and told."""
        severity = LEVELS.get(level.lower()) if isinstance(level, str) else None
        stamp = None if time_ms is None else as_time_ms(time_ms)
        if severity is not None and (time_ms is None or stamp is not None):
            return self.add(severity, message, time_ms=stamp)
        self._tally.count_line(invalid=True)
        self._sink.drop("lines", "invalid", 1)
        what = f"level {level!r}" if severity is None else f"time {time_ms!r}"
        self._tally.lost("invalid", f"text:{what[:80]}", f"log_text: {what[:80]} is not valid; dropped")
        return None

    def add_console(self, lines: Sequence[Any], iostream: str, severity: int) -> None:
        """Record what was written to a standard stream.

        Never raises for a line that is refused, in strict mode neither: it would come out of a `print`.
        """
        trace_id, span_id = self._tracing.current_ids()
        for line in lines:
            body, original_bytes = line.fitted()
            if original_bytes is not None:
                self._tally.count_line(truncated=True)
            attributes = None if line.number is None else {semconv.LINE: line.number}
            packed = records.pack_text(
                severity,
                body,
                original_bytes,
                trace_id=trace_id,
                span_id=span_id,
                iostream=iostream,
                attributes=attributes,
            )
            self._sink.text(packed)

    def lose(self, lines: int) -> None:
        """Count lines of the console that found no room on their way here."""
        self._sink.drop("lines", "queue_full", lines)
