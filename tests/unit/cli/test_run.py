"""How runs are shown to a person."""

from __future__ import annotations

from typing import Any

import pytest

from rundial.cli.output import Output
from rundial.cli.run import details_of, runs_of
from rundial.cli.target import Place

PLACE = Place("w", "p")
WHOLE = {"recorded": 3, "stored": 3, "missing": 0, "dropped": {}, "evicted": 0, "rejected": 0}


def _ledger(**changes: Any) -> list[str]:
    ledger = {"complete": False, "reporting": 1, "points": WHOLE, "lines": WHOLE, "spans": WHOLE, **changes}
    lines = details_of(Output(), PLACE, {"runId": "r", "ledger": ledger})
    return lines[next(i for i, line in enumerate(lines) if line.startswith("ledger")) :]


def test_complete_run_is_said_to_be_complete() -> None:
    """When nothing is missing, one line says so."""
    assert _ledger(complete=True) == ["ledger    complete: everything that was recorded is stored"]


def test_every_loss_is_named_with_its_number_and_reason() -> None:
    """What is missing is said exactly: how many, of what, and why."""
    points = WHOLE | {"missing": 2, "dropped": {"queue_full": 1500, "invalid": 0}, "rejected": 1}

    assert _ledger(points=points) == [
        "ledger    not complete",
        "  points  1,500 queue_full, 2 missing, 1 rejected",
    ]


def test_run_without_a_ledger_is_neither_whole_nor_broken() -> None:
    """Telemetry from elsewhere carries no ledger, and that is what is said."""
    (line,) = _ledger(reporting=0)

    assert "none" in line


@pytest.mark.parametrize("found", [{}, {"counts": 1, "ledger": [], "summary": "x"}, {"startedAtMs": "soon"}])
def test_answer_of_another_shape_is_shown_as_far_as_it_goes(found: dict[str, Any]) -> None:
    """A newer or older server's answer never ends the command with a traceback."""
    assert details_of(Output(), PLACE, found)


def test_runs_are_one_line_each_and_a_next_page_is_announced() -> None:
    """A listing that was cut says so."""
    rows = [{"runId": f"r{n}", "status": "completed", "runName": "completed"} for n in range(3)]
    lines = runs_of(Output(), PLACE, {"runs": rows, "page": {"hasMore": True}})

    assert len(lines) == 5
    assert "raise --limit" in lines[-1]


def test_no_runs_is_said_with_the_place() -> None:
    """An empty listing tells where it looked."""
    assert runs_of(Output(), PLACE, {"runs": []}) == [
        "no runs in w/p",
        "  Log one, or look elsewhere: rundial run list without filters, rundial target ls",
    ]


def test_status_shows_what_the_run_says_about_itself() -> None:
    """A wish to stop, preemption, the last alerts and the summary are there at a look, and bounded."""
    found = {
        "runId": "r",
        "stopRequested": True,
        "preempting": {"reason": "SIGUSR1", "atMs": 0},
        "alerts": [
            {"title": f"t{n}", "text": "x" if n else "", "level": "warn", "timestampMs": 0} for n in range(9)
        ],
        "summary": {f"m{n:02}": n for n in range(40)},
    }
    lines = details_of(Output(), PLACE, found)

    assert any(line.startswith("stop ") and "asked for" in line for line in lines)
    assert any(line.startswith("preempting ") and "SIGUSR1" in line for line in lines)
    alerts = [line for line in lines if line.startswith("alert ")]
    assert len(alerts) == 5
    assert "warn: t0" in alerts[0]
    assert "warn: t1 (x)" in alerts[1]
    assert [line for line in lines if "m29" in line]
    assert lines[-1].endswith("10 more; --json prints all of them")
