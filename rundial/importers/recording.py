"""From what was read to a run: the one way in which every importer records.

A run keeps its id, so a second import finds it: one that has ended is left alone, one that an import has
left half way goes on as a further attempt, whose points stand in the place of the earlier ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rundial.api import session
from rundial.api.ending import Ending, Status
from rundial.api.run import Run
from rundial.errors import RundialRequestError
from rundial.importers.imported import Imported, Kept, Line, Shown
from rundial.signals import semconv

# What is offered before it is waited for: a part of the ring, so that nothing is refused.
BATCH_BYTES = 4 << 20
POINT_BYTES = 64
LINE_BYTES = 256
MEDIA_BYTES = 1 << 20
CONFLICT = 409
ENDED = ("completed", "failed", "aborted", "crashed")
FLUSH_S = 600.0
_SEVERITY = {**semconv.SEVERITY, "warning": 13}


@dataclass(slots=True)
class Report:
    """What became of one run.

    Attributes:
        run_id: Its id.
        name: What people call it.
        state: `imported`, `resumed`, or `present` when there was nothing to do.
        points, lines, media, files: How many were recorded.
        left_out: What was not carried over, and how much of it.
        is_delivered: Whether the server has answered for all of it.
    """

    run_id: str
    name: str | None
    state: str
    points: int = 0
    lines: int = 0
    media: int = 0
    files: int = 0
    left_out: Mapping[str, int] | None = None
    is_delivered: bool = True


class Importer:
    """Records runs for one server.

    Args:
        given: Settings of every run: endpoint, key, workspace, and a project that counts before a run's own.
        on_progress: Told how many records of a run have been recorded.
    """

    def __init__(self, given: Mapping[str, Any], on_progress: Callable[[int, str], None]) -> None:
        self._given = dict(given)
        self._on_progress = on_progress

    def greet(self) -> None:
        """Ask the server who we are, before anything is read.

        Raises:
            RundialRequestError: It cannot be reached, or refuses the key.
        """
        self._workspaces()

    def _workspaces(self) -> list[str]:
        from rundial.api.client import Client

        client = Client(self._given["endpoint"], api_key=self._given.get("api_key"))
        return [str(row["workspaceSlug"]) for row in client.list_workspaces()]

    def record(self, imported: Imported) -> Report:
        """Record a run.

        Raises:
            ConfigError: The run's id or a setting is wrong; nothing was recorded of it.
            RundialRequestError: The server refuses the key or the project.
        """
        report = Report(imported.run_id, imported.name, "imported", left_out=imported.left_out)
        run = self._begun(imported, report)
        if run is None:
            return report
        self._fill(run, imported, report)
        status: Any = imported.status
        ending = Ending(_status(status), None, None, imported.finished_unix_ns or None)
        report.is_delivered = run.end(ending, FLUSH_S)
        return report

    def _begun(self, imported: Imported, report: Report) -> Run | None:
        """Return the run; None when it is there and has ended."""
        try:
            return self._begin(imported, "never")
        except RundialRequestError as error:
            if error.status_code != CONFLICT:
                raise
        if self._has_ended(imported):
            report.state = "present"
            return None
        report.state = "resumed"
        return self._begin(imported, "allow")

    def _begin(self, imported: Imported, resume: str) -> Run:
        facts = {
            "run_id": imported.run_id,
            "name": imported.name,
            "group": imported.group,
            "job_type": imported.job_type,
            "tags": imported.tags,
            "resume": resume,
            "mode": "online",
            "system_metrics": False,
            "capture_environment": False,
        }
        given = {"project": imported.project or "imported", **facts}
        given |= {name: value for name, value in self._given.items() if value is not None}
        return session.begin(
            given,
            config=imported.config,
            distributed_rank=0,
            started_unix_ns=imported.started_unix_ns or None,
        )

    def _has_ended(self, imported: Imported) -> bool:
        from rundial.api.client import Client

        client = Client(self._given["endpoint"], api_key=self._given.get("api_key"))
        workspace, project = self._given.get("workspace"), self._given.get("project") or imported.project
        workspace = workspace or self._workspaces()[0]
        found = client.get_run_details(
            workspace_slug=workspace, project_slug=project or "imported", run_id=imported.run_id
        )
        return str(found.get("status")) in ENDED

    def _fill(self, run: Run, imported: Imported, report: Report) -> None:
        pace = _Pace(run, lambda done: self._on_progress(done, imported.name or imported.run_id))
        for definition in imported.definitions:
            rule: Any = definition.summary
            run.define_metric(definition.name, step_metric=definition.step_metric, summary=rule)
        for point in imported.points:
            if not math.isfinite(point.value):
                imported.left_out["values that are not finite"] += 1
                continue
            pace.take(POINT_BYTES)
            report.points += run.log({point.name: point.value}, step=point.step, time_ms=point.time_ms)
        for line in imported.lines:
            pace.take(LINE_BYTES + len(line.text))
            report.lines += _log_line(run, line)
        for shown in imported.media:
            pace.take(MEDIA_BYTES)
            report.media += _show(run, shown, imported)
        for kept in imported.files:
            pace.take(LINE_BYTES)
            report.files += _keep(run, kept, imported)
        if imported.summary:
            run.summary.update(imported.summary)


class _Pace:
    """Waits for the disk before the ring is full."""

    def __init__(self, run: Run, tell: Callable[[int], None]) -> None:
        self._run = run
        self._tell = tell
        self._offered = 0
        self._records = 0

    def take(self, size: int) -> None:
        """Note a record of so many bytes, and wait where a batch is full."""
        self._offered += size
        self._records += 1
        if self._offered >= BATCH_BYTES:
            self._offered = 0
            self._run.flush(FLUSH_S)
            self._tell(self._records)


def _log_line(run: Run, line: Line) -> bool:
    attributes: dict[str, object] = {}
    if line.key is not None:
        attributes[semconv.TEXT_KEY] = line.key
    if line.step is not None:
        attributes[semconv.STEP] = line.step
    severity = _SEVERITY.get(line.level, semconv.SEVERITY["info"])
    return run.line(severity, line.text, time_ms=line.time_ms, attributes=attributes or None)


def _show(run: Run, shown: Shown, imported: Imported) -> bool:
    try:
        medium = shown.make()
    except (OSError, ValueError, TypeError, KeyError) as error:
        imported.left_out[f"media that cannot be read ({type(error).__name__})"] += 1
        return False
    return run.log({shown.name: medium}, step=shown.step, time_ms=shown.time_ms)


def _keep(run: Run, kept: Kept, imported: Imported) -> bool:
    try:
        return run.log_artifact(
            kept.path,
            name=kept.name.replace(":", "_")[:256],
            type=kept.type,
            metadata=kept.metadata,
            aliases=[alias for alias in kept.aliases if alias != "latest" and not _is_version(alias)] or None,
        )
    except (ValueError, TypeError) as error:
        imported.left_out[f"files ({str(error).partition(';')[0][:80]})"] += 1
        return False


def _is_version(alias: str) -> bool:
    return alias[:1] == "v" and alias[1:].isdecimal()


def _status(status: Any) -> Status:
    found: Status = status if status in ("completed", "failed", "aborted") else "completed"
    return found
