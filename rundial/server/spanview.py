"""A stored span as the API shows it. Pure.

Made as text, for what a span holds is stored as JSON: reading it to write it again would be most of the time
that a trace of ten thousand spans takes.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final

from rundial.server.answers import worded
from rundial.server.genai.lines import Told
from rundial.server.genai.stored import view_json
from rundial.server.rows import SPAN_INTERRUPTED, SPAN_RUNNING
from rundial.server.store.budget import ANSWER_BYTES, Budget
from rundial.server.store.events import StoredSpan

_text: Final = json.JSONEncoder(ensure_ascii=False).encode
# Of words that most spans of an answer share; never of a text that a program makes as long as it likes.
_word: Final = lru_cache(maxsize=256)(_text)
# Of the bytes that an answer may read; the rest is for what was said in log records.
MAX_SPAN_BYTES: Final = ANSWER_BYTES * 3 // 4
_MAX_MESSAGES: Final = 20_000
_NON_FINITE: Final = ("NaN", "Infinity")


def message_budget(spans: Budget) -> Budget:
    """What may be read of the messages of spans that were read."""
    return Budget(max(0, ANSWER_BYTES - spans.used_bytes), _MAX_MESSAGES)


def as_json(span: StoredSpan, instance: str, more: str, told: Told) -> str:
    """Show a span.

    Args:
        span: As it is stored.
        instance: The name of its instance.
        more: Further names and values, as JSON without braces.
        told: Log records that are events of spans, by trace and span.
    """
    trace_id, span_id, parent = span.trace_id, span.span_id, span.parent_span_id
    start, end, state = span.start_unix_ns, span.end_unix_ns, span.state
    attributes, events = span.attributes, span.events
    above = f'"{parent.hex()}"' if parent else "null"
    ended = "null" if end is None else f'"{end}"'
    took = "null" if end is None else f'"{end - start}"'
    genai = view_json(span.name, attributes, events, told.get((trace_id, span_id), ()))
    return (
        f'{{"traceId":"{trace_id.hex()}","spanId":"{span_id.hex()}","parentSpanId":{above},'
        f'"instanceId":{_word(instance)},"name":{_text(span.name)},"kind":{_word(span.kind)},'
        f'"startNs":"{start}","endNs":{ended},"durationNs":{took},'
        f'"status":{_word(span.status)},"statusMessage":{_text(span.status_message)},'
        f'"interrupted":{"true" if state == SPAN_INTERRUPTED else "false"},'
        f'"running":{"true" if state == SPAN_RUNNING else "false"},'
        f'"attributes":{_strict(attributes) or "{}"},"events":{_strict(events) or "[]"},'
        f'"links":{_strict(span.links) or "[]"},"genai":{genai},{more}}}'
    )


def settled(span: StoredSpan, *, is_over: bool) -> StoredSpan:
    """A span as it is now: of a run that is over nothing runs, whatever its process had time to say."""
    if not is_over or span.state != SPAN_RUNNING:
        return span
    message = "the run ended before the span did"
    return span._replace(state=SPAN_INTERRUPTED, status="error", status_message=message)


def as_list(spans: list[str]) -> str:
    """Spans as a JSON list."""
    return f"[{','.join(spans)}]"


def _strict(stored: str) -> str:
    """Stored JSON as any reader takes it: what is no number is a text."""
    if any(word in stored for word in _NON_FINITE):
        return json.dumps(worded(json.loads(stored)), ensure_ascii=False)
    return stored
