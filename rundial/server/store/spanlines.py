"""Log records that are messages to and from models, as some instrumentations write them beside a span."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, Index, select

from rundial.server.store.tables import lines

MAX_LINES: Final = 5_000
_NAME: Final = "event.name"
_PREFIX: Final = "gen_ai."

lines_by_trace: Final = Index(
    "lines_by_trace",
    lines.c.run,
    lines.c.trace_id,
    # Most lines are in no trace, and pay nothing.
    sqlite_where=lines.c.trace_id.is_not(None),
    postgresql_where=lines.c.trace_id.is_not(None),
)

# By trace and span: an event's name, and its attributes with what its body says over them.
Said = dict[tuple[bytes, bytes], list[tuple[str, dict[str, object]]]]


def said_within(connection: Connection, runs: Collection[int], traces: Collection[bytes]) -> Said:
    """Read the GenAI events of some traces, at most `MAX_LINES`, in the order of time."""
    found: Said = {}
    if not runs or not traces:
        return found
    query = select(lines.c.trace_id, lines.c.span_id, lines.c.attributes, lines.c.body).where(
        lines.c.run.in_(runs),
        lines.c.trace_id.in_(traces),
        lines.c.span_id.is_not(None),
        lines.c.attributes.contains(f'"{_NAME}":"{_PREFIX}'),
    )
    ordered = query.order_by(lines.c.time_unix_ns, lines.c.id).limit(MAX_LINES)
    for trace_id, span_id, attributes, body in connection.execute(ordered):
        event = _event(attributes, body)
        found.setdefault((bytes(trace_id), bytes(span_id)), []).append(event)
    return found


def _event(attributes: str, body: str) -> tuple[str, dict[str, object]]:
    said: dict[str, object] = json.loads(attributes)
    name = str(said.pop(_NAME))
    try:
        held = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        held = body
    return name, {**said, **(held if isinstance(held, dict) else {"content": held})}
