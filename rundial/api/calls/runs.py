"""A run as the server has it: announced, changed, listed, read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from rundial.api.caller import given
from rundial.api.calls import paging, paths
from rundial.version import __version__

if TYPE_CHECKING:
    from rundial.api.calls.shapes import (
        RunBrief,
        RunConfig,
        RunControl,
        RunDetails,
        RunPage,
        RunStatus,
        StartedRun,
    )
    from rundial.api.client import Client

CLIENT_NAME = "rundial-sdk-python"


def announce_run(  # noqa: PLR0913 - what a start may say
    self: Client,
    *,
    project_id: str,
    run_id: str | None = None,
    kind: str = "training",
    resume: str = "never",
    run_name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
    config: Mapping[str, object] | None = None,
    instance_id: str | None = None,
    rank: int | None = None,
    launch: str | None = None,
    attempt: int | None = None,
    started_at_ns: int | None = None,
    is_late: bool = False,
) -> StartedRun:
    """Announce a run that others record into: `start_run` without recording anything here.

    Args:
        project_id: The project's id.
        run_id: The run's id; None lets the server make one.
        kind: `training`, `agent` or `eval`.
        resume: `never`, `allow` or `must`.
        run_name: What people call it.
        group: Name under which runs belong together.
        job_type: Role of the run in its group.
        tags: Short labels.
        config: What the run was started with.
        instance_id: Of the process that records; with it the same start may be told again.
        rank: The process's rank; a further one of the same launch joins its attempt.
        launch: What names the launch that the process belongs to.
        attempt: Which attempt it takes itself for.
        started_at_ns: When it began by its own clock, in nanoseconds since 1970; None is now.
        is_late: It has begun already: never refused, and what it would have been refused for is the answer's
            `conflict`.

    Returns:
        The server's `{"runId", "projectId", "kind", "attempt", …}`.

    Raises:
        RundialRequestError: The server refuses, or cannot be reached.
    """
    body = given(
        projectId=project_id,
        runId=run_id,
        kind=kind,
        resume=resume,
        runName=run_name,
        group=group,
        jobType=job_type,
        tags=list(tags) if tags is not None else None,
        config=dict(config) if config is not None else None,
        instanceId=instance_id,
        rank=rank,
        launch=launch,
        attempt=attempt,
        startedAtNs=started_at_ns,
        late=is_late or None,
        client={"name": CLIENT_NAME, "version": __version__},
    )
    what = "starting the run"
    found = self.caller.post("/api/v1/runs/start", body, what=what)
    return cast("StartedRun", self.caller.need(found, "runId", "projectId", what=what))


def update_run_config(
    self: Client, *, run_id: str, config: Mapping[str, object], project_id: str | None = None
) -> RunConfig:
    """Merge into a run's config and return the server's `{"config": …}`.

    Args:
        run_id: The run.
        config: What to set.
        project_id: Needed where two projects hold the same run id.
    """
    body = given(config=dict(config), projectId=project_id)
    found = self.caller.post(f"{paths.run(run_id)}/config", body, what=f"updating the config of {run_id}")
    return cast("RunConfig", found)


def update_run_status(
    self: Client,
    *,
    run_id: str,
    status: str,
    finished_at_ms: int | None = None,
    reason: str | None = None,
    project_id: str | None = None,
) -> RunStatus:
    """Set a run's final status, whoever recorded it.

    Args:
        run_id: The run.
        status: `completed`, `failed` or `aborted`.
        finished_at_ms: When it ended, in milliseconds since 1970; None is now.
        reason: In words.
        project_id: Needed where two projects hold the same run id.

    Raises:
        RundialRequestError: 409 where it has ended in another way.
    """
    body = given(status=status, finishedAtMs=finished_at_ms, reason=reason, projectId=project_id)
    found = self.caller.post(f"{paths.run(run_id)}/status", body, what=f"setting {run_id} to {status}")
    return cast("RunStatus", found)


def stop_run(
    self: Client, *, run_id: str, project_id: str | None = None, reason: str | None = None
) -> RunControl:
    """Ask a run to stop; it sees that in `run.should_stop`.

    Args:
        run_id: The run.
        project_id: Needed where two projects hold the same run id.
        reason: In words.

    Returns:
        `{"runId", "attempt", "stop": true}`.

    Raises:
        RundialRequestError: Also when the run has ended already.
    """
    body = given(projectId=project_id, reason=reason)
    return cast("RunControl", self.caller.post(f"{paths.run(run_id)}/stop", body, what=f"stopping {run_id}"))


def run_control(
    self: Client, *, run_id: str, project_id: str | None = None, attempt: int | None = None
) -> RunControl:
    """Return `{"runId", "stop", "reason"}`: whether an attempt, the latest one for None, is to stop.

    Args:
        run_id: The run.
        project_id: Needed where two projects hold the same run id.
        attempt: From 1.
    """
    query = given(projectId=project_id, attempt=attempt)
    found = self.caller.get(f"{paths.run(run_id)}/control", query=query, what=f"asking about {run_id}")
    return cast("RunControl", found)


def query_runs(  # noqa: PLR0913 - a published signature
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    statuses: Sequence[str] | None = None,
    search: str | None = None,
    limit: int = 25,
    cursor: str | None = None,
    order: str = "desc",
    order_by: str = "startedAtMs",
) -> RunPage:
    """Return one page `{"runs": [...], "page": {...}}` of a project's runs; `iter_runs` yields them all.

    Args:
        workspace_slug: Workspace.
        project_slug: Project.
        statuses: Only runs that stand so: running, completed, failed, aborted, crashed.
        search: Only runs whose id or name holds this.
        limit: Rows of a page.
        cursor: `page.nextCursor` of the page before.
        order: `desc` or `asc`.
        order_by: `startedAtMs` or `updatedAtMs`.
    """
    query = given(
        limit=limit,
        order=order,
        orderBy=order_by,
        cursor=cursor,
        search=search or None,
        statuses=",".join(statuses) if statuses else None,
    )
    path = f"{paths.project(workspace_slug, project_slug)}/runs/query"
    found = self.caller.get(path, query=query, what=f"listing the runs of {workspace_slug}/{project_slug}")
    paging.rows_of(found, "runs", self.endpoint)
    return cast("RunPage", found)


def iter_runs(  # noqa: PLR0913 - those of query_runs
    self: Client,
    *,
    workspace_slug: str,
    project_slug: str,
    statuses: Sequence[str] | None = None,
    search: str | None = None,
    order: str = "desc",
    order_by: str = "startedAtMs",
    page_size: int = 100,
) -> Iterator[RunBrief]:
    """Yield every run of a project, asking for `page_size` at a time; arguments as for `query_runs`."""

    def fetch(cursor: str | None) -> RunPage:
        return self.query_runs(
            workspace_slug=workspace_slug,
            project_slug=project_slug,
            statuses=statuses,
            search=search,
            limit=page_size,
            cursor=cursor,
            order=order,
            order_by=order_by,
        )

    for page in paging.pages(fetch):
        yield from cast("RunPage", page)["runs"]


def get_run_details(self: Client, *, workspace_slug: str, project_slug: str, run_id: str) -> RunDetails:
    """Return one run: status, times, config, summary, counts and ledger."""
    path = f"{paths.project(workspace_slug, project_slug)}/runs/{paths.part(run_id)}"
    what = f"reading run {run_id} of {workspace_slug}/{project_slug}"
    return cast(
        "RunDetails", self.caller.need(self.caller.get(path, what=what), "runId", "status", what=what)
    )
