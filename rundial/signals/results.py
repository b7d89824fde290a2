"""What one example of an evaluation came to: a user's scores → the body of a result. Pure.

A result names the evaluation run, the example, and one row for each scorer: its score, whether it
passed, and what else is known. A row without either says that the example was not judged, as a test
that was skipped. What is too long is cut and flagged; what is wrong is refused with its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isinf, isnan

from rundial.signals.attributes import as_body
from rundial.signals.preview import CAPS, cut_values
from rundial.signals.values import as_value, plain_number, type_name
from rundial.typed import Any, NamedTuple

MAX_EXAMPLE_CHARS = 256
MAX_SCORER_CHARS = 128
MAX_SCORERS = 100
MAX_META_BYTES = 8 * 1024
# Of all rows of one result together; with the names of the scorers it is still one record.
MAX_ALL_META_BYTES = 24 * 1024
MAX_PATH_CHARS = 1024

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\Z")
_TRACE_ID = re.compile(r"[0-9a-f]{32}\Z")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\Z")
_SCORE_KEYS = frozenset({"score", "passed", "meta"})


class Row(NamedTuple):
    """What one scorer says of an example.

    Attributes:
        scorer: Its name.
        score: Finite; None for none.
        passed: Whether that is good enough; None where nobody said.
        meta: What else is known.
    """

    scorer: str
    score: float | None
    passed: bool | None
    meta: Mapping[str, Any]


def eval_run_id_of(value: object) -> str:
    """Return the id of an evaluation run.

    Raises:
        ValueError: It is none, in words.
    """
    if not isinstance(value, str) or not _ID.match(value):
        raise ValueError(f"eval_run_id {_shown(value)} is not 1 to 128 letters, digits, '.', '_' or '-'")
    return value


def suite_id_of(name: str) -> str:
    """Return the id of the suite of a name, where nobody gave it another: the same in every process."""
    return f"suite_{_digest(name)}"


def dataset_id_of(name: str) -> str:
    """Return the id of the dataset of a name."""
    return f"dataset_{_digest(name)}"


def _digest(name: str) -> str:
    from hashlib import sha256

    return sha256(name.encode("utf-8", "replace")).hexdigest()[:32]


def example_id_of(value: object) -> str:
    """Return the name of an example, 1 to 256 characters; a whole number is one too.

    Raises:
        ValueError: It is none, in words.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 0 < len(text) <= MAX_EXAMPLE_CHARS:
        raise ValueError(f"example_id {_shown(value)} is not a text of 1 to {MAX_EXAMPLE_CHARS} characters")
    return text.encode("utf-8", "replace").decode("utf-8")


def rows_of(scores: object, passed: object = None) -> list[Row]:
    """Return a row for each scorer.

    Args:
        scores: Names (1 to 128 characters) and what each scorer says: a boolean (which is a score of 1 or
            0, and whether it passed), a finite number, NaN (no score, not passed), None (not judged), or
            a mapping of `score`, `passed` and `meta`.
        passed: For all of them, or a mapping by scorer; wins over what a score says.

    Raises:
        ValueError: Something is wrong with them, in words.
    """
    if not isinstance(scores, Mapping) or not scores:
        raise ValueError(f"scores must be a mapping of names to scores, not {_shown(scores)}")
    if len(scores) > MAX_SCORERS:
        raise ValueError(f"scores has {len(scores):,} entries; at most {MAX_SCORERS} are taken at once")
    verdicts = _verdicts(passed, scores)
    rows = [_row(name, value, verdicts) for name, value in scores.items()]
    if sum(len(json.dumps(row.meta)) for row in rows if row.meta) > MAX_ALL_META_BYTES:
        raise ValueError(
            f"meta of all scorers is over {MAX_ALL_META_BYTES:,} bytes; keep long texts in spans"
        )
    return rows


def meta_of(meta: object) -> Mapping[str, Any]:
    """Return what else is known, within its bound: the ends of long values go, each with its true length.

    Raises:
        ValueError: It is no mapping, or too much even then.
    """
    if meta is None:
        return {}
    if not isinstance(meta, Mapping):
        raise ValueError(f"meta must be a mapping, not {_shown(meta)}")
    clean: Mapping[str, Any] = as_body(meta)
    if _size(clean) <= MAX_META_BYTES:
        return clean
    for cap in CAPS:
        short = cut_values(clean, cap)
        if _size(short) <= MAX_META_BYTES:
            return short
    raise ValueError(f"meta has too many values for {MAX_META_BYTES:,} bytes; keep them in a span or a file")


def evidence_of(evidence: object) -> Mapping[str, str] | None:
    """Return the file that a result rests on: `{"artifactId", "path"}`.

    Raises:
        ValueError: It is something else.
    """
    if evidence is None:
        return None
    if isinstance(evidence, Mapping):
        found = {name: evidence.get(name) for name in ("artifactId", "path")}
        if all(isinstance(each, str) and 0 < len(each) <= MAX_PATH_CHARS for each in found.values()):
            return found  # type: ignore[return-value]  # checked on the line above
    raise ValueError('evidence must be {"artifactId": …, "path": …}')


def ids_of(trace: object) -> tuple[str, str]:
    """Return trace and span id of a span, of a trace id, or of a W3C `traceparent`; empty texts for none.

    Raises:
        ValueError: It names no trace.
    """
    if trace is None:
        return "", ""
    if isinstance(trace, str):
        text = trace.strip().lower()
        if _TRACE_ID.match(text):
            return text, ""
        found = _TRACEPARENT.match(text)
        if found:
            return found[1], found[2]
    context = getattr(trace, "get_span_context", None)
    if callable(context):
        found_ids = context()
        return f"{found_ids.trace_id:032x}", f"{found_ids.span_id:016x}"
    ids = getattr(trace, "trace_id", None), getattr(trace, "span_id", None)
    if isinstance(ids[0], str) and isinstance(ids[1], str):
        return ids[0], ids[1]
    raise ValueError(
        f"trace {_shown(trace)} is no span, no trace id of 32 hexadecimal digits, no traceparent"
    )


def body_of(
    names: tuple[str, str],
    rows: list[Row],
    *,
    ids: tuple[str, str] = ("", ""),
    evidence: Mapping[str, str] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of a `rundial.eval.result` event.

    Args:
        names: Of the evaluation run and the example.
        rows: From `rows_of`.
        ids: From `ids_of`.
        evidence: From `evidence_of`.
        meta: From `meta_of`; holds for all rows.
    """
    body: dict[str, Any] = {"eval_run_id": names[0], "example_id": names[1]}
    body["rows"] = [
        {name: value for name, value in zip(Row._fields, row, strict=True) if value not in (None, {})}
        for row in rows
    ]
    if ids[0]:
        body["trace_id"] = ids[0]
    if ids[1]:
        body["span_id"] = ids[1]
    if evidence is not None:
        body["evidence"] = dict(evidence)
    if meta:
        body["meta"] = dict(meta)
    return body


def _verdicts(passed: object, scores: Mapping[Any, Any]) -> Mapping[Any, object]:
    if passed is None:
        return {}
    if isinstance(passed, Mapping):
        unknown = [name for name in passed if name not in scores]
        if unknown:
            raise ValueError(f"passed names {_shown(unknown[0])}, of which scores says nothing")
        return passed
    return dict.fromkeys(scores, passed)


def _row(name: object, value: Any, verdicts: Mapping[Any, object]) -> Row:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_SCORER_CHARS:
        raise ValueError(f"scorer {_shown(name)} is not a text of 1 to {MAX_SCORER_CHARS} characters")
    verdict, meta = verdicts.get(name), None
    if isinstance(value, Mapping):
        unknown = [key for key in value if key not in _SCORE_KEYS]
        if unknown or "score" not in value:
            raise ValueError(f"score {name!r} must be {{score, passed, meta}}, not {_shown(list(value))}")
        verdict = value.get("passed") if verdict is None else verdict
        value, meta = value["score"], value.get("meta")
    if verdict is not None:
        verdict = _truth(name, verdict)
    score, implied = _score(name, value)
    kept = name.encode("utf-8", "replace").decode("utf-8")
    return Row(kept, score, implied if verdict is None else verdict, meta_of(meta))


def _truth(name: str, verdict: object) -> bool:
    found = plain_number(verdict)
    if not isinstance(found, bool):
        raise ValueError(f"passed of {name!r} must be True or False, not {_shown(verdict)}")
    return found


def _score(name: str, value: object) -> tuple[float | None, bool | None]:
    """Return a score, and whether it says by itself that the example passed."""
    if value is None:
        return None, None
    if isinstance(plain_number(value), bool):
        return (1.0, True) if value else (0.0, False)
    number = as_value(value)
    if isinstance(number, str):
        raise ValueError(f"score {name!r} is {number}")
    if isnan(number):
        return None, False
    if isinf(number):
        raise ValueError(f"score {name!r} is infinite; NaN says that there is none")
    return number, None


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace"))


def _shown(value: object) -> str:
    if isinstance(value, (str, int, float)):
        return repr(value)[:80]
    return repr(value)[:80] if isinstance(value, list) else f"a {type_name(value)}"
