"""OTLP log records to text lines and run events. Pure; runs in a worker thread.

A record whose event name is one of ours is an event of the run's life; everything else is a text line.
A line of ours is known by its sequence number; a foreign one by a digest of itself, so that sending it
twice stores it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from rundial.server.anyvalue import canonical, digest, mapping, plain
from rundial.server.evalrows import begun_of, scored_of
from rundial.server.rows import MAX_INT64, Delivery, EventRow, Refusals, SpanRow, TextRow
from rundial.server.spans import announced
from rundial.signals import semconv

_OWN_PREFIX: Final = "rundial."
_OWN_ATTRIBUTES: Final = frozenset(
    {semconv.SEQ, semconv.TRUNCATED, semconv.ORIGINAL_BYTES, semconv.STEP},
)


def add_records(scopes: Iterable[ScopeLogs], delivery: Delivery, refusals: Refusals) -> None:
    """Decode a resource's log records into the delivery, counting what cannot be kept."""
    for scope in scopes:
        for record in scope.log_records:
            reason = _add(record, delivery)
            if reason:
                refusals.add(1, reason)


def _add(record: LogRecord, delivery: Delivery) -> str:
    """Take one record; an empty answer means taken, any other says why not."""
    time_unix_ns = record.time_unix_nano or record.observed_time_unix_nano
    if time_unix_ns > MAX_INT64:
        return "a log record's time must be below 2^63 ns"
    attributes = mapping(record.attributes)
    seq = attributes.get(semconv.SEQ)
    if seq is not None and (not isinstance(seq, int) or isinstance(seq, bool) or seq < 0):
        return f"{semconv.SEQ} must be an integer ≥ 0"
    if not record.event_name.startswith(_OWN_PREFIX):
        delivery.texts.append(_line(record, attributes, time_unix_ns))
        return ""
    body = plain(record.body)
    if not isinstance(body, dict):
        return f"the body of {record.event_name[:80]} must be a map"
    if seq is None:
        return f"{record.event_name[:80]} carries no {semconv.SEQ}"
    if record.event_name == semconv.EVENT_SPAN_START:
        span = announced(body)
        return _keep_span(delivery, span)
    event = EventRow(seq, time_unix_ns, record.event_name, body)
    reason = _misread(event)
    if not reason:
        delivery.events.append(event)
    return reason


def _misread(event: EventRow) -> str:
    """Say what is wrong with what is said of an evaluation: its sender is to hear of it."""
    found: object = None
    if event.name == semconv.EVENT_EVAL_RESULT:
        found = scored_of(event)
    elif event.name == semconv.EVENT_EVAL_START:
        found = begun_of(event)
    return found if isinstance(found, str) else ""


def _keep_span(delivery: Delivery, span: SpanRow | str) -> str:
    if isinstance(span, str):
        return span
    delivery.spans.append(span)
    return ""


def _line(record: LogRecord, attributes: Mapping[str, object], time_unix_ns: int) -> TextRow:
    body = plain(record.body)
    text = body if isinstance(body, str) else canonical(body) if body is not None else ""
    kept = {key: value for key, value in attributes.items() if key not in _OWN_ATTRIBUTES}
    original_bytes = attributes.get(semconv.ORIGINAL_BYTES)
    if original_bytes is not None:
        kept[semconv.ORIGINAL_BYTES] = original_bytes
    if record.dropped_attributes_count:
        kept[semconv.DROPPED_ATTRIBUTES] = record.dropped_attributes_count
    if record.event_name:
        kept["event.name"] = record.event_name
    seq = attributes.get(semconv.SEQ)
    step = attributes.get(semconv.STEP)
    return TextRow(
        seq=seq if isinstance(seq, int) else _derived_seq(record, text, attributes),
        time_unix_ns=time_unix_ns,
        severity=record.severity_number,
        body=text,
        attributes=canonical(kept) if kept else "",
        step=step if isinstance(step, int) and not isinstance(step, bool) else None,
        trace_id=record.trace_id if len(record.trace_id) == 16 else None,
        span_id=record.span_id if len(record.span_id) == 8 else None,
        is_truncated=attributes.get(semconv.TRUNCATED) is True,
    )


def _derived_seq(record: LogRecord, text: str, attributes: Mapping[str, object]) -> int:
    """A negative number made from all that a foreign line says; ours are ≥ 0, so they never meet."""
    parts = (str(record.time_unix_nano), str(record.observed_time_unix_nano), text, canonical(attributes))
    return -1 - (int.from_bytes(digest(*parts)[:8], "little") >> 1)
