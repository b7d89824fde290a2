"""A comparison of two evaluation runs for people: in a terminal, and as Markdown for a comment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rundial.cli.output import facts, shown, table

_STATUSES = ("regressed", "missing", "improved", "new", "unchanged")


def as_text(found: Mapping[str, Any]) -> list[str]:
    """Return lines for a terminal."""
    baseline, candidate = _side(found, "baseline"), _side(found, "candidate")
    lines = facts([("baseline", baseline), ("candidate", candidate), ("summary", _counted(found))])
    lines += [f"note: {each}" for each in _notes(found)]
    rows = _rows(found)
    if rows:
        header = ["example", "scorer", "status", "baseline", "candidate", "delta"]
        cells = [[*map(shown, row[:3]), *row[3:]] for row in rows]
        lines += ["", *table(header, cells, right=frozenset({3, 4, 5}))]
    return lines


def as_markdown(found: Mapping[str, Any]) -> list[str]:
    """Return Markdown, as forges show it: the sums, each scorer, and what is not as it was."""
    suite = (found.get("candidate") or {}).get("suiteName")
    lines = [f"### Evaluation{f' of {_code(suite)}' if suite else ''}: {_counted(found)}", ""]
    lines += [
        f"Baseline {_code(_side(found, 'baseline'))}, candidate {_code(_side(found, 'candidate'))}.",
        "",
    ]
    lines += [f"> {each}\n" for each in _notes(found)]
    scorers = [row for row in found.get("scorers") or [] if isinstance(row, dict)]
    if scorers:
        lines += ["| scorer | passed | mean | regressed | improved |", "|---|--:|--:|--:|--:|"]
        for row in scorers:
            passed = f"{number(row.get('baselinePassed'))} → {number(row.get('candidatePassed'))}"
            mean = f"{number(row.get('baselineMean'))} → {number(row.get('candidateMean'))}"
            cells = [
                _code(row.get("scorer")),
                passed,
                mean,
                *(number(row.get(name)) for name in ("regressed", "improved")),
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    rows = _rows(found)
    if rows:
        lines += ["| example | scorer | | baseline | candidate | delta |", "|---|---|---|--:|--:|--:|"]
        lines += [f"| {_code(row[0])} | {_code(row[1])} | {' | '.join(row[2:])} |" for row in rows]
    return lines


def number(value: object) -> str:
    """Return a count or a score, `-` when there is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _rows(found: Mapping[str, Any]) -> list[list[str]]:
    """What is not as it was: example, scorer, status, both sides, and the difference."""
    rows = []
    for row in found.get("rows") or []:
        status = row.get("status") or ("regressed" if row.get("regressed") else "-")
        if status != "unchanged":
            sides = [_verdict(row, side) for side in ("baseline", "candidate")]
            rows.append(
                [str(row.get("exampleId")), str(row.get("scorer")), status, *sides, number(row.get("delta"))]
            )
    return rows


def _verdict(row: Mapping[str, Any], side: str) -> str:
    passed, score = row.get(f"{side}Passed"), row.get(f"{side}Score")
    word = {True: "passed", False: "failed"}.get(passed, "") if isinstance(passed, bool) else ""
    # A score of 1 or 0 beside its verdict says the same twice.
    says_more = score is not None and not (word and score == float(bool(passed)))
    return " ".join(([word] if word else []) + ([number(score)] if says_more else [])) or "-"


def _counted(found: Mapping[str, Any]) -> str:
    summary = found.get("summary") or {}
    return ", ".join(f"{number(summary.get(name, 0))} {name}" for name in _STATUSES)


def _side(found: Mapping[str, Any], side: str) -> str:
    return shown((found.get(side) or {}).get("evalRunId"))


def _notes(found: Mapping[str, Any]) -> Sequence[str]:
    """What makes the comparison less than one of like with like."""
    notes = []
    sides = [found.get(side) or {} for side in ("baseline", "candidate")]
    suites = [shown(side.get("suiteName")) for side in sides]
    if suites[0] != suites[1]:
        notes.append(f"the suites differ: {suites[0]} and {suites[1]}")
    datasets = [side.get("dataset") or {} for side in sides]
    versions = [" ".join(shown(each.get(key)) for key in ("name", "version")) for each in datasets]
    if versions[0] != versions[1]:
        notes.append(f"the datasets differ: {versions[0]} and {versions[1]}")
    for name, side in zip(("baseline", "candidate"), sides, strict=True):
        status = side.get("runStatus") or "completed"
        if status != "completed":
            notes.append(f"the run of the {name} is {shown(status)}: it may not have judged everything")
    if (found.get("page") or {}).get("hasMore"):
        notes.append(f"{len(found.get('rows') or []):,} rows are shown and there are more: raise --limit")
    return notes


def _code(value: object) -> str:
    """A text as Markdown code in a table's cell, whatever it holds."""
    text = shown(value).replace("`", "'").replace("|", "\\|")
    return f"`{text}`"
