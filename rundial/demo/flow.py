"""The demonstration from training to comparison: record a run, then ask the server what it has.

What is shown comes from the server; what was logged is counted by the training itself. The two are
compared in number and, for the final values, to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rundial.api.client import Client
from rundial.demo import train
from rundial.demo.render import Point

if TYPE_CHECKING:
    from rundial.demo.child import ServerChild

WORKSPACE = "default-workspace"
PROJECT = "digits"
EPOCHS = 75
SIGNALS = ("points", "lines", "spans")
CHARTED = ("val/loss", "train/loss")
_FLUSH_S = 20.0
_READ_POINTS = 50_000


class Watcher(Protocol):
    """Who follows the training, step by step."""

    def begin(self, steps: int) -> None:
        """Training is about to start; it will take so many steps."""
        ...

    def step(self, done: int, last: Mapping[str, float]) -> None:
        """So many steps are done; these are the last values."""
        ...

    def end(self, last: Mapping[str, float]) -> None:
        """Training is over."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """What was logged, and what the server says.

    Attributes:
        run: Id, name, status and project id, as the server has them.
        logged: Points, lines and spans that the training logged.
        stored: The same as the server counts them.
        metrics: The last stored value of each series.
        is_equal: Everything that was logged is stored, with the same final values, and the run is
            completed.
        loss: The stored loss series, for the chart.
        seconds: How long training and reading back took.
    """

    run: Mapping[str, Any]
    logged: Mapping[str, int]
    stored: Mapping[str, int]
    metrics: Mapping[str, float]
    is_equal: bool
    loss: Mapping[str, list[Point]]
    seconds: float


def record(child: ServerChild, folder: Path, watcher: Watcher) -> Shown:
    """Train with a run on the child's server and return what is stored of it."""
    import rundial

    started_s = time.monotonic()
    digits = train.load()
    watcher.begin(train.steps_of(digits, EPOCHS))
    run = rundial.init(
        workspace=WORKSPACE,
        project=PROJECT,
        name="digits-mlp",
        endpoint=child.url,
        api_key=child.key,
        config=train.config(EPOCHS),
        tags=["demo"],
        spool_directory=str(folder / "spool"),
        # Where the demo takes longer than the sampler's interval, samples would be points that the training
        # did not log.
        system_metrics=False,
    )
    with run:
        recorded = train.train(run, digits, epochs=EPOCHS, on_step=watcher.step)
        watcher.end(recorded.last)
        # What is not answered within this time is what the comparison will show as missing.
        run.flush(_FLUSH_S)
    return _read_back(child, run.run_id, recorded, lambda: time.monotonic() - started_s)


def _read_back(
    child: ServerChild, run_id: str, recorded: train.Recorded, elapsed_s: Callable[[], float]
) -> Shown:
    with Client(child.url, api_key=child.key, request_timeout_seconds=30) as client:
        details = client.get_run_details(workspace_slug=WORKSPACE, project_slug=PROJECT, run_id=run_id)
        found = client.query_series(
            project_id=details["projectId"],
            run_id=run_id,
            metric_keys=list(recorded.last),
            max_points_per_series=_READ_POINTS,
        )
    series = {row["metricKey"]: row["points"] for row in found["series"]}
    final = {key: points[-1]["value"] for key, points in series.items() if points}
    logged = {"points": recorded.points, "lines": recorded.lines, "spans": recorded.spans}
    stored = {name: (details.get("counts") or {}).get(name, 0) for name in SIGNALS}
    is_whole = logged == stored and final == recorded.last
    return Shown(
        run={name: details.get(name) for name in ("runId", "runName", "status", "projectId")},
        logged=logged,
        stored=stored,
        metrics=final,
        is_equal=is_whole and details.get("status") == "completed",
        loss={key: [(p["step"] or 0, p["value"]) for p in series.get(key, [])] for key in CHARTED},
        seconds=round(elapsed_s(), 1),
    )
