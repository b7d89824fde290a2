"""What calls about evaluations answer; see `rundial.api.calls.shapes`."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from rundial.api.calls.shapes import Page


class EvalCounts(TypedDict, total=False):
    """How many examples and results there are, and how the results stand."""

    examples: int
    results: int
    passed: int
    failed: int
    unjudged: int


class _EvalRun(TypedDict):
    evalRunId: str
    runId: str


class EvalRun(_EvalRun, total=False):
    """An evaluation run; what was evaluated against what, and `stats`, only where one is asked for."""

    runName: str
    runStatus: str
    suiteId: str | None
    suiteName: str | None
    startedAtMs: int
    counts: EvalCounts
    dataset: dict[str, Any]
    scorers: list[dict[str, Any]]
    config: dict[str, Any]
    stats: list[dict[str, Any]]


class _EvalResult(TypedDict):
    exampleId: str
    scorer: str


class EvalResult(_EvalResult, total=False):
    """What one scorer says of one example."""

    score: float | None
    passed: bool | None
    traceId: str | None
    spanId: str | None
    evidenceRef: dict[str, str] | None
    meta: dict[str, Any]
    timestampMs: int


class EvalDiffRow(_EvalResult, total=False):
    """One example and scorer on both sides."""

    status: Literal["regressed", "missing", "improved", "new", "unchanged"]
    regressed: bool
    delta: float | None
    baselineScore: float | None
    candidateScore: float | None
    baselinePassed: bool | None
    candidatePassed: bool | None
    baselineTraceId: str | None
    candidateTraceId: str | None


class _EvalDiff(TypedDict):
    rows: list[EvalDiffRow]


class EvalDiff(_EvalDiff, total=False):
    """A page of a comparison; `summary` and `scorers` are over everything."""

    page: Page
    summary: dict[str, int]
    scorers: list[dict[str, Any]]
    baseline: EvalRun
    candidate: EvalRun
