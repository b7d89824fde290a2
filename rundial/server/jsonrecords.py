"""Records in the JSON of the published 1.0 client to rows. Pure; runs in a worker thread.

That client re-sends without any id of a request or a record, so what a record says is what identifies
it, and sending it again stores it once:

- a point: run, key, context, step, time, value. Its wire has whole milliseconds; the digits below them
  are made from the value, so that two values of one step and millisecond are both kept.
- a line: run, time, sequence, level, message.
- a span: trace id, span id.

It names no process either: all that it sends into a run is one instance, `JSON_INSTANCE`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any, Final

from rundial.choices import Reason
from rundial.server.anyvalue import canonical, digest
from rundial.server.points import MAX_NAME_CHARACTERS
from rundial.server.problems import Problem, invalid
from rundial.server.resources import is_id
from rundial.server.rows import (
    MAX_INT64,
    SPAN_ENDED,
    SPAN_RUNNING,
    Decoded,
    Delivery,
    EventRow,
    Refusals,
    Signal,
    SpanRow,
    Target,
    TextRow,
)
from rundial.server.spans import KINDS, STATUSES
from rundial.signals import semconv

JSON_INSTANCE: Final = "rundial-json"
LISTS: Final[Mapping[Signal, str]] = {"metrics": "points", "logs": "lines", "traces": "spans"}
MAX_RECORDS: Final = 20_000
# A value costs up to a hundred times its text in memory: a bound on their number bounds that.
MAX_VALUES: Final = 500_000
_MS: Final = 1_000_000
# OTel knows no such kind; our own SDK marks a tool call in the same way.
_TOOL: Final = {"rundial.span.kind": "tool"}
_GEN_AI: Final = {
    "model": "gen_ai.request.model",
    "genAiSystem": "gen_ai.provider.name",
    "costUsd": "rundial.cost_usd",
}
_TOKENS: Final = {"tokensIn": "gen_ai.usage.input_tokens", "tokensOut": "gen_ai.usage.output_tokens"}
# The number of a line in its process; others of the run number theirs from 1, too.
CLIENT_SEQUENCE: Final = "rundial.client.sequence"
# What the client counts, as our ledger's reasons.
_LOST: Final[Mapping[str, Mapping[Reason, tuple[str, ...]]]] = {
    "points": {
        "queue_full": ("droppedPointsQueueFull",),
        "non_finite": ("droppedPointsNonFinite",),
        "rejected": ("droppedPointsNonRetryable", "droppedPointsRetryExhausted"),
        "spool_full": ("droppedPointsSpoolEviction",),
    },
    "lines": {"queue_full": ("droppedLogLinesQueueFull",), "invalid": ("droppedLogLinesInvalid",)},
}
_MAX_COUNT: Final = 10**9
_Add = Callable[[Delivery, Mapping[str, Any]], None]


def read_json(body: bytes) -> dict[str, Any]:
    """Read a JSON object whose values are bounded in number and depth.

    Raises:
        Problem: 400, it is none; 413, it has too many values.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise Problem(413, f"the body has more than {MAX_VALUES:,} values", "send it in several requests")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid("the body is not JSON, or nested too deeply", "send a JSON object in UTF-8") from error
    if not isinstance(found, dict):
        raise invalid("the body is not a JSON object", "send {…}")
    return found


def decode_json(signal: Signal, body: bytes) -> Decoded:
    """Decode a request of the published client; a target's `project` is a project's id.

    Raises:
        Problem: The body is no such request.
    """
    values = read_json(body)
    records = values.get(LISTS[signal])
    if not isinstance(records, list):
        raise invalid(f"{LISTS[signal]} is not a list", f"send {{{LISTS[signal]!r}: […]}}")
    if len(records) > MAX_RECORDS:
        raise Problem(
            413,
            f"{len(records):,} {LISTS[signal]} in one request; at most {MAX_RECORDS:,}",
            "send fewer at once",
        )
    refusals = Refusals()
    deliveries: dict[tuple[str, str], Delivery] = {}
    add = _ADD[signal]
    for record in records:
        refusals.add(*_tried(add, record, deliveries))
    found = [delivery for delivery in deliveries.values() if delivery.items()]
    _add_ledger(found, values.get("clientDiagnostics"))
    return Decoded(found, refusals)


class _RefusedError(Exception):
    """A record cannot be kept; the message says why."""


def _tried(add: _Add, record: object, deliveries: dict[tuple[str, str], Delivery]) -> tuple[int, str]:
    """Add a record to its delivery; how many were refused, and why."""
    try:
        delivery, fields = _delivery(record, deliveries)
        add(delivery, fields)
    except _RefusedError as refused:
        return 1, str(refused)
    return 0, ""


def _delivery(record: object, deliveries: dict[tuple[str, str], Delivery]) -> tuple[Delivery, dict[str, Any]]:
    if not isinstance(record, dict):
        raise _RefusedError("a record must be a JSON object")
    project_id, run_id = record.get("projectId"), record.get("runId")
    if not isinstance(project_id, str) or not is_id(project_id):
        raise _RefusedError("projectId must be a project's id")
    if not isinstance(run_id, str) or not is_id(run_id):
        raise _RefusedError("runId is not 1 to 128 letters, digits, '.', '_' or '-'")
    key = (project_id, run_id)
    if key not in deliveries:
        deliveries[key] = Delivery(
            Target(
                workspace=None,
                project=project_id,
                project_name="",
                run_id=run_id,
                kind=None,
                attempt=1,
                rank=None,
                instance=JSON_INSTANCE,
                host="",
                is_foreign=False,
            )
        )
    return deliveries[key], record


def _add_point(delivery: Delivery, record: Mapping[str, Any]) -> None:
    name = record.get("metricKey")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS or not _is_text(name):
        raise _RefusedError(f"a metricKey has 1 to {MAX_NAME_CHARACTERS} characters")
    step = _whole(record.get("step"), "step must be an integer ≥ 0")
    value = record.get("value")
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    except OverflowError:
        number = None
    if number is None or not isfinite(number):
        raise _RefusedError("a point's value must be a finite number")
    context = {} if record.get("context") is None else record["context"]
    if not isinstance(context, dict):
        raise _RefusedError("context must be a JSON object")
    time_unix_ns = _time_ns(record) + _below_ms(number)
    delivery.add_points(name, "", _clean(canonical(context)), ([step], [time_unix_ns], [number]))


def _add_line(delivery: Delivery, record: Mapping[str, Any]) -> None:
    message, level = record.get("message"), record.get("level")
    if not isinstance(message, str):
        raise _RefusedError("message must be a text")
    severity = semconv.SEVERITY.get(level) if isinstance(level, str) else None
    if severity is None:
        raise _RefusedError(f"level must be one of {', '.join(semconv.SEVERITY)}")
    sequence = _whole(record.get("sequence", 0), "sequence must be an integer ≥ 0")
    time_unix_ns = _time_ns(record)
    body = _clean(message)
    identity = digest(str(time_unix_ns), str(sequence), str(severity), body)
    delivery.texts.append(
        TextRow(
            # Negative, as of every line that is known by what it says.
            seq=-1 - (int.from_bytes(identity[:8], "little") >> 1),
            time_unix_ns=time_unix_ns,
            severity=severity,
            body=body,
            attributes=canonical({CLIENT_SEQUENCE: sequence}),
            step=None,
            trace_id=None,
            span_id=None,
            is_truncated=record.get("truncated") is True,
        )
    )


def _add_span(delivery: Delivery, record: Mapping[str, Any]) -> None:
    kind, status, name = record.get("kind"), record.get("status"), record.get("name")
    if not isinstance(name, str):
        raise _RefusedError("a span's name must be a text")
    attributes = {**_attributes(record.get("attrsJson")), **_gen_ai(record)}
    if kind == "tool":
        attributes.update(_TOOL)
    start, end = _ns(record.get("startNs")), record.get("endNs")
    events = [] if record.get("events") is None else record["events"]
    if not isinstance(events, list):
        raise _RefusedError("a span's events must be a list")
    parent = record.get("parentSpanId")
    delivery.spans.append(
        SpanRow(
            trace_id=_id(record.get("traceId"), 16),
            span_id=_id(record.get("spanId"), 8),
            parent_span_id=_id(parent, 8) if parent else None,
            name=_clean(name),
            kind=kind if kind in KINDS else "internal",
            start_unix_ns=start,
            end_unix_ns=None if end is None else _ns(end),
            status=status if status in STATUSES else "unset",
            status_message="",
            state=SPAN_RUNNING if end is None else SPAN_ENDED,
            attributes=_clean(canonical(attributes)) if attributes else "",
            events=_clean(canonical([_event(each) for each in events])) if events else "",
            links="",
        )
    )


_ADD: Final[Mapping[Signal, _Add]] = {
    "metrics": _add_point,
    "logs": _add_line,
    "traces": _add_span,
}


def _event(event: object) -> dict[str, object]:
    if not isinstance(event, dict) or not isinstance(event.get("name"), str):
        raise _RefusedError("a span's event must be an object with a name")
    return {
        "name": event["name"],
        "timestampNs": str(_ns(event.get("timestampNs"))),
        "attributes": _attributes(event.get("attrsJson")),
    }


def _attributes(text: object) -> dict[str, object]:
    """Attributes that come as JSON inside of a JSON text."""
    if text is None or text == "":
        return {}
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _RefusedError("attrsJson must be a JSON object as text")
    return found


def _gen_ai(record: Mapping[str, Any]) -> dict[str, object]:
    """What the client sends beside the attributes, under OpenTelemetry's names."""
    found = {
        name: record[key] for key, name in _GEN_AI.items() if isinstance(record.get(key), (str, int, float))
    }
    for key, name in _TOKENS.items():
        if record.get(key) is not None:
            found[name] = _ns(record[key])
    return found


def _time_ns(record: Mapping[str, Any]) -> int:
    why = "timestampMs must be a positive integer, in milliseconds since 1970"
    time_ms = _whole(record.get("timestampMs"), why)
    if not 0 < time_ms < MAX_INT64 // _MS:
        raise _RefusedError(why)
    return time_ms * _MS


def _ns(value: object) -> int:
    """A whole number that comes as text, because JSON readers round it."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    return _whole(value, "times in nanoseconds and token counts must be whole numbers from 0 to 2^63-1")


def _whole(value: object, why: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INT64:
        raise _RefusedError(why)
    return value


def _below_ms(number: float) -> int:
    """A number of nanoseconds below a millisecond that stands for a value."""
    return int.from_bytes(digest(number.hex())[:8], "little") % _MS


def _id(value: object, size: int) -> bytes:
    """A trace's or span's id: its bytes where it is hex of the right length, else a digest of the text."""
    if not isinstance(value, str) or not value:
        raise _RefusedError("a span has a traceId and a spanId")
    try:
        found = bytes.fromhex(value) if len(value) == 2 * size else b""
    except ValueError:
        found = b""
    return found if len(found) == size and any(found) else digest(value)[:size]


def _is_text(text: str) -> bool:
    return _clean(text) == text


def _clean(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can spell and no store can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _add_ledger(deliveries: Iterable[Delivery], said: object) -> None:
    """Add the client's own counters of what it lost, as a ledger event says them, where it lost something."""
    if not isinstance(said, dict):
        return
    body = {
        signal: {
            "dropped": {
                reason: sum(_count(said.get(name)) for name in names) for reason, names in lost.items()
            }
        }
        for signal, lost in _LOST.items()
    }
    if any(any(part["dropped"].values()) for part in body.values()):
        for delivery in deliveries:
            # One number for all of them: the greatest of each counter stands, and one row is enough.
            event = EventRow(0, delivery.newest_unix_ns(), semconv.EVENT_RUN_LEDGER, body)
            delivery.events.append(event)


def _count(value: object) -> int:
    return (
        min(value, _MAX_COUNT) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
    )
