"""A stored span as the API shows it. Pure.

Made as text, for what a span holds is stored as JSON: reading it to write it again would be most of the time
that a trace of ten thousand spans takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from rundial.server.answers import worded
from rundial.server.genai.stored import view_json
from rundial.server.genai.view import Said
from rundial.server.rows import SPAN_INTERRUPTED, SPAN_RUNNING

# What `as_json` is given, in this order.
FIELDS: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "instance_id",
    "name",
    "kind",
    "start_unix_ns",
    "end_unix_ns",
    "status",
    "status_message",
    "state",
    "attributes",
    "events",
    "links",
)
fields_of: Final = attrgetter(*FIELDS)
_text: Final = json.JSONEncoder(ensure_ascii=False).encode
_NON_FINITE: Final = ("NaN", "Infinity")


def as_json(fields: tuple[Any, ...], more: str, said: Mapping[tuple[bytes, bytes], Iterable[Said]]) -> str:
    """Show a span.

    Args:
        fields: Its values, as `FIELDS` names them.
        more: Further names and values, as JSON without braces.
        said: Log records that are events of spans, by trace and span.
    """
    (
        trace_id,
        span_id,
        parent,
        instance,
        name,
        kind,
        start,
        end,
        status,
        message,
        state,
        attributes,
        events,
        links,
    ) = fields
    above = f'"{parent.hex()}"' if parent else "null"
    ended = "null" if end is None else f'"{end}"'
    took = "null" if end is None else f'"{end - start}"'
    genai = view_json(name, attributes, events, said.get((trace_id, span_id), ()))
    return (
        f'{{"traceId":"{trace_id.hex()}","spanId":"{span_id.hex()}","parentSpanId":{above},'
        f'"instanceId":{_text(instance)},"name":{_text(name)},"kind":{_text(kind)},'
        f'"startNs":"{start}","endNs":{ended},"durationNs":{took},'
        f'"status":{_text(status)},"statusMessage":{_text(message)},'
        f'"interrupted":{"true" if state == SPAN_INTERRUPTED else "false"},'
        f'"running":{"true" if state == SPAN_RUNNING else "false"},'
        f'"attributes":{_strict(attributes) or "{}"},"events":{_strict(events) or "[]"},'
        f'"links":{_strict(links) or "[]"},"genai":{genai},{more}}}'
    )


def as_list(spans: list[str]) -> str:
    """Spans as a JSON list."""
    return f"[{','.join(spans)}]"


def _strict(stored: str) -> str:
    """Stored JSON as any reader takes it: what is no number is a text."""
    if any(word in stored for word in _NON_FINITE):
        return json.dumps(worded(json.loads(stored)), ensure_ascii=False)
    return stored
