"""How a run ends, as a user says it and as its program leaves."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rundial.api.ending import FOR_EVER_S, Ending, of_status, of_user, seconds_of


class Unprintable:
    """Raises when it is asked for its text."""

    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, FOR_EVER_S), (math.inf, FOR_EVER_S), (1e300, FOR_EVER_S), (10**400, FOR_EVER_S), (-1, 0), (2, 2)],
)
def test_every_number_of_seconds_is_a_deadline(given: Any, seconds: float) -> None:
    """Also infinity, and what no clock can hold."""
    assert seconds_of(given) == seconds


@pytest.mark.parametrize("given", [math.nan, "5", [], object()])
def test_what_is_no_number_of_seconds_is_told(given: object) -> None:
    """Waiting for ever, or not at all, would be a guess."""
    with pytest.raises(ValueError, match="timeout_seconds must be a number of seconds"):
        seconds_of(given)


def test_reason_may_be_an_exception_or_anything_else() -> None:
    """`run.fail(error)` in an `except` block keeps what the exception tells and raises nothing."""
    try:
        raise ValueError("loss is nan; HF_TOKEN=hf_abcdefghijklmnopqrstuvwx")
    except ValueError as error:
        failed, aborted = of_user("failed", error), of_user("aborted", error)

    assert failed.error is not None
    assert failed.error["type"] == "ValueError"
    assert "test_ending.py" in failed.error["traceback"]
    assert failed.reason == aborted.reason == "ValueError: loss is nan; HF_TOKEN=[redacted]"
    assert aborted.error is None
    assert of_user("failed", 7).reason == "7"
    assert of_user("failed", "x" * 999).reason == "x" * 512
    assert of_user("failed", Unprintable()).reason == "of type Unprintable"
    assert of_user("completed", "").reason is of_user("completed", None).reason is None
    with pytest.raises(ValueError, match="status must be one of"):
        of_user("crashed", None)  # type: ignore[arg-type]  # what a user may give


@pytest.mark.parametrize("status", [None, 0, False, 256, -256, 1 << 40])
def test_status_whose_eight_bits_are_zero_completes(status: object) -> None:
    """What whoever started the program is told counts."""
    assert of_status(status) == Ending("completed")


@pytest.mark.parametrize("status", [1, True, -1, 255, 1 << 70, "", "text", 0.0, Unprintable()])
def test_any_other_status_fails(status: object) -> None:
    """Python leaves with 1 for what is no number, whatever it is."""
    assert of_status(status).status == "failed"
