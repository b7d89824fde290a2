"""Recording through a client: runs that it starts or joins, and what is logged into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rundial.errors import ConfigError

if TYPE_CHECKING:
    from rundial.api.client import Client
    from rundial.api.run import Run
    from rundial.choices import RunKind
    from rundial.diagnostics import RundialDiagnostics


def run(
    self: Client,
    *,
    project_id: str,
    run_id: str,
    kind: RunKind = "training",
    config: Mapping[str, object] | None = None,
) -> Run:
    """Join a run that was started elsewhere; the server is not asked.

    Joining tells no start and no end: `finish` on what this returns ends the run, leaving or closing
    does not. A run that this client records into already is returned as it is.

    Args:
        project_id: The project's id.
        run_id: The run.
        kind: `training`, `agent` or `eval`.
        config: What to set in the run's config.

    Raises:
        ConfigError: An argument or setting is wrong, or the client is closed; nothing was started.
    """
    return self.recording.run(project_id, run_id, kind=kind, config=config)


def start_run(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    run_id: str | None = None,
    kind: RunKind = "training",
    resume: Literal["never", "allow", "must"] = "never",
    run_name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
    config: Mapping[str, object] | None = None,
) -> Run:
    """Announce a run and record into it; offline, it is announced by `rundial sync`.

    Only `finish` (or `update_run_status`) ends it: it goes on when this client is closed or its process
    ends, for others may have joined it. `announce_run` starts a run without recording here.

    Args:
        project_id: The project's id.
        run_id: Letters, digits, `_`, `-`, `.`; a random one when None.
        kind: `training`, `agent` or `eval`.
        resume: `never`, `allow` or `must`.
        run_name: What people call it.
        group: Name under which runs belong together.
        job_type: Role of the run in its group.
        tags: Short labels.
        config: What the run was started with.

    Raises:
        ConfigError: An argument or setting is wrong, or the client is closed; nothing was started.
        RundialRequestError: The server refuses, or cannot be reached; nothing was started.
    """
    facts = {
        "run_id": run_id,
        "kind": kind,
        "resume": resume,
        "name": run_name,
        "group": group,
        "job_type": job_type,
        "tags": tags,
        "config": config,
    }
    return self.recording.started(project_id, None, facts)


def start_run_for_workspace_project(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    workspace: str | None = None,
    project: str | None = None,
    workspace_slug: str | None = None,
    project_slug: str | None = None,
    run_id: str | None = None,
    kind: RunKind = "training",
    resume: Literal["never", "allow", "must"] = "never",
    run_name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
    config: Mapping[str, object] | None = None,
) -> Run:
    """Start a run as `start_run` does, in a project that is named and not known by its id.

    Args:
        workspace: Slug; None leaves it to the key.
        project: Slug.
        workspace_slug: Another name of `workspace`.
        project_slug: Another name of `project`.
        run_id: As for `start_run`, like all that follow.
        kind: As above.
        resume: As above.
        run_name: As above.
        group: As above.
        job_type: As above.
        tags: As above.
        config: As above.

    Raises:
        ConfigError: An argument or setting is wrong, or the client is closed; nothing was started.
        RundialRequestError: The server refuses, or cannot be reached; nothing was started.
    """
    facts = {
        "run_id": run_id,
        "kind": kind,
        "resume": resume,
        "name": run_name,
        "group": group,
        "job_type": job_type,
        "tags": tags,
        "config": config,
    }
    place = _one("workspace", workspace, workspace_slug), _one("project", project, project_slug)
    return _started_in(self, place, facts)


def log_metric(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    run_id: str,
    metric_key: str,
    step: int,
    value: object,
    timestamp_ms: int | None = None,
    time_ms: int | None = None,
    context: Mapping[str, str] | None = None,
) -> bool:
    """Record one value into a run, joining it where this client has not yet.

    Args:
        project_id: The project's id.
        run_id: The run.
        metric_key: Name, 1 to 512 characters.
        step: The x of the point, from 0.
        value: A number, as for `Run.log`.
        timestamp_ms: Another name of `time_ms`, which wins.
        time_ms: Milliseconds since the Unix epoch; None is now.
        context: Attributes of the point.

    Returns:
        Whether it was accepted. Never raises, but in strict mode.
    """
    joined = self.recording.joined(project_id, run_id, "points")
    if joined is None:
        return False
    stamp = timestamp_ms if time_ms is None else time_ms
    return joined.log({metric_key: value}, step=step, time_ms=stamp, context=context)


def log_text(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    project_id: str,
    run_id: str,
    message: object,
    level: str = "info",
    timestamp_ms: int | None = None,
    time_ms: int | None = None,
) -> bool:
    """Record one text line into a run, joining it where this client has not yet.

    Args:
        project_id: The project's id.
        run_id: The run.
        message: Anything; `str()` is taken of it.
        level: trace, debug, info, warn, error or fatal, in any case.
        timestamp_ms: Another name of `time_ms`, which wins.
        time_ms: Milliseconds since the Unix epoch; None is now.

    Returns:
        Whether it was accepted. Never raises, but in strict mode.
    """
    joined = self.recording.joined(project_id, run_id, "lines")
    if joined is None:
        return False
    return joined.log_text(message, level=level, timestamp_ms=timestamp_ms, time_ms=time_ms)


def start(self: Client) -> None:
    """Make ring and encoder now rather than at the first record.

    Raises:
        ConfigError: A setting is wrong, or the client is closed; nothing was started.
    """
    self.recording.begin()


def flush(self: Client, timeout_seconds: float | None = None) -> bool:
    """Wait until everything logged through this client is answered by the server; offline: is on disk.

    Args:
        timeout_seconds: Seconds to wait at most; None waits for ever.

    Returns:
        True only when it is.
    """
    return self.recording.flush(timeout_seconds)


def diagnostics(self: Client) -> RundialDiagnostics:
    """Return what became of everything logged through this client, all its runs together."""
    return self.recording.diagnostics()


def _one(what: str, text: str | None, again: str | None) -> str | None:
    names = {name.strip() for name in (text, again) if name and name.strip()}
    if len(names) > 1:
        raise ConfigError(f"{what} and {what}_slug name different ones; nothing was started")
    return names.pop() if names else None


def _started_in(client: Client, place: tuple[str | None, str | None], facts: Mapping[str, Any]) -> Run:
    workspace, project = place
    if project is None:
        raise ConfigError("no project: give project or project_slug; nothing was started")
    if not client.recording.is_announcing:
        # Nobody is asked: the telemetry names the project itself.
        return client.recording.started(project, (workspace, project), facts)
    found = client.resolve_run_target(workspace=workspace, project=project)
    return client.recording.started(found["projectId"], (found["workspaceSlug"], found["projectSlug"]), facts)
