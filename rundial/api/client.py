"""The control and query API of a Rundial server, one method a route.

Used by the command line and by the handshake of `rundial.init`. Every call is bounded by one
timeout, follows no redirect and raises `RundialRequestError` with advice when the answer is not
the one that the API promises: an error status, a login page, a proxy's HTML, an old server.
Answers are the server's JSON objects as they came. Telemetry does not go this way.

Any thread may call any method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from urllib.parse import quote

from rundial.api.caller import Caller, Json, given
from rundial.api.exchange import Exchange, HttpExchange
from rundial.api.key import Key
from rundial.errors import RundialRequestError
from rundial.profiles import normalise
from rundial.version import __version__

CLIENT_NAME = "rundial-sdk-python"


class Client:
    """Talks to one server with one key.

    Args:
        endpoint: The server's address, such as `http://127.0.0.1:8787`.
        api_key: Sent as a bearer token to this endpoint only; None sends none. A run's client is given
            the run's own, so that both always use the same.
        request_timeout_seconds: What one call may take in all, from 0.1.
        ca_certs: A PEM file to trust instead of the system's certificates.
        exchange: How requests travel; tests pass a fake.

    Raises:
        ConfigError: The endpoint is not an http or https address.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        api_key: str | Key | None = None,
        request_timeout_seconds: float = 5.0,
        ca_certs: str | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        self._endpoint = normalise(endpoint)
        self._key = api_key if isinstance(api_key, Key) else Key(api_key)
        self._owned: HttpExchange | None = None
        if exchange is None:
            exchange = self._owned = HttpExchange(ca_certs=ca_certs)
        timeout_s = max(0.1, request_timeout_seconds)
        self._caller = Caller(self._endpoint, self._key, timeout_s=timeout_s, exchange=exchange)

    def __repr__(self) -> str:
        return f"Client({self._endpoint!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def endpoint(self) -> str:
        """The server's address, normalised."""
        return self._endpoint

    @property
    def api_key(self) -> str | None:
        """The key that is sent, or None; may be set, and counts from the next request on.

        Set on `run.client`, it is the run's key too, and what waited for want of it is sent at once.

        Raises:
            ConfigError: It is set to what HTTP cannot carry; the former key stays.
        """
        return self._key.value

    @api_key.setter
    def api_key(self, value: str | None) -> None:
        self._key.set(value)

    def close(self) -> None:
        """Close idle connections; idempotent, and a later call opens new ones."""
        if self._owned is not None:
            self._owned.close()

    # The server and who we are to it.

    def health(self) -> Json:
        """Return `{"status", "serverId"}`; needs no key."""
        return self._caller.get("/health/ready", what="the health check", sends_key=False)

    def whoami(self) -> Json:
        """Return who the key belongs to.

        Raises:
            RundialRequestError: Also when the server says that the key is not authenticated.
        """
        found = self._caller.get("/api/v1/auth/whoami", what="whoami")
        if found.get("authenticated") is False:
            raise RundialRequestError(
                f"{self._endpoint} does not know this API key; check RUNDIAL_API_KEY or the stored profile",
                401,
                "UNAUTHORIZED",
            )
        return found

    def list_workspaces(self, *, limit: int = 100, max_pages: int = 10) -> list[Json]:
        """Return the workspaces that the key may see, at most `limit * max_pages`."""
        return self._caller.pages("/api/v1/workspaces", "workspaces", limit=limit, max_pages=max_pages)

    def list_projects(self, *, workspace_slug: str, limit: int = 100, max_pages: int = 10) -> list[Json]:
        """Return a workspace's projects, at most `limit * max_pages`."""
        path = f"/api/v1/workspaces/{_part(workspace_slug)}/projects"
        return self._caller.pages(path, "projects", limit=limit, max_pages=max_pages)

    # A run's life.

    def resolve_run_target(self, *, workspace: str | None = None, project: str) -> dict[str, str]:
        """Return the ids behind a workspace and a project, making the project where the key may.

        Args:
            workspace: Slug; None means the key's only workspace.
            project: Slug.

        Raises:
            RundialRequestError: Also when the server is too old to know the route.
        """
        what = f"resolving {workspace or 'the workspace'}/{project}"
        found = self._caller.post(
            "/api/v1/runs/resolve-target",
            given(workspace=workspace, project=project),
            what=what,
            stale_advice="This server build is older than the client; upgrade and restart the server",
        )
        names = ("orgId", "workspaceSlug", "workspaceName", "projectSlug", "projectName", "projectId")
        missing = [name for name in names if not (isinstance(found.get(name), str) and found[name])]
        if missing:
            raise RundialRequestError(
                f"{what}: the answer of {self._endpoint} lacks {', '.join(missing)}; upgrade the server", 200
            )
        return {name: value for name, value in found.items() if isinstance(value, str)}

    def resolve_project_id(self, *, workspace_slug: str, project_slug: str) -> str:
        """Return a project's id, making the project where the key may."""
        return self.resolve_run_target(workspace=workspace_slug, project=project_slug)["projectId"]

    def start_run(  # noqa: PLR0913 - a published signature
        self,
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
    ) -> Json:
        """Announce a run and return the server's `{"runId", "projectId", "kind", "attempt", …}`.

        With an `instance_id` the same start may be told again, and a further `rank` of the same `launch`
        joins its attempt. A start that `is_late` is never refused: what it would have been refused for
        is the answer's `conflict`.
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
        return self._caller.post("/api/v1/runs/start", body, what="starting the run")

    def update_run_config(self, *, run_id: str, config: Mapping[str, object]) -> Json:
        """Merge into a run's config and return the server's `{"config": …}`."""
        path = f"/api/v1/runs/{_part(run_id)}/config"
        return self._caller.post(path, {"config": dict(config)}, what=f"updating the config of {run_id}")

    def update_run_status(
        self, *, run_id: str, status: str, finished_at_ms: int | None = None, reason: str | None = None
    ) -> Json:
        """Set a run's final status: `completed`, `failed` or `aborted`."""
        body = given(status=status, finishedAtMs=finished_at_ms, reason=reason)
        path = f"/api/v1/runs/{_part(run_id)}/status"
        return self._caller.post(path, body, what=f"setting {run_id} to {status}")

    # Reading back.

    def query_runs(  # noqa: PLR0913 - a published signature
        self,
        *,
        workspace_slug: str,
        project_slug: str,
        statuses: Sequence[str] | None = None,
        search: str | None = None,
        limit: int = 25,
        cursor: str | None = None,
        order: str = "desc",
        order_by: str = "startedAtMs",
    ) -> Json:
        """Return one page `{"runs": [...], "page": {...}}` of a project's runs."""
        query = given(
            limit=limit,
            order=order,
            orderBy=order_by,
            cursor=cursor,
            search=search or None,
            statuses=",".join(statuses) if statuses else None,
        )
        path = f"{_project(workspace_slug, project_slug)}/runs/query"
        return self._caller.get(
            path, query=query, what=f"listing the runs of {workspace_slug}/{project_slug}"
        )

    def get_run_details(self, *, workspace_slug: str, project_slug: str, run_id: str) -> Json:
        """Return one run: status, times, config, summary, counts and ledger."""
        path = f"{_project(workspace_slug, project_slug)}/runs/{_part(run_id)}"
        return self._caller.get(path, what=f"reading run {run_id}")

    def list_spans(
        self, *, workspace_slug: str, project_slug: str, run_id: str, limit: int = 1000, max_pages: int = 1000
    ) -> list[Json]:
        """Return a run's spans, ended, interrupted and running, at most `limit * max_pages`."""
        path = f"{_project(workspace_slug, project_slug)}/runs/{_part(run_id)}/spans"
        return self._caller.pages(path, "spans", limit=limit, max_pages=max_pages)

    def list_metric_keys(self, *, project_id: str, run_id: str | None = None, limit: int = 8) -> list[Json]:
        """Return `{"metricKey": …}` of a project or a run, at most `limit`."""
        query = given(projectId=project_id, limit=limit, runId=run_id)
        found = self._caller.get("/api/v1/metrics/keys", query=query, what="listing metric keys")
        return self._caller.rows(found, "keys")

    def query_series(
        self, *, project_id: str, run_id: str, metric_keys: Sequence[str], max_points_per_series: int = 25
    ) -> Json:
        """Return `{"runId", "series": [{"metricKey", "points": [{"step", "timestampMs", "value"}]}]}`."""
        body = {
            "projectId": project_id,
            "runId": run_id,
            "metricKeys": list(metric_keys),
            "range": "full_run",
            "maxPointsPerSeries": max_points_per_series,
            "order": "asc",
        }
        return self._caller.post("/api/v1/query/series", body, what=f"reading series of {run_id}")

    def query_logs(
        self,
        *,
        project_id: str,
        run_id: str,
        limit: int = 100,
        min_level: str = "trace",
        text: str | None = None,
        cursor: str | None = None,
    ) -> Json:
        """Return `{"runId", "rows": [{"timestampMs", "sequence", "level", "message"}]}`, newest first."""
        body = given(
            projectId=project_id,
            runId=run_id,
            limit=limit,
            minLevel=min_level,
            order="desc",
            text=text,
            cursor=cursor,
        )
        return self._caller.post("/api/v1/query/logs", body, what=f"reading text of {run_id}")

    def export_metrics_page(  # noqa: PLR0913 - a published signature
        self,
        *,
        project_id: str,
        run_id: str,
        start_ms: int,
        end_ms: int,
        metric_keys: Sequence[str] | None = None,
        limit: int = 1000,
        cursor: str | None = None,
    ) -> Json:
        """Return one page `{"rows": [...], "page": {"hasMore", "nextCursor"}}` of stored points."""
        body = given(
            projectId=project_id,
            runId=run_id,
            startMs=start_ms,
            endMs=end_ms,
            limit=limit,
            format="json",
            metricKeys=list(metric_keys) if metric_keys else None,
            cursor=cursor,
        )
        return self._caller.post("/api/v1/export/metrics", body, what=f"exporting points of {run_id}")


def _part(text: str) -> str:
    """Escape one part of a path: a name is never more than one part."""
    # A lone dot would be folded away by URL handling on the way, escaped or not.
    return quote(text, safe="").replace(".", "%2E") if text in {".", ".."} else quote(text, safe="")


def _project(workspace: str, project: str) -> str:
    return f"/api/v1/workspaces/{_part(workspace)}/projects/{_part(project)}"
