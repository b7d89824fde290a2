"""A sparkline for each run of a list, of the one metric that most likely matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rundial.cli.curves import sparkline
from rundial.errors import RundialRequestError

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.cli.target import Place

MAX_RUNS = 200
MAX_KEYS = 200
SYSTEM = "system/"
_POINTS = 60


@dataclass(frozen=True, slots=True)
class Sparks:
    """The sparklines of a list.

    Attributes:
        metric: Of which metric.
        lines: By run id; a run without points has none.
    """

    metric: str
    lines: Mapping[str, str]


def sparks_of(client: Client, place: Place, run_ids: Sequence[str]) -> Sparks | None:
    """Return the sparklines of these runs, None where they have no metric or the server cannot tell.

    Decoration: what fails here leaves the list as it is.
    """
    if not 1 <= len(run_ids) <= MAX_RUNS:
        return None
    try:
        projects = client.list_projects(workspace_slug=place.workspace)
        ids = [str(row.get("projectId")) for row in projects if row.get("projectSlug") == place.project]
        keys = client.list_metric_keys(project_id=ids[0], limit=MAX_KEYS) if ids else []
        metric = chosen([str(row["metricKey"]) for row in keys if row.get("metricKey")])
        if metric is None:
            return None
        body = {
            "projectId": ids[0],
            "runIds": list(run_ids),
            "metricKeys": [metric],
            "maxPointsPerSeries": _POINTS,
        }
        found = client.caller.post("/api/v1/query/series", body, what="reading sparklines")
    except RundialRequestError:
        return None
    return Sparks(metric, {str(row.get("runId")): _line(row) for row in found.get("series") or []})


def chosen(keys: Sequence[str]) -> str | None:
    """Return the metric to show: a loss, else a score, else the first one that is not the machine's."""
    own = [key for key in keys if not key.startswith(SYSTEM)]
    for word in ("loss", "reward", "acc", "score"):
        named = [key for key in own if word in key.lower()]
        if named:
            return min(named, key=lambda key: (len(key), key))
    return own[0] if own else None


def _line(row: Mapping[str, Any]) -> str:
    points = row.get("points") or []
    return sparkline([float(p["value"]) for p in points if isinstance(p.get("value"), (int, float))])
