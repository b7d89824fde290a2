"""Results and starts of evaluations as they arrive: events and the published client's JSON, checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rundial.server.anyvalue import canonical
from rundial.server.rows import EventRow
from rundial.signals import results, semconv

MAX_NAME: Final = 256
MAX_FACTS_CHARS: Final = 256 * 1024
# What a row of the published client calls what an event calls otherwise.
_JSON_NAMES: Final = {
    "evalRunId": "eval_run_id",
    "exampleId": "example_id",
    "traceId": "trace_id",
    "spanId": "span_id",
    "evidenceRef": "evidence",
    "meta": "meta",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """What one scorer says of one example.

    Attributes:
        eval_run_id: The evaluation run.
        example_id: The example.
        scorer: The scorer.
        score: Finite; None for none.
        passed: None where nobody said.
        trace_id: None outside of any.
        span_id: None outside of any.
        evidence: JSON of the file that it rests on; empty for none.
        meta: JSON of what else is known; empty for nothing.
        time_unix_ns: When it was logged.
    """

    eval_run_id: str
    example_id: str
    scorer: str
    score: float | None
    passed: bool | None
    trace_id: bytes | None
    span_id: bytes | None
    evidence: str
    meta: str
    time_unix_ns: int


@dataclass(frozen=True, slots=True)
class Begun:
    """The start of an evaluation run.

    Attributes:
        eval_run_id: Its id.
        suite_id: Of its suite, empty for none.
        suite_name: What people call the suite.
        dataset: JSON: what is evaluated against.
        scorers: JSON: the scorers.
        config: JSON: what is evaluated.
        time_unix_ns: When.
    """

    eval_run_id: str
    suite_id: str
    suite_name: str
    dataset: str
    scorers: str
    config: str
    time_unix_ns: int


def scored_of(event: EventRow) -> list[Scored] | str:
    """Read the rows of a `rundial.eval.result` event; a text says why there are none."""
    rows = event.body.get("rows")
    if not isinstance(rows, list) or not 0 < len(rows) <= results.MAX_SCORERS:
        return f"{semconv.EVENT_EVAL_RESULT} has no list of 1 to {results.MAX_SCORERS} rows"
    try:
        return [_scored(event.body, row, event.time_unix_ns) for row in rows]
    except ValueError as error:
        return f"{semconv.EVENT_EVAL_RESULT}: {error}"


def scored_of_json(item: Mapping[str, Any], time_unix_ns: int) -> Scored | str:
    """Read a row as the published client sends it; a text says why there is none."""
    body = {ours: item[theirs] for theirs, ours in _JSON_NAMES.items() if item.get(theirs) is not None}
    try:
        return _scored(body, {name: item.get(name) for name in ("scorer", "score", "passed")}, time_unix_ns)
    except ValueError as error:
        return str(error)


def begun_of(event: EventRow) -> Begun | str:
    """Read a `rundial.eval.start` event; a text says why there is none."""
    body = event.body
    try:
        eval_run_id = results.eval_run_id_of(body.get("eval_run_id"))
        suite_id = body.get("suite_id") or ""
        return Begun(
            eval_run_id=eval_run_id,
            suite_id=results.eval_run_id_of(suite_id) if suite_id else "",
            suite_name=name_of(body.get("suite_name") or suite_id or eval_run_id),
            dataset=facts_of("dataset", body.get("dataset") or {}, dict),
            scorers=facts_of("scorers", body.get("scorers") or [], list),
            config=facts_of("config", body.get("config") or {}, dict),
            time_unix_ns=event.time_unix_ns,
        )
    except ValueError as error:
        return f"{semconv.EVENT_EVAL_START}: {error}"


def name_of(name: object) -> str:
    """A suite's name.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(name, str) or not 0 < len(name.strip()) <= MAX_NAME:
        raise ValueError(f"the name of a suite is not a text of 1 to {MAX_NAME} characters")
    return name.strip()


def facts_of(what: str, value: object, kind: type) -> str:
    """A part of a suite or an evaluation run as JSON.

    Raises:
        ValueError: It is of another kind, or too long.
    """
    if not isinstance(value, kind):
        raise ValueError(f"{what} is not a JSON {'object' if kind is dict else 'list'}")
    text = canonical(value)
    if len(text) > MAX_FACTS_CHARS:
        raise ValueError(f"{what} has {len(text):,} characters of JSON; at most {MAX_FACTS_CHARS:,} are kept")
    return text


def minimized(scorers: Sequence[Any]) -> set[str]:
    """The scorers of which less is better."""
    return {
        str(each.get("name"))
        for each in scorers
        if isinstance(each, Mapping)
        and "minimize" in (each.get("goal"), _mapping(each.get("config")).get("goal"))
    }


def _scored(body: Mapping[str, Any], row: object, time_unix_ns: int) -> Scored:
    if not isinstance(row, Mapping):
        raise ValueError("a row is not a JSON object")
    scorer = row.get("scorer")
    if not isinstance(scorer, str):
        raise ValueError("a row has no scorer")
    (found,) = results.rows_of({scorer: _score(row.get("score"))}, row.get("passed"))
    # Common to all rows of the event, and the scorer's own.
    meta = {**_mapping(body.get("meta")), **_mapping(row.get("meta"))}
    evidence = results.evidence_of(body.get("evidence"))
    return Scored(
        eval_run_id=results.eval_run_id_of(body.get("eval_run_id")),
        example_id=results.example_id_of(body.get("example_id")),
        scorer=found.scorer,
        score=found.score,
        passed=found.passed,
        trace_id=_bytes("trace_id", body.get("trace_id"), 16),
        span_id=_bytes("span_id", body.get("span_id"), 8),
        evidence=canonical(evidence) if evidence else "",
        meta=canonical(meta) if meta else "",
        time_unix_ns=time_unix_ns,
    )


def _score(score: object) -> object:
    if isinstance(score, Mapping):
        raise ValueError("a score is not a number")
    # As protobuf's own JSON says it.
    return float("nan") if score == "NaN" else score


def _bytes(name: str, text: object, size: int) -> bytes | None:
    if text is None or text == "":
        return None
    try:
        found = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        found = b""
    if len(found) != size:
        raise ValueError(f"{name} is not {2 * size} hexadecimal digits")
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
