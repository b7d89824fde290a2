"""Suites: cases, scorers and evaluation runs, recorded offline and read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.evalcases import Case
from rundial.errors import ConfigError
from rundial.testing import recording
from rundial.testing.recorded import Event, Recorded

CASES = [{"id": "one", "input": "1+1", "expected": "2"}, {"id": "two", "input": "2+2", "expected": "4"}]


def exact(output: str, expected: str) -> bool:
    """A scorer."""
    return output == expected


def length(output: str, case: Case, least: int = 1) -> dict[str, Any]:
    """A scorer with a score, a verdict and more; it asks for the case, and for what it has a default of."""
    return {"score": len(output), "passed": len(output) >= least, "meta": {"id": case["id"]}}


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Recorded]:
    """What is recorded, strictly."""
    with recording(tmp_path / "spool") as recorded:
        yield recorded


def results(found: Recorded) -> list[Event]:
    """The results, in the order in which they were logged."""
    return [event for event in found.events if event.name == "rundial.eval.result"]


def test_loop_over_a_suite_is_an_evaluation(found: Recorded) -> None:
    """A run of kind eval begins with the loop and ends with it; each result is in its case's span."""
    suite = rd.eval.suite("arithmetic", dataset=CASES, scorers=[exact])

    for case in suite:
        assert suite.log_result(case, scores={"exact": case["expected"] == "2"})

    assert suite.last is not None
    (start,) = (event for event in found.events if event.name == "rundial.eval.start")
    assert start.body["eval_run_id"] == suite.last.eval_run_id
    assert (start.body["suite_id"], start.body["suite_name"]) == (suite.suite_id, "arithmetic")
    assert start.body["scorers"] == [{"name": "exact"}]
    assert (start.body["dataset"]["name"], start.body["dataset"]["examples"]) == ("arithmetic", 2)
    spans = {span.attributes["rundial.eval.example"]: span for span in found.spans}
    for event in results(found):
        span = spans[event.body["example_id"]]
        assert (event.body["trace_id"], event.body["span_id"]) == (span.trace_id, span.span_id)
    assert (found.status, suite.last.run.kind, suite.last.run.name) == ("completed", "eval", "arithmetic")


def test_every_loop_is_an_evaluation_of_its_own(found: Recorded) -> None:
    """Going over a suite again compares with the first time, and does not write over it."""
    suite = rd.eval.suite("arithmetic", dataset=CASES, scorers=["exact"])

    for _ in range(2):
        for case in suite:
            suite.log_result(case, scores={"exact": True})

    assert len({event.body["eval_run_id"] for event in results(found)}) == 2


def test_loop_that_is_left_marks_no_case_as_failed(found: Recorded) -> None:
    """`break` ends the case's span like any other; the run goes on until somebody ends it."""
    with rd.eval.suite("arithmetic", dataset=CASES, scorers=["exact"]) as suite:
        for case in suite:
            suite.log_result(case, scores={"exact": True})
            break
        assert suite.last is not None
        assert not suite.last.run.has_finished

    assert suite.last.run.has_finished
    assert [(span.name, span.status) for span in found.spans] == [("case:one", "ok")]


def test_scorers_are_called_with_what_they_ask_for(found: Recorded) -> None:
    """By name: the output, the case, and what the case holds; further scores may go along."""
    suite = rd.eval.suite("arithmetic", dataset=CASES, scorers=[exact, length, "judge"])
    with suite.run(config={"model": "m"}) as evaluation:
        for case in evaluation:
            assert evaluation.score(case, "2", scores={"judge": 0.5})

    first, second = results(found)
    assert first.body["rows"] == [
        {"scorer": "exact", "score": 1.0, "passed": True},
        {"scorer": "length", "score": 1.0, "passed": True, "meta": {"id": "one"}},
        {"scorer": "judge", "score": 0.5},
    ]
    assert second.body["rows"][0] == {"scorer": "exact", "score": 0.0, "passed": False}
    assert found.config == {"model": "m"}


def test_task_or_scorer_that_raises_is_a_result(found: Recorded) -> None:
    """One bad example costs itself: it has not passed, says why, and its span has the stack."""

    def broken(output: str) -> float:
        return 1 / len(output)

    def task(case: Case) -> str:
        if case.id == "two":
            raise TimeoutError("the model is away")
        return ""

    suite = rd.eval.suite("arithmetic", dataset=CASES, scorers=[exact, broken])
    with suite.run() as evaluation:
        evaluation.evaluate(task)

    first, second = results(found)
    assert first.body["rows"][1] == {
        "scorer": "broken",
        "passed": False,
        "meta": {"error": "ZeroDivisionError: division by zero"},
    }
    assert second.body["meta"] == {"error": "TimeoutError: the model is away"}
    assert [row.get("passed") for row in second.body["rows"]] == [False, False]
    failed = [span for span in found.spans if span.status == "error"]
    assert [(span.name, span.events[0][0]) for span in failed] == [("task", "exception")]
    assert found.status == "completed"


def test_evaluation_of_a_training_run_leaves_it_going(found: Recorded) -> None:
    """Its results are part of that run, which goes on, and stays the one that `checkpoint` means."""
    Path("weights").write_text("x")
    with rd.init() as training:
        suite = rd.eval.suite("arithmetic", dataset=CASES, scorers=[exact])
        with suite.run(run=training) as evaluation:
            evaluation.evaluate(lambda case: str(case["expected"]))
        assert evaluation.complete()
        assert not training.has_finished
        with suite.run():
            assert rd.checkpoint("weights")

    assert {event.run_id for event in results(found)} == {training.run_id}


def test_block_that_raises_fails_its_run(found: Recorded) -> None:
    """The user's own exception goes on its way, and the run says that it failed."""
    suite = rd.eval.suite("arithmetic", dataset=CASES, scorers=["exact"])

    with pytest.raises(LookupError), suite.run():
        raise LookupError("no such model")

    assert found.status == "failed"


def test_dataset_says_what_it_is() -> None:
    """A reference, a mapping with or without cases, or the cases: each has a name and a version."""
    made = {"project": "digits", "mode": "disabled", "scorers": ["s"]}
    by_reference = rd.eval.suite("s", dataset="sums:v3", **made)
    again = rd.eval.suite("s", dataset="sums:v3", dataset_name="sums", dataset_version="3", **made)
    named = rd.eval.suite("s", dataset={"name": "sums", "version": "1", "cases": CASES}, **made)
    listed = rd.eval.suite("s", dataset=CASES, **made)
    changed = rd.eval.suite("s", dataset=CASES[:1], **made)

    assert by_reference.dataset["name"] == "dataset"
    assert (len(by_reference.dataset["version"]), by_reference.dataset["artifactRef"]) == (16, "sums:v3")
    assert again.dataset == {"name": "sums", "version": "3", "artifactRef": "sums:v3"}
    assert (named.dataset, [case.id for case in named.cases]) == (
        {"name": "sums", "version": "1"},
        ["one", "two"],
    )
    assert listed.dataset["version"] != changed.dataset["version"]
    assert by_reference.suite_id == listed.suite_id, "the name tells one suite from another"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": " "}, "a suite's name"),
        ({"suite_id": "a b"}, "suite_id"),
        ({"dataset": 3}, "dataset must be"),
        ({"dataset": {"version": "1"}}, "dataset has no name"),
        ({"dataset": [3]}, "case 0 must be a mapping"),
        ({"dataset": [{"id": "a"}, {"id": "a"}]}, "two cases have the id 'a'"),
        ({"dataset": [{"id": "x" * 300}]}, "case 0: example_id"),
        ({"scorers": "exact"}, "scorers must be a list"),
        ({"scorers": [3]}, "a scorer must be a name or a function"),
        ({"scorers": ["a", "a"]}, "two scorers are called 'a'"),
        ({"scorers": [{"kind": "x"}]}, "a scorer's name"),
        ({"mod": "online"}, "mod"),
        ({"mode": "onlin"}, "mode"),
    ],
)
def test_wrong_argument_is_told_when_the_suite_is_made(arguments: dict[str, Any], words: str) -> None:
    """And not in mid-evaluation."""
    given = {"name": "s", "dataset": CASES, "scorers": ["s"], "project": "digits", **arguments}

    with pytest.raises(ConfigError, match=words):
        rd.eval.suite(given.pop("name"), **given)


def test_what_cannot_be_evaluated_is_told(found: Recorded) -> None:
    """No loop without cases, no score without functions, and a scorer asks for what there is."""
    del found
    elsewhere = rd.eval.suite("s", dataset="sums:v1", scorers=["judge"])
    with elsewhere.run() as evaluation:
        with pytest.raises(ConfigError, match="holds no cases"):
            list(evaluation)
        with pytest.raises(ConfigError, match="none of the suite's scorers is a function"):
            evaluation.score(Case({}, "a"), "output")

    def unanswered(output: str, reference: str) -> bool:
        return output == reference

    suite = rd.eval.suite("s", dataset=CASES, scorers=[unanswered])
    with suite.run() as evaluation, pytest.raises(ConfigError, match="asks for 'reference'"):
        evaluation.score(suite.cases[0], "2")
    with pytest.raises(ConfigError, match="eval_run_id"):
        suite.run(eval_run_id="a b")


def test_functions_of_any_kind_are_scorers(found: Recorded) -> None:
    """A function built in C, a lambda with a name, and one with a goal."""
    scorers = [{"name": "same", "function": lambda output, expected: output == expected}, max]
    suite = rd.eval.suite(
        "s", dataset=[{"id": "a", "expected": 3}], scorers=[*scorers, {"name": "t", "goal": "minimize"}]
    )
    with suite.run() as evaluation:
        evaluation.score(suite.cases[0], 4, scores={"t": 1})

    (event,) = results(found)
    assert [(row["scorer"], row["score"]) for row in event.body["rows"]] == [
        ("same", 0.0),
        ("max", 4.0),
        ("t", 1.0),
    ]
    assert suite.suite["scorers"] == [{"name": "same"}, {"name": "max"}, {"name": "t", "goal": "minimize"}]


def test_suite_that_is_not_run_leaves_nothing(tmp_path: Path) -> None:
    """Making one neither writes a file nor asks a server, so that a module may do it when it is imported."""
    spool = tmp_path / "spool"
    suite = rd.eval.suite(
        "s",
        dataset=CASES,
        scorers=["s"],
        project="digits",
        endpoint="http://127.0.0.1:1",
        spool_directory=spool,
    )

    assert suite.last is None
    assert not spool.exists()
