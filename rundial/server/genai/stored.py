"""The view of a span as it is stored: its JSON read where it may hold one, and the view as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from rundial.server.answers import worded
from rundial.server.genai.view import Said, is_likely, view

_NULL: Final = "null"
_encoded: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def view_json(name: str, attributes: str, events: str, said: Iterable[Said] = ()) -> str:
    """Return a span's view as JSON, `null` where it has none.

    Args:
        name: The span's.
        attributes: As they are stored, empty for none.
        events: As they are stored, empty for none.
        said: Log records within the span that are events.
    """
    if not is_likely(attributes, events):
        return _NULL
    own = [_event(each) for each in json.loads(events)] if events else []
    found = view(name, json.loads(attributes) if attributes else {}, [*own, *said])
    if found is None:
        return _NULL
    try:
        return _flat(found) or _encoded(found)
    except ValueError:
        return json.dumps(worded(found), ensure_ascii=False)


def _flat(found: Mapping[str, object]) -> str | None:
    """A view of texts and counts alone as JSON, in half the time; None when it holds more."""
    parts = []
    for field, value in found.items():
        if isinstance(value, str):
            parts.append(f'"{field}":{_encoded(value)}')
        elif field == "usage" and isinstance(value, dict):
            counts = ",".join([f'"{name}":{count}' for name, count in value.items()])
            parts.append(f'"usage":{{{counts}}}')
        else:
            return None
    return f"{{{','.join(parts)}}}"


def _event(event: Mapping[str, object]) -> Said:
    said = event.get("attributes")
    return str(event.get("name")), said if isinstance(said, Mapping) else {}
