"""`run.log_eval_result`: what is recorded, counted and told."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rundial as rd
from rundial.api.run import Run
from rundial.errors import RecordDroppedError, RunFinishedError
from rundial.testing import recording
from rundial.testing.recorded import Recorded

Start = Callable[..., Run]


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Recorded]:
    """What is recorded, strictly."""
    with recording(tmp_path / "spool") as recorded:
        yield recorded


def test_result_is_an_event_with_its_span_and_a_unit_of_the_ledger(found: Recorded) -> None:
    """One call is one record: its rows, its span, and one more line in the account."""
    with rd.init() as run:
        with run.trace("case") as span:
            assert run.log_eval_result("night", "a", scores={"exact": True, "f1": 0.5}, meta={"k": 1})
        assert run.log_eval_result("night", 7, scores={"exact": None})  # type: ignore[arg-type]  # an index
        ledger = run.diagnostics().ledger

    first, second = (event for event in found.events if event.name == "rundial.eval.result")
    assert first.body == {
        "eval_run_id": "night",
        "example_id": "a",
        "rows": [{"scorer": "exact", "score": 1.0, "passed": True}, {"scorer": "f1", "score": 0.5}],
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "meta": {"k": 1},
    }
    assert second.body["example_id"] == "7"
    assert "trace_id" not in second.body
    assert (ledger.lines.recorded, ledger.lines.logged, ledger.closes) == (2, 2, True)


def test_result_that_is_wrong_costs_itself_and_is_told(
    start: Start, told: list[warnings.WarningMessage]
) -> None:
    """Nothing is raised into an evaluation; what was refused is counted and said once."""
    run = start()

    assert run.log_eval_result("night", "a", scores={"exact": "yes"}) is False  # type: ignore[dict-item]  # wrong
    assert run.log_eval_result("a b", "a", scores={"exact": 1}) is False
    assert run.log_eval_result("night", "a", scores={"exact": 1}) is True
    ledger = run.diagnostics().ledger.lines
    assert (ledger.recorded, ledger.dropped) == (1, {"invalid": 2})
    assert ["score 'exact' is a string" in str(each.message) for each in told] == [True]
    run.finish()
    assert run.log_eval_result("night", "a", scores={"exact": 1}) is False
    assert run.diagnostics().ledger.lines.dropped == {"invalid": 2, "after_finish": 1}


def test_strict_run_raises_what_is_wrong(found: Recorded) -> None:
    """In tests a result that would be dropped is an error of the call."""
    del found
    run = rd.init()

    with pytest.raises(RecordDroppedError, match="infinite"):
        run.log_eval_result("night", "a", scores={"exact": float("inf")})
    run.finish()
    with pytest.raises(RunFinishedError):
        run.log_eval_result("night", "a", scores={"exact": 1})


def test_disabled_run_takes_results_and_keeps_nothing() -> None:
    """An evaluation runs unchanged where nothing is recorded."""
    run = rd.init(project="x", mode="disabled")

    assert run.log_eval_result("night", "a", scores={"exact": 1})
    assert run.finish()
