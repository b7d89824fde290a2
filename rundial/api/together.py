"""Several runs' diagnostics as one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from rundial.choices import Reason, Signal
from rundial.diagnostics import SIGNALS, DiagnosticsHealth, Ledger, RundialDiagnostics, SignalLedger

# From the worst to the best.
_HEALTH: tuple[DiagnosticsHealth, ...] = ("error", "degraded", "offline_buffering", "healthy")
_DURABILITY = ("memory", "container", "host", "disk")
_NOTHING: Mapping[Signal, Mapping[Reason, int]] = {}


def combined(
    snapshots: Sequence[RundialDiagnostics], *, unkept: Mapping[Signal, Mapping[Reason, int]] = _NOTHING
) -> RundialDiagnostics:
    """Return the sum of what each tells; the worst health and the weakest durability count.

    Args:
        snapshots: One a run; none at all is a client that has recorded nothing.
        unkept: Units that never reached a run, by signal and reason.
    """
    found: dict[str, Any] = {
        field.name: sum(getattr(each, field.name) for each in snapshots)
        for field in fields(RundialDiagnostics)
        if field.type == "int"
    }
    is_losing = any(unkept.values())
    health: DiagnosticsHealth = _worst(_HEALTH, (each.health for each in snapshots)) or "healthy"
    ledger = _ledger([each.ledger for each in snapshots], unkept)
    return RundialDiagnostics(
        **found,
        non_finite_dropped=_sums(each.non_finite_dropped for each in snapshots),
        worker_running=any(each.worker_running for each in snapshots),
        last_error=next((each.last_error for each in snapshots if each.last_error), None),
        health="degraded" if is_losing and health != "error" else health,
        durability=_worst(_DURABILITY, (each.durability for each in snapshots)) or "memory",
        ledger=ledger,
        places=tuple(place for each in snapshots for place in each.places),
    )


def _ledger(ledgers: Sequence[Ledger], unkept: Mapping[Signal, Mapping[Reason, int]]) -> Ledger:
    return Ledger(
        **{
            name: _account([each.signals()[name] for each in ledgers], unkept.get(name, {}))
            for name in SIGNALS
        }
    )


def _account(accounts: Sequence[SignalLedger], unkept: Mapping[Reason, int]) -> SignalLedger:
    def total(count: Callable[[SignalLedger], int]) -> int:
        return sum(map(count, accounts))

    return SignalLedger(
        recorded=total(lambda each: each.recorded),
        dropped=_sums([*(each.dropped for each in accounts), unkept]),
        delivered=total(lambda each: each.delivered),
        rejected=total(lambda each: each.rejected),
        evicted=_sums(each.evicted for each in accounts),
        waiting_ring=total(lambda each: each.waiting_ring),
        waiting_spool=total(lambda each: each.waiting_spool),
    )


def _sums(counts: Iterable[Mapping[Any, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            found[name] = found.get(name, 0) + count
    return found


def _worst(order: Sequence[Any], seen: Iterable[object]) -> Any:
    present = set(seen)
    return next((each for each in order if each in present), None)
