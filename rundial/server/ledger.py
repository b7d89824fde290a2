"""The client's ledger beside what the server stored. Pure.

A ledger event carries running totals of one instance. The greatest of each counter stands, so that
events may come late, twice, or out of order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

SIGNALS: Final = ("points", "lines", "spans")
# Files, media and evidence: what is stored of them is versions and not the client's units, so the account
# is the client's alone.
ARTIFACTS: Final = "artifacts"
_FLAT: Final = ("recorded", "evicted", "rejected")

Counters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class InstanceLedger:
    """One instance: what it says (empty when it said nothing) and what is stored of it, by signal."""

    said: Counters
    stored: Counters


def flatten(body: Mapping[str, object]) -> dict[str, int]:
    """Read a ledger event's body into counters such as `points.recorded` and `points.dropped.invalid`."""
    counters: dict[str, int] = {}
    for signal in (*SIGNALS, ARTIFACTS):
        part = body.get(signal)
        if not isinstance(part, Mapping):
            continue
        for name in _FLAT:
            counters[f"{signal}.{name}"] = _total(part.get(name))
        dropped = part.get("dropped")
        if isinstance(dropped, Mapping):
            for reason, count in dropped.items():
                counters[f"{signal}.dropped.{str(reason)[:64]}"] = _total(count)
    return counters


def greatest(known: Counters, new: Counters) -> dict[str, int]:
    """The greater of each counter."""
    return {name: max(known.get(name, 0), new.get(name, 0)) for name in sorted({*known, *new})}


def compare(instances: Iterable[InstanceLedger]) -> dict[str, object]:
    """Say, per signal, what was recorded, lost and stored, and whether that is everything.

    `complete` is True only when every instance has reported, each of its records is stored, and none of its
    files was lost or refused. A surplus of one instance never hides what another one misses.
    """
    instances = list(instances)
    parts = {signal: _signal(signal, instances) for signal in SIGNALS}
    parts[ARTIFACTS] = _losses(ARTIFACTS, instances)
    has_reports = bool(instances) and all(instance.said for instance in instances)
    is_complete = (
        has_reports
        and all(_is_whole(signal, each) for signal in SIGNALS for each in instances)
        and not any(_lost(ARTIFACTS, each) for each in instances)
    )
    reporting = sum(1 for instance in instances if instance.said)
    return {"complete": is_complete, "instances": len(instances), "reporting": reporting, **parts}


def _signal(signal: str, instances: list[InstanceLedger]) -> dict[str, object]:
    return {
        **_losses(signal, instances),
        "stored": sum(instance.stored.get(signal, 0) for instance in instances),
        "missing": sum(max(0, _surplus(signal, instance)) for instance in instances if instance.said),
    }


def _losses(signal: str, instances: list[InstanceLedger]) -> dict[str, object]:
    dropped: dict[str, int] = {}
    prefix = f"{signal}.dropped."
    for instance in instances:
        for name, count in instance.said.items():
            if name.startswith(prefix) and count:
                reason = name[len(prefix) :]
                dropped[reason] = dropped.get(reason, 0) + count
    return {
        "recorded": _sum(instances, f"{signal}.recorded"),
        "dropped": dropped,
        "evicted": _sum(instances, f"{signal}.evicted"),
        "rejected": _sum(instances, f"{signal}.rejected"),
    }


def _surplus(signal: str, instance: InstanceLedger) -> int:
    """How many records should be here and are not; negative while the ledger lags behind."""
    lost = instance.said.get(f"{signal}.evicted", 0) + instance.said.get(f"{signal}.rejected", 0)
    return instance.said.get(f"{signal}.recorded", 0) - lost - instance.stored.get(signal, 0)


def _is_whole(signal: str, instance: InstanceLedger) -> bool:
    return _lost(signal, instance) == 0 and _surplus(signal, instance) == 0


def _lost(signal: str, instance: InstanceLedger) -> int:
    return sum(
        count
        for name, count in instance.said.items()
        if name.startswith(f"{signal}.") and name != f"{signal}.recorded"
    )


def _sum(instances: list[InstanceLedger], name: str) -> int:
    return sum(instance.said.get(name, 0) for instance in instances)


def _total(value: object) -> int:
    """A counter as it was sent: a number, or a map of numbers by reason."""
    if isinstance(value, Mapping):
        return sum(_total(each) for each in value.values())
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
