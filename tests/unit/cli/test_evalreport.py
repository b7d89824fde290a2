"""What a comparison of two evaluation runs looks like, in a terminal and as Markdown."""

from __future__ import annotations

from typing import Any

import pytest

from rundial.cli.evalreport import as_markdown, as_text, number


def side(name: str, **more: Any) -> dict[str, Any]:
    """One side of a comparison."""
    dataset = {"name": "sums", "version": "1"}
    return {"evalRunId": name, "suiteName": "s", "dataset": dataset, "runStatus": "completed", **more}


def row(example: str, status: str, before: Any, after: Any, delta: float | None = None) -> dict[str, Any]:
    """One row, from (passed, score) of both sides."""
    return {
        "exampleId": example,
        "scorer": "exact",
        "status": status,
        "delta": delta,
        "baselinePassed": before[0],
        "baselineScore": before[1],
        "candidatePassed": after[0],
        "candidateScore": after[1],
    }


FOUND = {
    "baseline": side("main"),
    "candidate": side("branch"),
    "summary": {"regressed": 1, "missing": 0, "improved": 1, "new": 0, "unchanged": 1_200},
    "scorers": [
        {
            "scorer": "exact",
            "regressed": 1,
            "improved": 1,
            "baselinePassed": 1_201,
            "candidatePassed": 1_201,
            "baselineMean": 1 / 3,
            "candidateMean": None,
        }
    ],
    "rows": [
        row("a", "regressed", (True, 1.0), (False, 0.0), -1.0),
        row("b", "improved", (None, 0.25), (None, 0.5), 0.25),
        row("c", "unchanged", (True, 0.75), (True, 0.5), -0.25),
    ],
    "page": {"hasMore": False},
}


def test_text_has_the_sums_and_what_is_not_as_it_was() -> None:
    """A score beside a verdict is printed when it says more than the verdict."""
    lines = as_text(FOUND)

    assert lines[2].endswith("1 regressed, 0 missing, 1 improved, 0 new, 1,200 unchanged")
    assert [line.split() for line in lines[5:]] == [
        ["a", "exact", "regressed", "passed", "failed", "-1"],
        ["b", "exact", "improved", "0.25", "0.5", "0.25"],
    ]
    partly = {**FOUND, "rows": [row("d", "regressed", (True, 0.75), (False, None))]}
    assert as_text(partly)[-1].split() == ["d", "exact", "regressed", "passed", "0.75", "failed", "-"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"candidate": side("branch", suiteName="t")}, "the suites differ: s and t"),
        ({"candidate": side("branch", dataset={"name": "sums"})}, "the datasets differ: sums 1 and sums -"),
        ({"candidate": side("branch", runStatus="crashed")}, "the run of the candidate is crashed"),
        ({"page": {"hasMore": True}}, "3 rows are shown and there are more"),
    ],
)
def test_what_weakens_the_comparison_is_said(more: dict[str, Any], words: str) -> None:
    """In a terminal and in a comment alike; nothing is said where there is nothing."""
    assert not any(line.startswith("note:") for line in as_text(FOUND))
    assert any(words in line for line in as_text({**FOUND, **more}) if line.startswith("note:"))
    assert any(words in line for line in as_markdown({**FOUND, **more}) if line.startswith("> "))


def test_markdown_has_a_table_for_scorers_and_one_for_rows() -> None:
    """With the sums in the heading."""
    lines = as_markdown(FOUND)

    assert lines[0].startswith("### Evaluation of `s`: 1 regressed")
    assert "| `exact` | 1,201 → 1,201 | 0.333333 → - | 1 | 1 |" in lines
    assert "| `a` | `exact` | regressed | passed | failed | -1 |" in lines
    assert not any("`c`" in line for line in lines)


def test_answer_of_an_older_server_is_shown_as_far_as_it_goes() -> None:
    """The published names alone make a report."""
    found = {"rows": [{"exampleId": "a", "scorer": "exact", "delta": -1.0, "regressed": True}]}

    assert as_text(found)[-1].split() == ["a", "exact", "regressed", "-", "-", "-1"]
    assert as_markdown(found)


@pytest.mark.parametrize(("value", "shown"), [(None, "-"), (True, "-"), (1234, "1,234"), (1 / 3, "0.333333")])
def test_numbers_are_short(value: object, shown: str) -> None:
    """Counts have separators, scores six digits."""
    assert number(value) == shown
