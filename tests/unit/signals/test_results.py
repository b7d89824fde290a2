"""Scores as users give them → rows of a result: what is taken, what is refused, what is cut."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.signals import results
from rundial.signals.records import MAX_EVENT_BYTES, pack_event, unpack_event
from rundial.signals.results import Row

TRACE, SPAN = "0123456789abcdef" * 2, "0123456789abcdef"


@pytest.mark.parametrize(
    ("score", "passed", "row"),
    [
        (True, None, Row("s", 1.0, True, {})),
        (np.bool_(False), None, Row("s", 0.0, False, {})),
        (0.5, None, Row("s", 0.5, None, {})),
        (np.float32(0.5), True, Row("s", 0.5, True, {})),
        (3, {"s": False}, Row("s", 3.0, False, {})),
        (True, False, Row("s", 1.0, False, {})),
        (float("nan"), None, Row("s", None, False, {})),
        (float("nan"), True, Row("s", None, True, {})),
        (None, None, Row("s", None, None, {})),
        ({"score": 0.2, "passed": True, "meta": {"why": "x"}}, None, Row("s", 0.2, True, {"why": "x"})),
        ({"score": 0.2, "passed": True}, {"s": False}, Row("s", 0.2, False, {})),
    ],
)
def test_rows_are_what_the_scorers_said(score: object, passed: object, row: Row) -> None:
    """Booleans, numbers of any kind, NaN, nothing, and a mapping are scores; `passed` wins over them."""
    assert results.rows_of({"s": score}, passed) == [row]


@pytest.mark.parametrize(
    ("scores", "passed", "words"),
    [
        ({}, None, "scores must be a mapping"),
        ([0.5], None, "scores must be a mapping"),
        ({"": 1}, None, "scorer ''"),
        ({"x" * 129: 1}, None, "scorer"),
        ({3: 1}, None, "scorer 3"),
        ({"s": "good"}, None, "score 's' is a string"),
        ({"s": float("inf")}, None, "infinite"),
        ({"s": {"value": 1}}, None, "must be {score, passed, meta}"),
        ({"s": {"passed": True}}, None, "must be {score, passed, meta}"),
        ({"s": {"score": 1, "meta": 3}}, None, "meta must be a mapping"),
        ({"s": 1}, "yes", "passed of 's'"),
        ({"s": 1}, 1, "passed of 's'"),
        ({"s": 1}, {"t": True}, "passed names 't'"),
        ({str(number): 1 for number in range(101)}, None, "at most 100"),
    ],
)
def test_wrong_scores_are_refused_in_words(scores: Any, passed: object, words: str) -> None:
    """What is no score is said, with its name."""
    with pytest.raises(ValueError, match=words):
        results.rows_of(scores, passed)


@pytest.mark.parametrize("bad", ["", "a/b", "x" * 129, ".a", 3, None])
def test_wrong_ids_of_evaluation_runs_are_refused(bad: object) -> None:
    """The id may stand in a URL."""
    with pytest.raises(ValueError, match="eval_run_id"):
        results.eval_run_id_of(bad)


def test_examples_are_named_by_text_or_number() -> None:
    """Any text up to 256 characters names an example, and so does the index in a list."""
    assert [results.example_id_of(each) for each in ("tests/a.py::b[x y]", 3)] == ["tests/a.py::b[x y]", "3"]
    for bad in ("", "x" * 257, True, None, 1.5):
        with pytest.raises(ValueError, match="example_id"):
            results.example_id_of(bad)


def test_meta_that_is_too_long_keeps_its_beginnings() -> None:
    """A long answer costs its end and not the result, and its true length is there."""
    meta = results.meta_of({"output": "x" * 100_000, "short": "kept", "n": 3})

    assert len(json.dumps(meta)) <= results.MAX_META_BYTES
    assert (meta["short"], meta["n"]) == ("kept", 3)
    assert meta["output.rundial.original_bytes"] == 100_000
    with pytest.raises(ValueError, match="too many values"):
        results.meta_of({str(number): number for number in range(10_000)})


def test_trace_is_a_span_or_names_one() -> None:
    """A span, a trace id and what travels in a request's header are understood; anything else is refused."""

    class Span:
        trace_id, span_id = TRACE, SPAN

    assert results.ids_of(Span()) == (TRACE, SPAN)
    assert results.ids_of(TRACE.upper()) == (TRACE, "")
    assert results.ids_of(f"00-{TRACE}-{SPAN}-01") == (TRACE, SPAN)
    for bad in ("x", 3, TRACE[:-1]):
        with pytest.raises(ValueError, match="trace"):
            results.ids_of(bad)


@pytest.mark.parametrize("bad", [3, {}, {"artifactId": "a"}, {"artifactId": "", "path": "x"}])
def test_evidence_names_an_artifact_and_a_path(bad: object) -> None:
    """Half a reference is none."""
    with pytest.raises(ValueError, match="evidence"):
        results.evidence_of(bad)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=128),
        st.none() | st.booleans() | st.floats(allow_infinity=False),
        min_size=1,
        max_size=100,
    ),
    st.dictionaries(st.text(max_size=40), st.text(max_size=400), max_size=5),
)
def test_a_result_of_any_scores_fits_into_one_record(scores: dict[str, Any], meta: dict[str, Any]) -> None:
    """No row is lost for its size, and what is read back is what was written."""
    body = results.body_of(
        ("run", "x" * 256), results.rows_of(scores), ids=(TRACE, SPAN), meta=results.meta_of(meta)
    )
    packed = pack_event("rundial.eval.result", body)
    read = unpack_event(packed, seq=1, time_unix_ns=2)

    assert len(packed) <= MAX_EVENT_BYTES
    assert len(read.body["rows"]) == len(scores)
    assert read.body["trace_id"] == TRACE
