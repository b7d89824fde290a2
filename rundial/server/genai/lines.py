"""Log records that are messages to and from models, written beside the span that they belong to. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from rundial.server.store.events import StoredLine

_NAME: Final = "event.name"

# By trace and span: an event's name, and its attributes with what its body says over them.
Told = dict[tuple[bytes, bytes], list[tuple[str, dict[str, object]]]]


def told(lines: Iterable[StoredLine]) -> Told:
    """Sort lines to their spans, in the order that they have."""
    found: Told = {}
    for line in lines:
        if line.trace_id and line.span_id:
            key = (line.trace_id, line.span_id)
            found.setdefault(key, []).append(_event(line.attributes, line.body))
    return found


def _event(attributes: str, body: str) -> tuple[str, dict[str, object]]:
    said: dict[str, object] = json.loads(attributes)
    name = str(said.pop(_NAME, ""))
    try:
        held = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        held = body
    return name, {**said, **(held if isinstance(held, dict) else {"content": held})}
