"""What each route of `/api/v1` takes and answers, in few words; `openapi` makes the document of it.

A row is what it takes and the names that its answer has. What it takes is written `name`, `name:type` or
`name=one|of|these`, with `!` behind a name that must be there. Types are text (when none is said), int, bool,
number, texts, object, objects, named (objects or texts) and password.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Described(NamedTuple):
    """One route.

    Attributes:
        takes: Parameters of a GET, fields of a POST's body.
        answers: Names that the answer's JSON object has.
        media_type: Of an answer that is none.
    """

    takes: str
    answers: str
    media_type: str = "application/json"


_W: Final = "/api/v1/workspaces/{workspace}"
_P: Final = f"{_W}/projects/{{project}}"
_PAGE: Final = "limit:int cursor"
_KEY: Final = "scopes:texts label expiresAtMs:int"
_OF_RUN: Final = "projectId! runId!"
_TIMES: Final = "startMs:int endMs:int"
_LEVELS: Final = "minLevel=trace|debug|info|warn|error|fatal"
_FORMATS: Final = "format=jsonl|csv|parquet"

DESCRIBED: Final[dict[tuple[str, str], Described]] = {
    ("GET", "/api/v1/openapi.json"): Described("", "openapi info paths components"),
    ("GET", "/api/v1/auth/whoami"): Described("", "authenticated principal serverId"),
    ("POST", "/api/v1/auth/login/credentials"): Described("email! password!:password", ""),
    ("POST", "/api/v1/auth/login/key"): Described("", ""),
    ("POST", "/api/v1/auth/logout"): Described("", ""),
    ("POST", "/api/v1/auth/password"): Described("currentPassword!:password newPassword!:password", ""),
    ("GET", "/api/v1/cli/capabilities"): Described("", "version"),
    ("GET", "/api/v1/workspaces"): Described(_PAGE, "workspaces page"),
    ("POST", "/api/v1/workspaces"): Described("name! slug", ""),
    ("GET", f"{_W}/projects"): Described(_PAGE, "projects page"),
    ("POST", f"{_W}/projects"): Described("name! slug", ""),
    ("GET", f"{_W}/members"): Described(_PAGE, "members page"),
    ("POST", f"{_W}/members"): Described("email! role! name password:password", ""),
    ("POST", f"{_W}/members/{{user_id}}/role"): Described("role!", ""),
    ("POST", f"{_W}/members/{{user_id}}/remove"): Described("", ""),
    ("POST", "/api/v1/users/{user_id}/password"): Described("password:password", ""),
    ("GET", f"{_W}/audit"): Described(f"{_PAGE} agentId actorKind", "events page"),
    ("POST", f"{_P}/api-keys"): Described(_KEY, ""),
    ("GET", f"{_P}/api-keys"): Described("", "keys"),
    ("POST", f"{_P}/api-keys/{{key_id}}/revoke"): Described("", ""),
    ("POST", f"{_W}/api-keys"): Described(_KEY, ""),
    ("GET", f"{_W}/api-keys"): Described("", "keys"),
    ("POST", f"{_W}/api-keys/{{key_id}}/revoke"): Described("", ""),
    ("POST", f"{_W}/agents"): Described("name!", ""),
    ("GET", f"{_W}/agents"): Described(f"{_PAGE} status=all|active|revoked", "agents page"),
    ("POST", f"{_W}/agents/{{agent_id}}/revoke"): Described("", ""),
    ("POST", f"{_W}/agents/{{agent_id}}/api-keys"): Described(f"projectSlug! {_KEY}", ""),
    ("GET", f"{_W}/agents/{{agent_id}}/api-keys"): Described(_PAGE, "keys page"),
    ("POST", "/api/v1/runs/resolve-target"): Described(
        "project! workspace",
        "orgId workspaceSlug workspaceName projectSlug projectName projectId serverId",
    ),
    ("POST", "/api/v1/runs/start"): Described(
        "projectId! runId runName kind=training|agent|eval|service resume=never|allow|must group jobType "
        "tags:texts config:object attempt:int instanceId seq:int startedAtNs:int rank:int launch late:bool",
        "runId projectId kind attempt resumed highestStep highestSystemStep conflict serverId",
    ),
    ("POST", "/api/v1/runs/{run_id}/status"): Described(
        "status!=completed|failed|aborted projectId reason finishedAtMs:int", "runId status"
    ),
    ("POST", "/api/v1/runs/{run_id}/config"): Described("projectId config:object", "runId config"),
    ("POST", "/api/v1/runs/{run_id}/stop"): Described("projectId reason", "runId attempt stop"),
    ("GET", "/api/v1/runs/{run_id}/control"): Described("projectId attempt:int", "runId stop reason"),
    ("PATCH", _P): Described("retentionDays:int", "projectId retentionDays"),
    ("PATCH", f"{_P}/runs/{{run_id}}"): Described("runName tags:texts notes", "runId updated"),
    ("DELETE", f"{_P}/runs/{{run_id}}"): Described("", "runId deleted"),
    ("POST", f"{_P}/runs/{{run_id}}/archive"): Described("", "runId archived"),
    ("POST", f"{_P}/runs/{{run_id}}/restore"): Described("", "runId archived"),
    ("GET", f"{_P}/runs/query"): Described(
        f"{_PAGE} archived=false|true filter order=desc|asc orderBy columns search statuses", "runs page"
    ),
    ("GET", f"{_P}/fields"): Described("", "fields truncated"),
    ("GET", f"{_P}/runs/{{run_id}}"): Described(
        "",
        "runId kind status runName startedAtMs updatedAtMs finishedAtMs projectId config summary tags counts "
        "ledger instances environment",
    ),
    ("GET", f"{_P}/runs/{{run_id}}/spans"): Described(
        f"{_PAGE} parent trace step:int order=asc|desc", "runId messagesTruncated spans page"
    ),
    ("GET", f"{_P}/traces/{{trace_id}}"): Described(
        "limit:int runId", "traceId runIds totalSpans truncated messagesTruncated spans"
    ),
    ("GET", "/api/v1/metrics/keys"): Described(f"projectId! runId {_PAGE}", "keys page"),
    ("POST", "/api/v1/query/series"): Described(
        "projectId! runId runIds:texts metricKeys!:texts maxPointsPerSeries:int form=points|buckets "
        f"startStep:int endStep:int {_TIMES} range=full_run order=asc|desc xAxis=step|stepMetric xMetric",
        "runId series hasMoreSeries",
    ),
    ("GET", "/api/v1/metrics/datapoints"): Described(f"{_OF_RUN} {_PAGE}", "runId names page"),
    ("POST", "/api/v1/query/datapoints"): Described(
        f"{_OF_RUN} metricKeys:texts kinds:texts {_TIMES} {_PAGE}", "runId rows truncated page"
    ),
    ("POST", "/api/v1/export/datapoints/file"): Described(
        f"{_OF_RUN} metricKeys:texts {_TIMES} {_FORMATS}", "", "application/octet-stream"
    ),
    ("POST", "/api/v1/query/logs"): Described(
        f"{_OF_RUN} {_PAGE} {_LEVELS} text pattern order=desc|asc {_TIMES}", "runId rows page searchCut"
    ),
    ("GET", "/api/v1/stream/logs"): Described(
        f"{_OF_RUN} {_LEVELS} text pattern follow=true|false", "", "text/event-stream"
    ),
    ("GET", "/api/v1/stream/metrics"): Described(
        f"{_OF_RUN} metricKeys:texts follow=true|false", "", "text/event-stream"
    ),
    ("POST", "/api/v1/export/metrics"): Described(
        f"{_OF_RUN} metricKeys:texts {_TIMES} {_PAGE} format=json", "runId rows page"
    ),
    ("POST", "/api/v1/export/logs"): Described(
        f"{_OF_RUN} {_LEVELS} text pattern {_TIMES} {_PAGE} format=json", "runId rows page"
    ),
    ("POST", "/api/v1/export/metrics/file"): Described(
        f"{_OF_RUN} metricKeys:texts {_TIMES} {_FORMATS}", "", "application/octet-stream"
    ),
    ("POST", "/api/v1/export/logs/file"): Described(
        f"{_OF_RUN} {_TIMES} {_FORMATS}", "", "application/octet-stream"
    ),
    ("POST", "/api/v1/export/evals/file"): Described(
        f"projectId! evalRunId! {_FORMATS}", "", "application/octet-stream"
    ),
    ("POST", "/api/v1/ingest/metrics"): Described(
        "points!:objects clientDiagnostics:object", "accepted requestId"
    ),
    ("POST", "/api/v1/ingest/logs"): Described(
        "lines!:objects clientDiagnostics:object", "accepted requestId"
    ),
    ("POST", "/api/v1/ingest/traces"): Described(
        "spans!:objects clientDiagnostics:object", "accepted requestId"
    ),
    ("POST", "/api/v1/artifacts/initiate"): Described(
        "projectId! name! runId artifactType aliases:texts metadata:object retentionPolicy:object "
        "files:objects references:objects clientKey kind=artifact|media|evidence step:int",
        "artifactId uploadId deduped files page",
    ),
    ("POST", "/api/v1/artifacts/upload"): Described(
        "projectId! uploadId! artifactId cursor limit:int path", "artifactId uploadId files page"
    ),
    ("POST", "/api/v1/artifacts/finalize"): Described("projectId! uploadId! artifactId", "artifact deduped"),
    ("POST", "/api/v1/artifacts/abort"): Described("projectId! uploadId! artifactId", "uploadId state"),
    ("POST", "/api/v1/artifacts/use"): Described("projectId! artifactRef! runId", "artifact"),
    ("POST", "/api/v1/artifacts/download"): Described(
        "projectId! artifactId! path! runId", "url expiresAtMs sizeBytes sha256"
    ),
    ("PUT", "/api/v1/blobs/{token}"): Described("", "", "application/octet-stream"),
    ("GET", "/api/v1/blobs/{token}"): Described("", "", "application/octet-stream"),
    ("GET", f"{_P}/artifacts"): Described(
        f"{_PAGE} type name runId ref kind=artifact|media|evidence", "artifacts page"
    ),
    ("POST", f"{_P}/artifacts/gc"): Described(
        "dryRun:bool", "dryRun uploadsExpired versionsExpired blobsDeleted bytesFreed"
    ),
    ("GET", f"{_P}/artifacts/{{artifact}}"): Described(
        _PAGE, "artifactId name version aliases metadata files references page"
    ),
    ("DELETE", f"{_P}/artifacts/{{artifact}}"): Described("force=true|false", "deleted"),
    ("POST", f"{_P}/artifacts/{{artifact}}/aliases"): Described(
        "add:texts remove:texts", "artifactId aliases"
    ),
    ("POST", f"{_P}/artifacts/{{artifact}}/verify"): Described("", "artifactId intact checked damaged"),
    ("GET", f"{_P}/lineage"): Described("runId artifactId depth:int", "nodes edges truncated"),
    ("POST", "/api/v1/ingest/media"): Described(f"{_OF_RUN} items!:objects", "accepted requestId"),
    ("GET", f"{_P}/runs/{{run_id}}/media"): Described(
        f"{_PAGE} key step:int startStep:int endStep:int order=asc|desc", "media page"
    ),
    ("GET", f"{_P}/runs/{{run_id}}/media/keys"): Described("", "keys"),
    ("POST", "/api/v1/evals/suites"): Described(
        "orgId projectId! name! dataset!:object scorers:named suiteId", "suite dataset requestId"
    ),
    ("POST", "/api/v1/evals/runs"): Described(
        "orgId projectId! suiteId! config:object runId evalRunId", "evalRun requestId"
    ),
    ("POST", "/api/v1/evals/results"): Described("projectId! evalRunId! rows!:objects", "accepted requestId"),
    ("POST", "/api/v1/query/evals/diff"): Described(
        f"projectId! baselineEvalRunId! candidateEvalRunId! scorer statuses:texts tolerance:number {_PAGE}",
        "rows page summary scorers baseline candidate",
    ),
    ("GET", f"{_P}/evals/runs"): Described(f"{_PAGE} suite runId", "evalRuns page"),
    ("GET", f"{_P}/evals/runs/{{eval_run_id}}"): Described(
        "", "evalRunId runId runStatus suiteId suiteName dataset scorers config counts stats"
    ),
    ("GET", f"{_P}/evals/runs/{{eval_run_id}}/results"): Described(
        f"{_PAGE} scorer outcome=passed|failed|unjudged", "rows page"
    ),
}
