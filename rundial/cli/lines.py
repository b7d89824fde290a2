"""Lines of a run's text: which ones are wanted, and how they are printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rundial.cli.output import Output, shown, when
from rundial.signals import semconv
from rundial.signals.consoleline import plain

if TYPE_CHECKING:
    from rundial.api.client import Client

LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
LEVEL_COLORS = {"WARN": "yellow", "ERROR": "red", "FATAL": "red", "DEBUG": "dim", "TRACE": "dim"}

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which lines.

    Attributes:
        run_id: Of which run.
        min_level: The least level.
        text: What a line must contain, None for any.
        since_ms: From this time on, in milliseconds since 1970, None for any.
        limit: Most lines.
    """

    run_id: str
    min_level: str
    text: str | None
    since_ms: int | None
    limit: int

    def fields(self, project_id: str) -> dict[str, Any]:
        """Return it as the API takes it, without the limit."""
        wanted = {
            "projectId": project_id,
            "runId": self.run_id,
            "minLevel": self.min_level,
            "text": self.text,
            "startMs": self.since_ms,
        }
        return {name: value for name, value in wanted.items() if value is not None}


def last_lines(client: Client, project_id: str, wish: Wish) -> Rows:
    """Return the last lines of a wish, the newest first."""
    from rundial.api.calls import paging

    body = {**wish.fields(project_id), "limit": wish.limit, "order": "desc"}
    found = client.caller.post("/api/v1/query/logs", body, what=f"reading text of {wish.run_id}")
    return paging.rows_of(found, "rows", client.endpoint)


def identity(row: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what tells a line from another one."""
    return row.get("timestampMs"), row.get("sequence"), row.get("message")


def tell(output: Output, run_id: str, rows: Rows) -> None:
    """Print lines that are given with the newest first: as JSON so, for a person the other way round."""

    def human() -> list[str]:
        if not rows:
            return [f"no text of {shown(run_id)} yet; see what there is: rundial run status {shown(run_id)}"]
        return [line_of(output, row) for row in reversed(folded(rows))]

    output.result({"logs": rows}, human)


def folded(rows: Rows) -> Rows:
    """Return the rows, newest first, with the last state alone of each line that was rewritten."""
    seen: set[tuple[object, object]] = set()
    out: Rows = []
    for row in rows:
        attributes = row.get("attributes") or {}
        number = attributes.get(semconv.LINE)
        state = (number, attributes.get(semconv.LOG_IOSTREAM))
        if number is None or state not in seen:
            out.append(row)
            seen.add(state)
    return out


def line_of(output: Output, row: Mapping[str, Any]) -> str:
    """Return a line of text with its time and level."""
    level = shown(row.get("level")).upper()
    mark = " …" if row.get("truncated") else ""
    padded = output.paint(level.ljust(5), LEVEL_COLORS.get(level, ""))
    return f"{when(row.get('timestampMs'))}  {padded}  {shown(plain(str(row.get('message'))))}{mark}"
