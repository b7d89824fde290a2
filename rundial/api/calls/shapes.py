"""What calls answer, and what a client's options are: dictionaries with their keys and types written down.

A key that every server of the API has is required; what newer servers add may be absent. Times in
`…Ms` are milliseconds since 1970; times in `…Ns` are nanoseconds, as text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict


class Options(TypedDict, total=False):
    """How a client records; each is a setting, and None leaves it to environment and default."""

    mode: Literal["online", "offline", "disabled"] | None
    otlp_endpoint: str | Sequence[str] | None
    otlp_headers: Mapping[str, str] | Mapping[str, Mapping[str, str]] | None
    spool_directory: str | os.PathLike[str] | None
    spool_max_bytes: int | None
    spool_max_age_seconds: float | None
    ring_bytes: int | None
    queue_max_bytes: int | None
    queue_capacity: int | None
    max_batch_points: int | None
    gzip_enabled: bool | None
    gzip_min_bytes: int | None
    retry_max_attempts: int | None
    retry_base_delay_seconds: float | None
    retry_max_delay_seconds: float | None
    retry_jitter_ratio: float | None
    event_hook: Callable[[dict[str, object]], object] | None
    flush_interval_seconds: float | None
    init_timeout_seconds: float | None
    finish_timeout_seconds: float | None
    durability: Literal["process", "power"] | None
    strict: bool | None
    system_metrics: bool | None
    system_metrics_interval_seconds: float | None
    system_metrics_backpressure_threshold: float | None
    system_metrics_provider: Callable[[], Mapping[str, object]] | str | None
    capture_console: bool | Literal["fd"] | None
    capture_environment: bool | None
    capture_diff: bool | None
    artifact_copy_bytes: int | None
    artifact_concurrency: int | None
    exporters: Sequence[Any] | str | None
    prices: Mapping[str, Mapping[str, float]] | None
    otel: Literal["off", "attach"] | None
    transport: None
    artifact_transport: None


class Health(TypedDict, total=False):
    """A server that can be reached."""

    status: str
    serverId: str


class Capabilities(TypedDict, total=False):
    """What a server can do, for command lines."""

    version: str


class KeyFacts(TypedDict, total=False):
    """The key of a request."""

    keyId: str
    label: str | None
    role: str
    scopes: list[str]
    workspaceSlug: str | None
    projectSlug: str | None


class _Caller(TypedDict):
    authenticated: bool


class Whoami(_Caller, total=False):
    """Who asks: `principal` is `api_key` or `user`."""

    principal: str
    apiKey: KeyFacts
    user: dict[str, Any]
    agent: dict[str, Any]
    serverId: str


class Login(TypedDict, total=False):
    """A session that was begun."""

    authenticated: bool
    user: dict[str, Any]


class _Page(TypedDict):
    hasMore: bool


class Page(_Page, total=False):
    """Whether a listing goes on, and where."""

    nextCursor: str | None


class _Workspace(TypedDict):
    workspaceSlug: str


class Workspace(_Workspace, total=False):
    """A workspace that the key may see."""

    name: str
    role: str


class _Project(TypedDict):
    projectSlug: str


class Project(_Project, total=False):
    """A project of a workspace."""

    name: str
    projectId: str
    runCount: int
    retentionDays: int | None


class _RunTarget(TypedDict):
    orgId: str
    workspaceSlug: str
    workspaceName: str
    projectSlug: str
    projectName: str
    projectId: str


class RunTarget(_RunTarget, total=False):
    """The ids behind a workspace and a project."""

    serverId: str


class _StartedRun(TypedDict):
    runId: str
    projectId: str


class StartedRun(_StartedRun, total=False):
    """A run that was announced."""

    kind: str
    attempt: int
    resumed: bool
    conflict: str
    serverId: str


class RunStatus(TypedDict, total=False):
    """How a run stands after it was told."""

    runId: str
    status: str


class RunControl(TypedDict, total=False):
    """What is wished of a run."""

    runId: str
    attempt: int
    stop: bool
    reason: str | None


class RunConfig(TypedDict, total=False):
    """A run's whole config."""

    runId: str
    config: dict[str, Any]


class _RunBrief(TypedDict):
    runId: str
    status: str


class RunBrief(_RunBrief, total=False):
    """One row of the run table."""

    kind: str
    runName: str
    startedAtMs: int
    updatedAtMs: int


class _RunPage(TypedDict):
    runs: list[RunBrief]


class RunPage(_RunPage, total=False):
    """One page of the run table."""

    page: Page


class RunDetails(RunBrief, total=False):
    """One run: its life, what is stored of it, and its ledger."""

    projectId: str
    finishedAtMs: int | None
    reason: str | None
    attempt: int
    config: dict[str, Any]
    summary: dict[str, Any]
    tags: list[str]
    group: str | None
    jobType: str | None
    counts: dict[str, int]
    ledger: dict[str, Any]
    instances: list[dict[str, Any]]
    environment: dict[str, Any] | None


class _Span(TypedDict):
    traceId: str
    spanId: str
    name: str


class SpanRow(_Span, total=False):
    """One span; `endNs` is None while it runs."""

    parentSpanId: str | None
    kind: str
    startNs: str
    endNs: str | None
    status: str
    statusMessage: str | None
    interrupted: bool
    running: bool
    attributes: dict[str, Any]
    events: list[dict[str, Any]]
    links: list[dict[str, Any]]
    instanceId: str
    durationNs: str | None
    childCount: int
    genai: dict[str, Any] | None


class TracedSpan(SpanRow, total=False):
    """A span with its place in a trace; `parentProblem` is `missing`, `cycle` or None."""

    runId: str
    depth: int
    parentProblem: str | None
    clockSkewNs: str | None


class Trace(TypedDict):
    """A trace; `truncated` where it has more spans than these.

    `messagesTruncated` where log records that hold messages of its spans were left out.
    """

    traceId: str
    runIds: list[str]
    totalSpans: int
    truncated: bool
    messagesTruncated: bool
    spans: list[TracedSpan]


class _MetricKey(TypedDict):
    metricKey: str


class MetricKey(_MetricKey, total=False):
    """One series, without its points."""

    context: dict[str, Any]
    unit: str | None
    count: int
    min: float
    max: float
    lastStep: int | None
    lastValue: float
    lastTimestampMs: int


class SeriesPoint(TypedDict):
    """One point of a curve."""

    step: int | None
    timestampMs: int
    value: float


class PlacedPoint(SeriesPoint, total=False):
    """One point of a curve, with its place on the axis that `define_metric` named."""

    x: float | None


class _Series(TypedDict):
    metricKey: str
    points: list[PlacedPoint]


class Series(_Series, total=False):
    """One curve, thinned to at most the points that were asked for."""

    context: dict[str, Any]
    unit: str | None
    xMetric: str | None
    totalPoints: int


class SeriesAnswer(TypedDict):
    """The curves of a run."""

    runId: str
    series: list[Series]


class _LogRow(TypedDict):
    timestampMs: int
    level: str
    message: str


class LogRow(_LogRow, total=False):
    """One text line."""

    timestampNs: str
    sequence: int | None
    truncated: bool
    step: int | None
    traceId: str | None
    spanId: str | None
    attributes: dict[str, Any]


class _LogPage(TypedDict):
    rows: list[LogRow]


class LogPage(_LogPage, total=False):
    """One page of a run's text."""

    runId: str
    page: Page


class _PointRow(TypedDict):
    metricKey: str
    step: int | None
    timestampMs: int
    value: float


class PointRow(_PointRow, total=False):
    """One stored point."""

    context: dict[str, Any]
    timestampNs: str
    instanceId: str
    attempt: int


class _PointPage(TypedDict):
    rows: list[PointRow]


class PointPage(_PointPage, total=False):
    """One page of a run's stored points."""

    runId: str
    page: Page


class _ApiKey(TypedDict):
    keyId: str


class ApiKey(_ApiKey, total=False):
    """An API key; the secret itself is in `CreatedApiKey` alone."""

    label: str | None
    scopes: list[str]
    createdAtMs: int
    expiresAtMs: int | None
    revokedAtMs: int | None
    lastUsedAtMs: int | None
    agentId: str


class CreatedApiKey(TypedDict, total=False):
    """A key that was made just now; its secret is shown this once."""

    keyId: str
    key: str
    label: str | None
    scopes: list[str]
    expiresAtMs: int | None


class _Agent(TypedDict):
    agentId: str


class Agent(_Agent, total=False):
    """An agent: a name that keys belong to and that can be revoked with all of them."""

    name: str
    status: str
    updatedAtMs: int


class Revoked(TypedDict, total=False):
    """What was revoked."""

    keyId: str
    agentId: str
    revokedAtMs: int


class _AuditEvent(TypedDict):
    createdAtMs: int
    action: str


class AuditEvent(_AuditEvent, total=False):
    """Who did what to what."""

    actorKind: str
    actorId: str | None
    targetKind: str | None
    targetId: str | None
    agentId: str | None
    details: dict[str, Any]
