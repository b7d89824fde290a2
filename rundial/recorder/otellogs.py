"""OpenTelemetry's log records → text lines of a run.

Runs on the thread that emits; packs, and offers to the ring. A record's event name is kept, its body where it
is no text as JSON. Never raises, and leaves alone what is emitted while it is at work.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord

from rundial.interrupts import let_through
from rundial.signals import records, semconv
from rundial.signals.attributes import as_body, as_text, clean_attributes

_MS = 1_000_000


class Lines(Protocol):
    """Where lines go: a run's recorder, or what makes one at the first record."""

    def text(self, body: bytes, time_ms: int | None = None) -> bool:
        """Offer one packed text line."""
        ...

    def drop(self, signal: Any, reason: Any, units: int) -> None:
        """Count units that never entered the recorder."""
        ...


class RecorderLogProcessor(LogRecordProcessor):
    """Writes log records to one run's recorder.

    Args:
        sink: Returns where they go; another one after a fork.
        offload: Puts a reference in the place of each long attribute; None leaves them to be cut.
        attributes: Of every line, such as the rank.
    """

    def __init__(
        self,
        sink: Callable[[], Lines],
        *,
        offload: Callable[[Mapping[str, object]], Mapping[str, object]] | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        self._sink = sink
        self._offload = offload
        self._attributes = attributes or {}
        self._inside = threading.local()

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Record one."""
        if getattr(self._inside, "is_busy", False):
            return
        self._inside.is_busy = True
        try:
            self._record(log_record)
        except Exception as error:  # noqa: BLE001 - the record's own values run code here; it is counted
            let_through(error)
            self._sink().drop("lines", "internal_error", 1)
        finally:
            self._inside.is_busy = False

    def shutdown(self) -> None:
        """Nothing is kept here."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Everything is with the recorder already."""
        return True

    def _record(self, emitted: ReadWriteLogRecord) -> None:
        record = emitted.log_record
        body, original_bytes = records.cap_text(_text_of(record.body))
        scope = emitted.instrumentation_scope
        attributes: dict[str, object] = {**self._attributes, **(record.attributes or {})}
        if record.event_name:
            attributes[semconv.EVENT_NAME] = record.event_name
        if scope is not None and scope.name:
            attributes[semconv.OTEL_SCOPE_NAME] = scope.name
        offloaded = attributes if self._offload is None else self._offload(attributes)
        stamp = record.timestamp or record.observed_timestamp
        packed = records.pack_text(
            record.severity_number.value if record.severity_number is not None else 0,
            body,
            original_bytes,
            trace_id=record.trace_id or 0,
            span_id=record.span_id or 0,
            attributes=clean_attributes(offloaded)[0],
        )
        self._sink().text(packed, stamp // _MS if stamp else None)


def _text_of(body: object) -> str:
    if body is None:
        return ""
    if isinstance(body, (Mapping, list, tuple)):
        return json.dumps(as_body(body), ensure_ascii=False, default=as_text)
    return as_text(body)
