"""Several runs' diagnostics as one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from rundial.api.together import combined
from rundial.diagnostics import Ledger, RundialDiagnostics, SignalLedger


def snapshot(number: int, **more: Any) -> RundialDiagnostics:
    """A snapshot whose every count is the number."""
    counts: dict[str, Any] = {
        field.name: number for field in fields(RundialDiagnostics) if field.type == "int"
    }
    account = SignalLedger(
        recorded=number * 4,
        dropped={"invalid": number},
        delivered=number,
        rejected=number,
        evicted={"spool_full": number},
        waiting_spool=number,
    )
    made = RundialDiagnostics(
        **counts,
        non_finite_dropped={"loss": number},
        worker_running=True,
        last_error=None,
        health="healthy",
        durability="disk",
        ledger=Ledger(points=account),
    )
    return replace(made, **more)


def test_counts_are_summed_and_the_account_still_closes() -> None:
    """Nothing is counted twice or left out, and the ledger's identity holds for the sum."""
    found = combined([snapshot(1), snapshot(10)])

    assert {getattr(found, field.name) for field in fields(found) if field.type == "int"} == {11}
    assert found.non_finite_dropped == {"loss": 11}
    assert (found.ledger.points.recorded, found.ledger.points.dropped) == (44, {"invalid": 11})
    assert found.ledger.closes


def test_the_worst_counts() -> None:
    """One run in trouble is seen, however many are well."""
    found = combined(
        [
            snapshot(0, durability="host"),
            snapshot(0, health="degraded", last_error="503"),
            snapshot(0, health="offline_buffering", worker_running=False),
        ]
    )

    assert (found.health, found.durability, found.last_error) == ("degraded", "host", "503")
    assert found.worker_running is True


def test_nothing_recorded_is_healthy_and_zero() -> None:
    """A client that has recorded nothing has nothing to complain of."""
    found = combined([])

    assert (found.health, found.enqueued_points, found.ledger) == ("healthy", 0, Ledger())


def test_what_never_reached_a_run_is_counted() -> None:
    """Units that were lost before there was a run to lose them are in the ledger, and told by health."""
    found = combined([snapshot(0)], unkept={"lines": {"internal_error": 3}})

    assert found.ledger.lines.dropped == {"internal_error": 3}
    assert found.health == "degraded"
