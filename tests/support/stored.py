"""What a server has stored of a run, read back through its public API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rundial.api.client import Client

FAR_MS = 4_102_444_800_000  # the year 2100


@dataclass(frozen=True, slots=True)
class Stored:
    """A run as the server has it.

    Attributes:
        details: The run's details, with counts and ledger.
        points: (name, step, value) of every stored point, in export order.
        lines: Every text line, oldest first.
        spans: Every span, as the listing has it.
    """

    details: dict[str, Any]
    points: list[tuple[str, int, float]]
    lines: list[str]
    spans: list[dict[str, Any]]


def read(client: Client, project: str, run_id: str, *, workspace: str = "default-workspace") -> Stored:
    """Read a whole run."""
    details: Any = client.get_run_details(workspace_slug=workspace, project_slug=project, run_id=run_id)
    project_id = str(details["projectId"])
    points: list[tuple[str, int, float]] = []
    cursor = None
    while True:
        page: Any = client.export_metrics_page(
            project_id=project_id, run_id=run_id, start_ms=0, end_ms=FAR_MS, limit=1000, cursor=cursor
        )
        points += [(row["metricKey"], row["step"], row["value"]) for row in page["rows"]]
        cursor = page["page"].get("nextCursor")
        if not page["page"]["hasMore"]:
            break
    lines: list[str] = []
    cursor = None
    while True:
        found: Any = client.query_logs(project_id=project_id, run_id=run_id, limit=1000, cursor=cursor)
        lines += [row["message"] for row in found["rows"]]
        cursor = (found.get("page") or {}).get("nextCursor")
        if not cursor:
            break
    spans: Any = client.list_spans(workspace_slug=workspace, project_slug=project, run_id=run_id)
    return Stored(details, points, lines[::-1], spans)
