"""A run's series as commands read them: which ones, their last points, and what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rundial.cli.output import shown

if TYPE_CHECKING:
    from rundial.api.client import Client

MAX_KEYS = 8
# A server thins a long series out to the number that is asked for, and thinned points are not the
# last ones. So a series is read whole and cut here: first as far as most series go, then as far as
# a server goes.
_READ_POINTS = (2_000, 100_000)

Series = list[dict[str, Any]]


def keys_of(client: Client, project_id: str, run_id: str) -> list[str]:
    """Return the first series that the run has, at most as many as can be read at once."""
    rows = client.list_metric_keys(project_id=project_id, run_id=run_id, limit=MAX_KEYS)
    names = [str(row["metricKey"]) for row in rows if row.get("metricKey")]
    return list(dict.fromkeys(names))[:MAX_KEYS]


def last_points(client: Client, project_id: str, run_id: str, *, keys: list[str], points: int) -> Series:
    """Return the last points of the given series, or of the first ones that the run has."""
    keys = keys or keys_of(client, project_id, run_id)
    if not keys:
        return []
    series: Series = []
    for most in _READ_POINTS:
        found = client.query_series(
            project_id=project_id, run_id=run_id, metric_keys=keys, max_points_per_series=most
        )
        series = [dict(row) for row in found["series"]]
        if all(len(row.get("points") or []) >= row.get("totalPoints", 0) for row in series):
            break
    return [{**row, "points": list(row.get("points") or [])[-points:]} for row in series]


def name_of(row: dict[str, Any]) -> str:
    """Return a series' name with its context: one key may have several series."""
    context = row.get("context")
    if not isinstance(context, dict) or not context:
        return shown(row.get("metricKey"))
    pairs = ", ".join(f"{shown(key)}={shown(value)}" for key, value in sorted(context.items()))
    return f"{shown(row.get('metricKey'))} ({pairs})"
